package devenvtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/history"
	"github.com/devenv-run/devenv/devenv/plan"
)

// StoreSubject is an implementation of history.Store under test.
type StoreSubject struct {
	history.Store
	// Other is the store of another environment in the same cluster.
	Other history.Store
	// Refresh returns a new instance over the same cluster and environment, as the next run of devenv would.
	Refresh func() history.Store
}

// StoreSuite holds an implementation against the contract of history.Store. Fresh is called for each test, with stores that are
// empty, and registers the removal of whatever the test creates.
func StoreSuite(t *testing.T, fresh func(t *testing.T) StoreSubject) {
	run := func(name string, test func(*testing.T, StoreSubject)) {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
	run("an empty store holds nothing", testNoRevisions)
	run("a recorded revision comes back as it was", testRevision)
	run("revisions are numbered by service", testNumbers)
	run("what equals the newest is not recorded again", testSameRevision)
	run("what is too old goes, and its number does not come back", testLimit)
	run("two environments do not see each other's", testEnvironments)
}

// ofService is a revision with one Secret and one workload.
func ofService(service, content string) history.Revision {
	object := func(kind, body string) history.Object {
		id := plan.ID{Kind: kind, Namespace: "academy", Name: service}
		return history.NewObject("source", Object(map[string]any{"kind": kind, "data": body}, id, kind != "Secret"))
	}
	image := "registry.example.com/" + service + ":devenv-" + content
	return history.Revision{
		Head: history.Head{
			Service: service, At: time.Unix(1_000_000_000, 0).UTC(), Image: image, Content: content,
			Cause: "services/" + service + "/größe <1> changed, and 2 more",
		},
		Images:  map[string]string{service: image},
		Objects: []history.Object{object("Secret", "password "+content), object("Deployment", content)},
	}
}

func mustRecord(t *testing.T, s history.Store, r history.Revision) history.Revision {
	t.Helper()
	kept, err := s.Record(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func requireHeads(t *testing.T, s history.Store, want ...history.Head) {
	t.Helper()
	got, err := s.Heads(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("heads (-want +got):\n%s", diff)
	}
}

func testNoRevisions(t *testing.T, s StoreSubject) {
	requireHeads(t, s)
	if _, err := s.Revision(t.Context(), "web", 1); fault.Of(err) != fault.Config || !strings.Contains(err.Error(), "revision 1 of web") {
		t.Errorf("a revision that is not there: %v", err)
	}
}

func testRevision(t *testing.T, s StoreSubject) {
	want := mustRecord(t, s, ofService("web", "a"))
	if want.Number != 1 {
		t.Errorf("the first has number %d", want.Number)
	}
	again := s.Refresh()
	requireHeads(t, again, want.Head)
	got, err := again.Revision(t.Context(), "web", 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("revision (-recorded +read):\n%s", diff)
	}
}

func testNumbers(t *testing.T, s StoreSubject) {
	var want []history.Head
	for _, service := range []string{"grades", "web", "web-nginx"} {
		for _, content := range []string{"a", "b", "a"} {
			want = append(want, mustRecord(t, s, ofService(service, content)).Head)
		}
	}
	for i, h := range want {
		if h.Number != i%3+1 {
			t.Errorf("%s is number %d", h.Service, h.Number)
		}
	}
	requireHeads(t, s.Refresh(), want...)
}

func testSameRevision(t *testing.T, s StoreSubject) {
	first := mustRecord(t, s, ofService("web", "a"))
	later := ofService("web", "a")
	later.At, later.Cause = later.At.Add(time.Hour), "nothing"
	if again := mustRecord(t, s.Refresh(), later); again.Head != first.Head {
		t.Errorf("recorded as %+v, want %+v", again.Head, first.Head)
	}
	requireHeads(t, s, first.Head)
}

func testLimit(t *testing.T, s StoreSubject) {
	var all []history.Head
	for i := range history.Limit + 3 {
		all = append(all, mustRecord(t, s, ofService("web", fmt.Sprint(i))).Head)
	}
	other := mustRecord(t, s, ofService("grades", "a"))
	requireHeads(t, s.Refresh(), append([]history.Head{other.Head}, all[3:]...)...)
	if _, err := s.Revision(t.Context(), "web", 3); fault.Of(err) != fault.Config {
		t.Errorf("a revision that went: %v", err)
	}
	if next := mustRecord(t, s, ofService("web", "last")); next.Number != history.Limit+4 {
		t.Errorf("the next has number %d", next.Number)
	}
}

func testEnvironments(t *testing.T, s StoreSubject) {
	mine, theirs := mustRecord(t, s, ofService("web", "a")), mustRecord(t, s.Other, ofService("web", "b"))
	requireHeads(t, s, mine.Head)
	requireHeads(t, s.Other, theirs.Head)
	if theirs.Number != 1 {
		t.Errorf("the other environment's first has number %d", theirs.Number)
	}
	got, err := s.Other.Revision(t.Context(), "web", 1)
	if err != nil || got.Content != "b" {
		t.Errorf("the other environment's revision: %+v, %v", got.Head, err)
	}
}

// Revisions is a history.Store in memory. Its zero value is empty.
type Revisions struct {
	mu   sync.Mutex
	kept map[string][][]byte // by service, as they would be stored, ascending
	made map[string]int
}

var _ history.Store = (*Revisions)(nil)

// Heads implements history.Store.
func (s *Revisions) Heads(context.Context) ([]history.Head, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var heads []history.Head
	for service := range s.kept {
		of, err := s.of(service)
		if err != nil {
			return nil, err
		}
		for _, r := range of {
			heads = append(heads, r.Head)
		}
	}
	slices.SortStableFunc(heads, func(a, b history.Head) int { return strings.Compare(a.Service, b.Service) })
	return heads, nil
}

// of decodes the revisions of a service.
func (s *Revisions) of(service string) ([]history.Revision, error) {
	var all []history.Revision
	for _, packed := range s.kept[service] {
		r, err := history.Decode(packed)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// Revision implements history.Store.
func (s *Revisions) Revision(_ context.Context, service string, number int) (history.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.of(service)
	for _, r := range all {
		if r.Number == number {
			return r, nil
		}
	}
	if err == nil {
		err = &fault.Error{Kind: fault.Config, What: fmt.Sprintf("there is no revision %d of %s", number, service), Next: "See devenv history."}
	}
	return history.Revision{}, err
}

// Record implements history.Store.
func (s *Revisions) Record(_ context.Context, r history.Revision) (history.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.of(r.Service)
	if err != nil {
		return r, err
	}
	if n := len(all); n > 0 && all[n-1].Content == r.Content {
		return all[n-1], nil
	}
	if s.kept == nil {
		s.kept, s.made = map[string][][]byte{}, map[string]int{}
	}
	r.Number = s.made[r.Service] + 1
	packed, err := history.Encode(r)
	if err != nil {
		return r, err
	}
	s.made[r.Service]++
	kept := append(s.kept[r.Service], packed)
	s.kept[r.Service] = kept[max(0, len(kept)-history.Limit):]
	return r, nil
}
