package devenv

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/history"
	"github.com/devenv-run/devenv/devenv/plan"
)

// shelf has revisions of services, by "web 3". A damaged one is nil; what is not on it is not answered.
type shelf map[string]*history.Revision

var errNoAnswer = errors.New("no answer")

func (s shelf) read(_ context.Context, service string, number int) (history.Revision, error) {
	r, ok := s[fmt.Sprint(service, " ", number)]
	switch {
	case !ok:
		return history.Revision{}, errNoAnswer
	case r == nil:
		_, err := history.Decode([]byte("no gzip"))
		return history.Revision{}, &fault.Error{Kind: fault.Deploy, What: fmt.Sprintf("revision %d of %s is damaged", number, service), Err: err}
	}
	return *r, nil
}

// workloadOf is a revision of a service with one Deployment, whose hash is the content.
func workloadOf(service string, number int, content string) *history.Revision {
	id := plan.ID{Group: "apps", Kind: "Deployment", Namespace: "academy", Name: service}
	return &history.Revision{
		Head:    history.Head{Service: service, Number: number, Content: content},
		Objects: []history.Object{{ID: id, Hash: content}},
	}
}

func headsOf(service string, contents ...string) []history.Head {
	var heads []history.Head
	for i, content := range contents {
		heads = append(heads, history.Head{Service: service, Number: i + 1, Content: content})
	}
	return heads
}

func TestADamagedRevisionDoesNotKeepTheOthersFromBeingRead(t *testing.T) {
	heads := append(headsOf("web", "a", "b"), headsOf("removed", "a")...)
	s := shelf{"web 2": workloadOf("web", 2, "b"), "removed 1": nil}
	newest, damaged, err := readNewest(t.Context(), heads, s.read)
	if err != nil || len(newest) != 1 || newest["web"].Number != 2 {
		t.Errorf("newest: %v, %v", newest, err)
	}
	if len(damaged) != 1 || fault.Of(damaged["removed"]) != fault.Deploy {
		t.Errorf("damaged: %v", damaged)
	}
	delete(s, "removed 1")
	if _, _, err := readNewest(t.Context(), heads, s.read); !errors.Is(err, errNoAnswer) {
		t.Errorf("a cluster that does not answer says nothing about a revision: %v", err)
	}
}

func TestAWorkloadWhoseRevisionIsDamagedIsToldSo(t *testing.T) {
	now := map[string]history.Revision{"web": *workloadOf("web", 0, "c"), "grades": *workloadOf("grades", 0, "c")}
	var left []history.Left
	for _, name := range []string{"grades", "web"} {
		left = append(left, history.Left{ID: now[name].Objects[0].ID, Reason: "it has not been ready before"})
	}
	told, wanted := stranded(left, map[string]error{"web": errNoAnswer, "removed": errNoAnswer}, now)
	want := []history.Left{left[0], {ID: left[1].ID, Reason: "the newest revision of web is damaged"}}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"web"}, wanted); diff != "" {
		t.Errorf("needed (-want +got):\n%s", diff)
	}
}

func TestWhatRunsAndWhatToReturnTo(t *testing.T) {
	heads := headsOf("web", "a", "b", "a", "c")
	whole := func(damaged ...int) shelf {
		s := shelf{}
		for _, h := range heads {
			s[fmt.Sprint("web ", h.Number)] = workloadOf("web", h.Number, h.Content)
		}
		for _, n := range damaged {
			s[fmt.Sprint("web ", n)] = nil
		}
		return s
	}
	for _, tt := range []struct {
		name            string
		shelf           shelf
		runs            string // hash of what runs
		number          int
		running, target int
		passedOver      string
		err             string
	}{
		{name: "all is well", shelf: whole(), runs: "c", running: 4, target: 3},
		{name: "what runs is damaged", shelf: whole(4), runs: "c", target: 3, passedOver: "4"},
		{name: "a younger one is damaged", shelf: whole(4), runs: "a", running: 3, target: 2, passedOver: "4"},
		{name: "the one before is damaged", shelf: whole(3), runs: "c", running: 4, target: 2, passedOver: "3"},
		{name: "all others are damaged", shelf: whole(1, 2, 3), runs: "c", running: 4, passedOver: "3 2 1", err: "no earlier revision"},
		{name: "another than the wanted one is damaged", shelf: whole(3, 4), runs: "x", number: 2, target: 2, passedOver: "4 3"},
		{name: "the wanted one is damaged", shelf: whole(2), runs: "c", number: 2, running: 4, err: "revision 2 of web is damaged"},
		{name: "no answer", shelf: shelf{}, runs: "c", err: "no answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var passed []string
			passOver := func(err error) {
				passed = append(passed, strings.Fields(err.Error())[1])
			}
			given := func(_ context.Context, objects []history.Object) (map[plan.ID]string, error) {
				return map[plan.ID]string{objects[0].ID: tt.runs}, nil
			}
			running, sound, err := findCurrent(t.Context(), heads, tt.shelf.read, given, passOver)
			var target history.Revision
			if err == nil {
				from := heads
				if tt.number == 0 {
					from = sound
				}
				target, err = pick(t.Context(), "web", from, tt.number, running.Content, tt.shelf.read, passOver)
			}
			if running.Number != tt.running || target.Number != tt.target || strings.Join(passed, " ") != tt.passedOver {
				t.Errorf("runs %d, returns to %d, passed over %v: %v", running.Number, target.Number, passed, err)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error: %v", err)
			}
		})
	}
}

// Otherwise nothing of a service would be recorded any more once its newest revision is damaged.
func TestWhatFollowsADamagedRevisionHasACause(t *testing.T) {
	now := *workloadOf("web", 0, "c")
	for _, tt := range []struct {
		newest int
		want   string
		fails  bool
	}{
		{0, "first deployment", false},
		{1, "Deployment/academy/web changed", false},
		{2, "not known what changed, revision 2 is damaged", false},
		{3, "", true},
	} {
		s := shelf{"web 1": workloadOf("web", 1, "a"), "web 2": nil}
		got, err := causeOf(t.Context(), history.Head{Service: "web", Number: tt.newest}, now, "", s.read)
		if (err != nil) != tt.fails || err == nil && got != tt.want {
			t.Errorf("after %d: %q, %v", tt.newest, got, err)
		}
	}
}
