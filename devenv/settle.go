package devenv

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/history"
	"github.com/devenv-run/devenv/devenv/plan"
)

// This file ends a deployment: what failed returns to what served before, and what became ready is recorded as a revision.

// returnPatience is how long a workload that returned is awaited. Its pods most often run all the time.
const returnPatience = 90 * time.Second

// deployment is a plan that was carried out, and what came of it.
type deployment engine.Result

// trouble lists the workloads whose new version did not become ready (failed) or did not get into the cluster for what failed before it
// (skipped). judged is false where the cluster did not answer: that says nothing about a version.
func (d deployment) trouble() (failed, skipped []plan.ID, judged bool) {
	judged = true
	for _, s := range d.Plan.Steps {
		if s.Object == nil || !history.IsWorkload(s.Object.ID) {
			continue
		}
		err, tried := d.Ended[s.Number]
		switch {
		case tried && err == nil:
		case !tried && s.Action == plan.Apply:
			skipped = append(skipped, s.Object.ID)
		case !tried:
		case slices.Contains([]fault.Kind{fault.Deploy, fault.Config, fault.Refused}, fault.Of(err)):
			failed = append(failed, s.Object.ID)
		default:
			judged = false
		}
	}
	return failed, skipped, judged
}

// reached says whether everything that was to be done for an object was done.
func (d deployment) reached(id plan.ID) bool {
	for _, s := range d.Plan.Steps {
		if s.Object != nil && s.Object.ID == id {
			if err, tried := d.Ended[s.Number]; !tried || err != nil {
				return false
			}
		}
	}
	return true
}

// hooks lists the hooks that ran.
func (d deployment) hooks() []string {
	var ran []string
	for _, s := range d.Plan.Steps {
		if err, tried := d.Ended[s.Number]; s.Action == plan.Run && tried && err == nil {
			ran = append(ran, s.Hook.ID.String())
		}
	}
	return ran
}

// settle ends a deployment that ended with the error failed, and returns that error with what went wrong here. more is how many steps it
// took. When ctx has ended nothing returns: whoever stopped a deployment has not seen it fail, and the next one goes on from there.
func (p *Project) settle(ctx context.Context, g *gathered, d deployment, failed error) (more int, err error) {
	now, err := history.Take(g.desired)
	if err != nil {
		return 0, errors.Join(failed, err)
	}
	var back history.Return
	if failed != nil && ctx.Err() == nil {
		back, more, err = p.giveBack(ctx, g, d, now)
		failed = errors.Join(failed, err)
	}
	// Also when ctx has ended: what became ready until then can be returned to.
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := p.record(after, g, d, now, back); err != nil {
		p.sink.Emit(event.Warning{Text: "what became ready could not be kept as a revision: " + err.Error()})
	}
	return more, failed
}

// giveBack has what failed return to the newest revisions, and says what that was and how many steps it took.
func (p *Project) giveBack(ctx context.Context, g *gathered, d deployment, now map[string]history.Revision) (back history.Return, steps int, err error) {
	failed, skipped, judged := d.trouble()
	if !judged || len(failed)+len(skipped) == 0 {
		return back, 0, nil
	}
	newest, damaged, err := readNewest(ctx, g.heads, p.reader(g))
	if err != nil {
		return back, 0, err
	}
	var all []history.Object
	for _, r := range newest {
		all = append(all, r.Objects...)
	}
	there, err := given(ctx, g, all)
	if err != nil {
		return back, 0, err
	}
	back = history.Failure{Now: now, Newest: newest, Trouble: slices.Concat(failed, skipped), There: there}.Back()
	left := slices.DeleteFunc(back.Left, func(l history.Left) bool { return !slices.Contains(failed, l.ID) })
	left, wanted := stranded(left, damaged, now)
	for _, l := range left {
		p.sink.Emit(event.Notice{Text: l.ID.String() + " stays as it was applied: " + l.Reason})
	}
	var lost error
	for _, service := range slices.Sorted(maps.Keys(damaged)) {
		if slices.Contains(wanted, service) {
			lost = errors.Join(lost, damaged[service])
		} else {
			p.passOver(damaged[service])
		}
	}
	steps, err = p.goBack(ctx, g, back)
	err = errors.Join(whileReturning(lost), err)
	if len(back.Kept) > 0 {
		for _, hook := range d.hooks() {
			p.sink.Emit(event.Notice{Text: "hook " + hook + " ran for the new version; what it did is not undone"})
		}
	}
	return back, steps, err
}

// goBack carries a return out and tells what every workload goes on as. It returns how many steps that took.
func (p *Project) goBack(ctx context.Context, g *gathered, back history.Return) (int, error) {
	var d deployment
	var err error
	if len(back.Objects) > 0 {
		var todo plan.Plan
		if todo, err = p.toward(ctx, g, revisions(back.Kept), back.Objects); err != nil {
			return 0, err
		}
		because(todo, back)
		if !slices.ContainsFunc(todo.Steps, func(s plan.Step) bool { return s.Action == plan.Apply }) {
			todo = plan.Plan{} // all is as it is to be; whether it is ready was waited for already
		}
		todo = todo.AwaitLast() // the time is short, and what is not applied in it stays in the version that failed
		brief, cancel := context.WithTimeout(ctx, returnPatience)
		defer cancel()
		d, err = p.execute(brief, g, todo)
		if ctx.Err() == nil && brief.Err() != nil {
			err = d.unapplied(back.Of) // the rest is back, if not ready yet, which the events say
		}
	}
	for _, k := range back.Kept {
		returned := event.Returned{
			Workload: k.ID.String(), Service: k.Revision.Service, Revision: k.Revision.Number, Image: k.Revision.Image, Since: k.Revision.At,
			Ready: d.reached(k.ID),
		}
		if k.Shares != (plan.ID{}) {
			returned.Shares = k.Shares.String()
		}
		if d.applied(k.ID) {
			p.sink.Emit(returned)
		}
	}
	return d.Done, whileReturning(err)
}

// revisions names the revisions that workloads go on as: "revision 3 of grades, revision 1 of web".
func revisions(kept []history.Kept) string {
	var names []string
	for _, k := range kept {
		if name := fmt.Sprintf("revision %d of %s", k.Revision.Number, k.Revision.Service); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// applied says whether no step that applies the object failed or was left out.
func (d deployment) applied(id plan.ID) bool {
	for _, s := range d.Plan.Steps {
		if s.Action == plan.Apply && s.Object.ID == id {
			err, tried := d.Ended[s.Number]
			return tried && err == nil
		}
	}
	return true
}

// unapplied is what went wrong before an object was in the cluster, in a return that ran out of time: of says which revisions its objects are
// from. What was not done by then is said of each object, because it stays in the version that failed.
func (d deployment) unapplied(of map[plan.ID]history.Head) error {
	var errs []error
	for _, s := range d.Plan.Steps {
		if s.Action == plan.Await {
			continue
		}
		err, tried := d.Ended[s.Number]
		switch {
		case tried && (fault.Of(err) != fault.Internal || !errors.Is(err, context.DeadlineExceeded)):
			errs = append(errs, err)
		case s.Object != nil:
			from := of[s.Object.ID]
			errs = append(errs, &fault.Error{
				Kind: fault.Deploy, What: fmt.Sprintf("%s was not applied within %s", s.Subject, returnPatience),
				Next: fmt.Sprintf("It is as the failed deployment left it; `devenv rollback %s --to %d` brings it back.", from.Service, from.Number),
			})
		case s.Image != nil:
			errs = append(errs, &fault.Error{
				Kind: fault.Deploy, What: fmt.Sprintf("image %s was not loaded within %s", s.Image.Short(), returnPatience),
				Next: "`devenv rollback` of a service that runs it loads it.",
			})
		}
	}
	return errors.Join(errs...)
}

// execute carries out a plan of revisions.
func (p *Project) execute(ctx context.Context, g *gathered, todo plan.Plan) (deployment, error) {
	if len(todo.Steps) == 0 {
		return deployment{}, nil
	}
	p.sink.Emit(event.PlanComputed{Plan: todo, Text: todo.String()})
	result, err := p.performer(ctx, g).Run(ctx, todo)
	return deployment(result), err
}

// because gives the steps of a return their cause.
func because(todo plan.Plan, back history.Return) {
	for i := range todo.Steps {
		s := &todo.Steps[i]
		if s.Action != plan.Apply {
			continue
		}
		of := back.Of[s.Object.ID]
		s.Cause = fmt.Sprintf("back to revision %d of %s", of.Number, of.Service)
	}
}

// whileReturning says of errors that they are those of a return.
func whileReturning(err error) error {
	var all []error
	for _, e := range fault.All(err) {
		if f := (*fault.Error)(nil); errors.As(e, &f) {
			copied := *f
			copied.What = "while returning to what served before: " + f.What
			e = &copied
		}
		all = append(all, e)
	}
	return errors.Join(all...)
}

// record keeps what is ready, of every service of which all was deployed and nothing returned.
func (p *Project) record(ctx context.Context, g *gathered, d deployment, now map[string]history.Revision, back history.Return) error {
	whole, err := history.Take(g.whole)
	if err != nil {
		return err
	}
	newest := history.Newest(g.heads)
	var errs []error
	for _, i := range g.images {
		name := i.service.Name
		r, ok := now[name]
		if !ok || r.Content != whole[name].Content || r.Content == newest[name].Content || back.Touches(r) ||
			slices.ContainsFunc(r.Objects, func(o history.Object) bool { return !d.reached(o.ID) }) {
			continue
		}
		cause, err := causeOf(ctx, newest[name], r, i.cause, p.reader(g))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		r.Cause = cause
		for _, h := range history.Of(g.heads, name) {
			if h.Content == r.Content {
				r.Cause = fmt.Sprintf("%s, as in revision %d", cause, h.Number)
			}
		}
		_, err = p.keep(ctx, g, r)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// keep records a revision as of now, and returns its number.
func (p *Project) keep(ctx context.Context, g *gathered, r history.Revision) (int, error) {
	if newest := history.Newest(g.heads)[r.Service]; newest.Content == r.Content {
		return newest.Number, nil
	}
	r.At = time.Now().UTC().Truncate(time.Second)
	r, err := g.cluster.Record(ctx, r)
	if err == nil {
		p.sink.Emit(event.Recorded{Service: r.Service, Revision: r.Number, Image: r.Image, Cause: r.Cause})
	}
	return r.Number, err
}
