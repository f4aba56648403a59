package devenv

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/loop"
	"github.com/devenv-run/devenv/devenv/plan"
)

// noted are shortcuts that note what they are told.
type noted struct {
	shortcuts
	declared  map[string]string
	forgotten []string
}

func (n *noted) deployed(_ *gathered, images map[string]image) {
	n.declared = map[string]string{}
	for name, i := range images {
		n.declared[name] = i.ref
	}
}

func (n *noted) forget(services []string) { n.forgotten = services }

// newNoted is a session of services a and b, of which old versions are deployed, and a cycle that is to deploy new ones.
func newNoted(ctx context.Context) (*session, *cycle, *gathered, *noted) {
	n := &noted{}
	services := []config.Service{{Name: "a", Image: "example.com/a"}, {Name: "b", Image: "example.com/b"}}
	s := &session{
		project: &Project{config: &config.Config{Services: services}}, ways: n, out: event.SinkFunc(func(event.Event) {}),
		deployed: map[string]image{}, done: map[string]string{}, restless: map[string][]string{},
	}
	g := &gathered{}
	for _, service := range services {
		s.deployed[service.Name] = image{service: service, ref: service.Image + ":devenv-old"}
		g.images = append(g.images, image{service: service, ref: service.Image + ":devenv-new"})
	}
	return s, &cycle{session: s, ctx: ctx, failed: map[string]error{}, errs: map[int]error{}, command: loop.StartCycle{All: true}}, g, n
}

func apply(ref string) plan.Step {
	return plan.Step{Number: 1, Action: plan.Apply, Object: &plan.Object{ID: plan.ID{Kind: "Deployment"}, Images: []string{ref}}}
}

// What is declared is known also after a cycle that did not come to its end.
func TestWhatACycleApplied(t *testing.T) {
	const older, old, fresh = "example.com/a:devenv-older", "example.com/a:devenv-old", "example.com/a:devenv-new"
	broken := errors.New("not ready")
	for name, tt := range map[string]struct {
		events    []event.Event
		failed    error
		stopped   bool
		declared  string // of a; empty: not told
		forgotten bool
		deployed  string // what the session remembers of a
	}{
		"came to its end":                    {events: []event.Event{event.StepDone{Step: apply(fresh)}}, declared: fresh, deployed: fresh},
		"stopped before it applied anything": {stopped: true, deployed: old},
		"stopped after it":                   {events: []event.Event{event.StepDone{Step: apply(fresh)}}, stopped: true, declared: fresh, deployed: fresh},
		"stopped in the middle":              {events: []event.Event{event.StepFailed{Step: apply(fresh), Err: context.Canceled}}, stopped: true, forgotten: true, deployed: old},
		"did not become ready":               {events: []event.Event{event.StepDone{Step: apply(fresh)}}, failed: broken, forgotten: true, deployed: old},
		"returned": {
			events: []event.Event{event.StepDone{Step: apply(fresh)}, event.StepDone{Step: apply(old)}}, failed: broken, deployed: old,
		},
		"returned to what nobody here knows": {
			events: []event.Event{event.StepDone{Step: apply(fresh)}, event.StepDone{Step: apply(older)}}, failed: broken, forgotten: true, deployed: old,
		},
		"did not build": {failed: broken, deployed: old},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			s, c, g, n := newNoted(ctx)
			if tt.stopped {
				stop()
			}
			for _, e := range tt.events {
				c.Emit(e)
			}
			if tt.failed != nil {
				c.failed["a"] = tt.failed
			}
			c.conclude(ctx, g, &loop.CycleEnded{Outcomes: map[string]loop.Outcome{}})
			if n.declared["a"] != tt.declared || slices.Contains(n.forgotten, "a") != tt.forgotten {
				t.Errorf("declared %q, forgotten %q", n.declared, n.forgotten)
			}
			if s.deployed["a"].ref != tt.deployed || slices.Contains(n.forgotten, "b") {
				t.Errorf("deployed %q, forgotten %q", s.deployed["a"].ref, n.forgotten)
			}
			if (tt.failed != nil || tt.stopped) && s.done["a"] != "" {
				t.Errorf("%q counts as done", s.done["a"])
			}
		})
	}
}

// Files of one service that change while they are read are no reason to do the work for the others again.
func TestACycleThatIsOutrun(t *testing.T) {
	outrun := &fault.Error{Kind: fault.Build, What: "changed", Err: &hot.OutrunError{Paths: []string{"/a/log"}}}
	broken := &fault.Error{Kind: fault.Build, What: "does not compile"}
	for name, tt := range map[string]struct {
		failed map[string]error
		other  bool
		want   loop.CycleEnded
		rest   error
	}{
		"one of two":                       {failed: map[string]error{"a": outrun}, want: loop.CycleEnded{Outrun: []string{"a"}}},
		"and another does not compile":     {failed: map[string]error{"a": outrun, "b": broken}, want: loop.CycleEnded{Outrun: []string{"a"}}, rest: broken},
		"and something waits for it":       {failed: map[string]error{"a": outrun}, other: true, want: loop.CycleEnded{Outrun: []string{"a"}, Stopped: true}},
		"and something failed for another": {failed: map[string]error{"a": outrun, "b": broken}, other: true, want: loop.CycleEnded{Outrun: []string{"a"}, Err: broken}, rest: broken},
	} {
		t.Run(name, func(t *testing.T) {
			s, c, _, _ := newNoted(t.Context())
			c.failed, c.other = tt.failed, tt.other
			whole := errors.Join(slices.Collect(maps.Values(tt.failed))...)
			got := loop.CycleEnded{Outcomes: map[string]loop.Outcome{"a": {}}}
			rest := c.outrun(whole, &got)
			if !errors.Is(rest, tt.rest) || (rest == nil) != (tt.rest == nil) || hot.Outrun(rest) != nil {
				t.Errorf("what is left: %v", rest)
			}
			if len(got.Outcomes) > 0 || !cmp.Equal(got.Outrun, tt.want.Outrun) || got.Stopped != tt.want.Stopped || (got.Err == nil) != (tt.want.Err == nil) {
				t.Errorf("%+v", got)
			}
			if !slices.Equal(s.restless["a"], []string{"/a/log"}) {
				t.Errorf("%q", s.restless)
			}
		})
	}
}

// What is tried again by itself is told when something else comes of it.
func TestACycleThatTriesAgain(t *testing.T) {
	full := &fault.Error{Kind: fault.Machine, What: "the disk is full", Err: errors.New("write temporary-1")}
	before := &fault.Error{Kind: fault.Machine, What: "the disk is full", Err: errors.New("write temporary-0")}
	step := event.StepDone{Step: plan.Step{Number: 1, Action: plan.Load, Image: &plan.Image{Ref: "example.com/a:devenv-new"}}}
	for name, tt := range map[string]struct {
		steps int
		err   error
		want  []string
	}{
		"fails as before":     {err: full},
		"fails otherwise":     {steps: 1, err: errors.New("not ready"), want: []string{"dev.cycle.started", "dev.cycle.done"}},
		"works":               {steps: 2, want: []string{"dev.cycle.started", "dev.cycle.done"}},
		"has nothing to do":   {},
		"has done some of it": {steps: 1, err: full},
	} {
		t.Run(name, func(t *testing.T) {
			s, c, _, _ := newNoted(t.Context())
			var told []string
			s.out = event.SinkFunc(func(e event.Event) { told = append(told, e.Type()) })
			s.said = map[string]string{"": gist(before)}
			s.told, s.visible = map[string]struct{}{}, map[string]bool{}
			c.muted = true
			c.Emit(event.PlanComputed{Plan: plan.Plan{Steps: []plan.Step{step.Step}}})
			for range tt.steps {
				c.Emit(step)
			}
			c.tellEnd(tt.err, &loop.CycleEnded{})
			if !slices.Equal(told, tt.want) {
				t.Errorf("told %q, want %q", told, tt.want)
			}
		})
	}
	if passes(nil) || !passes(full) || passes(&fault.Error{Kind: fault.Build}) {
		t.Error("what passes")
	}
}
