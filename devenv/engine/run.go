package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// Engine runs plans. Its fields are the four sides of the world that a plan acts on. Deployer may be nil for a plan that deploys
// nothing (plan.Plan.Infrastructure).
type Engine struct {
	Clusters Clusters
	Builder  Builder
	Delivery Delivery
	Deployer Deployer
	Sink     event.Sink
	Limits   Limits

	// Extend, where it is set, is called once the plan's Create or Start step has succeeded, while other steps go on: what is to be
	// deployed is known only when the cluster can be asked. It gives the same plan with further steps behind its own
	// (plan.Plan.Extend), and who deploys them: Run puts that into Deployer.
	Extend func(ctx context.Context) (plan.Plan, Deployer, error)
}

// Limits bounds how many steps of a kind run at once. Zero means no bound. Waiting costs nothing, so it has none.
type Limits struct {
	Builds int // the builder itself runs the stages of one build in parallel
	Loads  int // each sends to all nodes at once
	Calls  int // requests that change objects
}

// Result says what came of a plan.
type Result struct {
	Plan    plan.Plan // with what Extend added
	Done    int       // steps that succeeded
	Failed  int
	Skipped int // steps that were not tried, because one that they need failed or the run was stopped
	// Incomplete holds the deploy sources of which a step failed or was skipped.
	Incomplete map[string]bool
	// Ended says of every step that was tried how it ended, by its number: nil if it succeeded.
	Ended map[int]error
}

// outcome of one step that was started, or of Extend.
type outcome struct {
	step   plan.Step
	took   time.Duration
	detail string
	err    error

	longer   *plan.Plan // of Extend, for which step is not set
	deployer Deployer
}

// Run executes p: each step as soon as everything that it needs has succeeded and its limit allows it. A failed step does
// not stop the others; those that need it, directly or not, are skipped and said so. When ctx ends no further step begins, and
// Run returns once those that are running have. An Extend that fails ends the plan where it was.
//
// The error joins the errors of all failed steps, in the order of the plan, and then that of Extend.
func (e *Engine) Run(ctx context.Context, p plan.Plan) (Result, error) {
	const (
		waiting = iota
		running
		succeeded
		failed
	)
	state := make([]int, len(p.Steps)+1)
	because := make([]int, len(p.Steps)+1) // for failed and skipped: the step whose own failure it was
	errs := make([]error, len(p.Steps)+1)
	inFlight := map[int]int{} // by group of actions that share a limit
	outcomes := make(chan outcome)
	result := Result{Incomplete: map[string]bool{}, Ended: map[int]error{}}
	active := 0
	var notExtended error

	// settle starts what can start and skips what cannot, until nothing changes.
	settle := func() {
		for _, s := range p.Steps {
			if state[s.Number] != waiting {
				continue
			}
			ready := true
			for _, n := range s.Needs {
				if state[n] == failed {
					state[s.Number], because[s.Number] = failed, because[n]
					result.Skipped++
					result.Incomplete[s.Source] = true
					e.Sink.Emit(event.StepSkipped{Step: s, Because: p.Steps[because[n]-1]})
					ready = false
					break
				}
				ready = ready && state[n] == succeeded
			}
			group, bound := e.limit(s.Action)
			if !ready || ctx.Err() != nil || (bound > 0 && inFlight[group] >= bound) {
				continue
			}
			state[s.Number] = running
			inFlight[group]++
			active++
			e.Sink.Emit(event.StepStarted{Step: s})
			go func() { outcomes <- e.perform(ctx, s) }()
		}
	}

	for settle(); active > 0; settle() {
		o := <-outcomes
		active--
		if o.longer != nil {
			if notExtended = o.err; o.err == nil {
				added := make([]int, len(o.longer.Steps)-len(p.Steps))
				p, e.Deployer = *o.longer, o.deployer
				state, because, errs = append(state, added...), append(because, added...), append(errs, make([]error, len(added))...)
			}
			continue
		}
		group, _ := e.limit(o.step.Action)
		inFlight[group]--
		n := o.step.Number
		result.Ended[n] = o.err
		if o.err != nil {
			state[n], because[n], errs[n] = failed, n, o.err
			result.Failed++
			result.Incomplete[o.step.Source] = true
			e.Sink.Emit(event.StepFailed{Step: o.step, Took: o.took, Err: o.err})
			continue
		}
		state[n] = succeeded
		result.Done++
		e.Sink.Emit(event.StepDone{Step: o.step, Took: o.took, Detail: o.detail})
		if e.Extend != nil && o.step.Cluster != nil {
			active++
			go func() { outcomes <- e.extend(ctx) }()
		}
	}
	errs = append(errs, notExtended)
	result.Plan = p
	if err := ctx.Err(); err != nil {
		for _, s := range p.Steps {
			if state[s.Number] == waiting {
				result.Skipped++
				result.Incomplete[s.Source] = true
			}
		}
		errs = append(errs, err)
	}
	return result, errors.Join(errs...)
}

// limit gives the bound that an action is subject to, and a number for the group of actions that share it. A bound of
// zero is none.
func (e *Engine) limit(a plan.Action) (group, bound int) {
	switch a {
	case plan.Build:
		return 1, e.Limits.Builds
	case plan.Load:
		return 2, e.Limits.Loads
	case plan.Apply, plan.Restart, plan.Delete:
		return 3, e.Limits.Calls
	}
	return 0, 0
}

// extend calls Extend as perform calls an adapter.
func (e *Engine) extend(ctx context.Context) (o outcome) {
	o.longer = &plan.Plan{}
	defer func() {
		if p := recover(); p != nil {
			o.err = &fault.Error{Kind: fault.Internal, What: "planning what to deploy", Err: fmt.Errorf("panic: %v", p)}
		}
	}()
	*o.longer, o.deployer, o.err = e.Extend(ctx)
	return o
}

// perform runs one step. A panic in an adapter becomes the step's error, so that the other steps can end in order.
func (e *Engine) perform(ctx context.Context, s plan.Step) (o outcome) {
	o.step = s
	began := time.Now()
	defer func() {
		if p := recover(); p != nil {
			o.err = &fault.Error{Kind: fault.Internal, What: s.String(), Err: fmt.Errorf("panic: %v", p)}
		}
		o.took = time.Since(began)
	}()
	report := func(text string) { e.Sink.Emit(event.StepProgress{Step: s, Text: text}) }
	switch s.Action {
	case plan.Create:
		o.err = e.Clusters.Create(ctx, *s.Cluster, report)
	case plan.Start:
		o.err = e.Clusters.Start(ctx, *s.Cluster, report)
	case plan.Build:
		o.err = e.Builder.Build(ctx, *s.Image, report)
	case plan.Load:
		o.detail, o.err = e.Delivery.Deliver(ctx, *s.Image, s.Nodes, report)
	case plan.Apply:
		o.detail, o.err = e.Deployer.Apply(ctx, s.Source, *s.Object)
	case plan.Restart:
		o.err = e.Deployer.Restart(ctx, s.Source, *s.Object, report)
	case plan.Await:
		o.err = e.Deployer.Await(ctx, s.Source, *s.Object, report)
	case plan.Run:
		o.err = e.Deployer.Run(ctx, s.Source, *s.Hook, report)
	case plan.Delete:
		o.err = e.Deployer.Delete(ctx, s.Source, *s.ID, s.Data, report)
	default:
		o.err = fmt.Errorf("no way to perform %s", s)
	}
	return o
}
