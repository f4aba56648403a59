package devenv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/history"
	"github.com/devenv-run/devenv/devenv/plan"
)

// deployed is a deployment of steps, each "Action Kind/name: end", where the end is ok, a kind of fault, or skipped.
func deployed(t *testing.T, lines ...string) deployment {
	t.Helper()
	ends := map[string]error{
		"ok": nil, "Deploy": &fault.Error{Kind: fault.Deploy}, "Config": &fault.Error{Kind: fault.Config}, "Machine": &fault.Error{Kind: fault.Machine},
		"Refused": &fault.Error{Kind: fault.Refused},
		"Build":   &fault.Error{Kind: fault.Build}, "interrupted": context.Canceled, "late": context.DeadlineExceeded,
	}
	d := deployment{Ended: map[int]error{}}
	for i, line := range lines {
		what, end, _ := strings.Cut(line, ": ")
		action, name, _ := strings.Cut(what, " ")
		kind, name, _ := strings.Cut(name, "/")
		object := plan.Object{ID: plan.ID{Kind: kind, Namespace: "academy", Name: name}}
		if kind == "Deployment" {
			object.ID.Group = "apps"
		}
		s := plan.Step{Number: i + 1, Action: plan.Action(action), Subject: object.ID.String()}
		switch s.Action {
		case plan.Run:
			s.Hook = &plan.Hook{Object: object}
		case plan.Apply, plan.Await:
			s.Object = &object
		}
		d.Plan.Steps = append(d.Plan.Steps, s)
		if err, ok := ends[end]; ok {
			d.Ended[i+1] = err
		} else if end != "skipped" {
			t.Fatalf("unknown end %q", end)
		}
	}
	return d
}

func TestTrouble(t *testing.T) {
	for _, tt := range []struct {
		name            string
		steps           []string
		failed, skipped string
		unjudged        bool
	}{
		{name: "all is well", steps: []string{"Apply ConfigMap/a: ok", "Apply Deployment/a: ok", "Await Deployment/a: ok"}},
		{name: "not ready", steps: []string{"Apply Deployment/a: ok", "Await Deployment/a: Deploy", "Await Deployment/b: ok"}, failed: "a"},
		{name: "refused", steps: []string{"Apply ConfigMap/a: ok", "Apply Deployment/a: Config", "Await Deployment/a: skipped"}, failed: "a"},
		{name: "somebody else's", steps: []string{"Apply Deployment/a: Refused", "Await Deployment/b: Deploy"}, failed: "a b"},
		{name: "not built", steps: []string{"Build Deployment/x: Build", "Apply ConfigMap/a: ok", "Apply Deployment/a: skipped", "Await Deployment/a: skipped"}, skipped: "a"},
		{name: "awaited after something else failed", steps: []string{"Apply Job/a: Deploy", "Await Deployment/b: skipped"}},
		{name: "a job is no workload that returns", steps: []string{"Apply Job/a: ok", "Await Job/a: Deploy"}},
		{name: "no answer", steps: []string{"Apply Deployment/a: Machine", "Await Deployment/b: Deploy"}, failed: "b", unjudged: true},
		{name: "interrupted", steps: []string{"Await Deployment/a: interrupted"}, unjudged: true},
	} {
		failed, skipped, judged := deployed(t, tt.steps...).trouble()
		names := func(ids []plan.ID) string {
			var all []string
			for _, id := range ids {
				all = append(all, id.Name)
			}
			return strings.Join(all, " ")
		}
		got := fmt.Sprintf("failed %q, skipped %q, judged %v", names(failed), names(skipped), judged)
		if want := fmt.Sprintf("failed %q, skipped %q, judged %v", tt.failed, tt.skipped, !tt.unjudged); got != want {
			t.Errorf("%s: %s, want %s", tt.name, got, want)
		}
	}
}

func TestWhatBecameOfADeployment(t *testing.T) {
	d := deployed(t,
		"Run Job/migrate: ok", "Run Job/seed: Deploy", "Apply ConfigMap/a: ok", "Apply Deployment/a: ok", "Await Deployment/a: Deploy",
		"Apply Deployment/b: Config", "Apply Deployment/c: skipped",
	)
	id := func(kind, group, name string) plan.ID {
		return plan.ID{Group: group, Kind: kind, Namespace: "academy", Name: name}
	}
	for _, tt := range []struct {
		id               plan.ID
		reached, applied bool
	}{
		{id("ConfigMap", "", "a"), true, true},
		{id("Deployment", "apps", "a"), false, true},
		{id("Deployment", "apps", "b"), false, false},
		{id("Deployment", "apps", "c"), false, false},
		{id("Deployment", "apps", "untouched"), true, true},
	} {
		if d.reached(tt.id) != tt.reached || d.applied(tt.id) != tt.applied {
			t.Errorf("%s: reached %v, applied %v", tt.id, d.reached(tt.id), d.applied(tt.id))
		}
	}
	if ran := d.hooks(); !slices.Equal(ran, []string{"Job/academy/migrate"}) {
		t.Errorf("hooks that ran: %v", ran)
	}
}

// What a return had no time for stays in the version that failed, so each such object is named.
func TestAReturnThatRanOutOfTimeSaysWhatIsNotBack(t *testing.T) {
	d := deployed(t,
		"Apply ConfigMap/a: ok", "Apply Deployment/a: ok", "Await Deployment/a: late", "Apply Deployment/b: Config", "Apply Deployment/c: late",
		"Apply Deployment/d: skipped", "Await Deployment/d: skipped",
	)
	image := plan.Image{Service: "web", Ref: "registry.example.com/web:devenv-1"}
	d.Plan.Steps = append(d.Plan.Steps, plan.Step{Number: 8, Action: plan.Load, Image: &image})
	of := map[plan.ID]history.Head{}
	for _, s := range d.Plan.Steps[:7] {
		of[s.Object.ID] = history.Head{Service: "web", Number: 3}
	}
	errs := fault.All(d.unapplied(of))
	var got []string
	for _, err := range errs {
		got = append(got, fmt.Sprint(fault.Of(err).ExitCode(), " ", err))
	}
	want := []string{
		"2 ", "5 Deployment/academy/c was not applied within 1m30s", "5 Deployment/academy/d was not applied within 1m30s",
		"5 image web:devenv-1 was not loaded within 1m30s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if f := (*fault.Error)(nil); !errors.As(errs[2], &f) || !strings.Contains(f.Next, "devenv rollback web --to 3") {
		t.Errorf("what to do: %v", errs[2])
	}
	if err := deployed(t, "Apply Deployment/a: ok", "Await Deployment/a: late").unapplied(nil); err != nil {
		t.Errorf("all is back, and yet: %v", err)
	}
}

func TestBecauseNamesTheRevision(t *testing.T) {
	d := deployed(t, "Apply ConfigMap/a: ok", "Apply Deployment/a: ok", "Await Deployment/a: ok")
	back := history.Return{Of: map[plan.ID]history.Head{}}
	for _, s := range d.Plan.Steps {
		back.Of[s.Object.ID] = history.Head{Service: "grades", Number: 3}
	}
	because(d.Plan, back)
	want := `[] -> #1 ConfigMap/academy/a, Apply, back to revision 3 of grades
[] -> #2 Deployment/academy/a, Apply, back to revision 3 of grades
[] -> #3 Deployment/academy/a, Await, 
`
	if diff := cmp.Diff(want, d.Plan.String()); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

func TestErrorsOfAReturnSaySo(t *testing.T) {
	refused := &fault.Error{Kind: fault.Deploy, What: "Deployment/academy/a was refused", Next: "Correct it."}
	err := whileReturning(errors.Join(refused, context.Canceled))
	if got := err.Error(); got != "while returning to what served before: Deployment/academy/a was refused\ncontext canceled" {
		t.Errorf("%q", got)
	}
	if fault.Of(err) != fault.Deploy || refused.What != "Deployment/academy/a was refused" {
		t.Errorf("kind %v; the original now says %q", fault.Of(err), refused.What)
	}
	if whileReturning(nil) != nil {
		t.Error("an error out of nothing")
	}
}

func TestChoose(t *testing.T) {
	heads := []history.Head{{Number: 2, Content: "a"}, {Number: 3, Content: "b"}, {Number: 4, Content: "a"}}
	for _, tt := range []struct {
		heads   []history.Head
		number  int
		running string
		want    int
		says    string
	}{
		{heads, 0, "a", 3, ""},
		{heads, 0, "", 4, ""},
		{heads, 2, "a", 2, ""},
		{heads, 7, "a", 0, "The revisions are 2, 3, 4"},
		{heads, 1, "a", 0, "The revisions are 2, 3, 4"},
		{heads[:1], 0, "a", 0, "no earlier revision"},
		{nil, 0, "", 0, "no revision of web"},
		{nil, 3, "", 0, "no revision of web"},
	} {
		h, err := choose("web", tt.heads, tt.number, tt.running)
		said := ""
		if f := (*fault.Error)(nil); errors.As(err, &f) {
			said = f.Error() + " " + f.Next
		}
		if h.Number != tt.want || (err == nil) != (tt.want > 0) || !strings.Contains(said, tt.says) || err != nil && fault.Of(err) != fault.Config {
			t.Errorf("%d of %v, running %q: %d, %v", tt.number, tt.heads, tt.running, h.Number, err)
		}
	}
}
