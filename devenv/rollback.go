package devenv

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/history"
	"github.com/devenv-run/devenv/devenv/plan"
)

// History emits the revisions of a service, the newest first.
func (p *Project) History(ctx context.Context, service string) error {
	if _, err := p.config.Select([]string{service}); err != nil {
		return err
	}
	g, err := p.lookBack(ctx)
	if err != nil {
		return stopped(ctx, err)
	}
	defer g.close()
	heads := history.Of(g.heads, service)
	running, _, err := p.current(ctx, g, heads)
	if err != nil {
		return stopped(ctx, err)
	}
	answer := event.History{Service: service, Revisions: []event.Revision{}}
	for _, h := range slices.Backward(heads) {
		answer.Revisions = append(answer.Revisions, event.Revision{
			Number: h.Number, At: h.At, Image: h.Image, Cause: h.Cause, Current: h.Number == running.Number,
		})
	}
	p.sink.Emit(answer)
	return nil
}

// lookBack connects to the environment's cluster, which has to run, and reads which revisions there are.
func (p *Project) lookBack(ctx context.Context) (*gathered, error) {
	engine, err := p.docker()
	if err != nil {
		return nil, err
	}
	g := &gathered{engine: engine, clusters: p.clusters(engine)}
	if g.state, err = g.clusters.Status(ctx); err != nil {
		return nil, err
	}
	switch g.state.Status {
	case plan.Absent:
		return nil, p.notRunning("it has no cluster", "`devenv up` makes one.")
	case plan.Stopped:
		return nil, p.notRunning("its cluster is stopped", "`devenv up` starts it.")
	}
	if g.cluster, err = p.connect(ctx, g.clusters, g.state); err != nil {
		return nil, err
	}
	if g.heads, err = g.cluster.Heads(ctx); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

// Rollback brings a service back to a revision: the one with this number, or for 0 the newest that is not what runs. If it does not become
// ready, what ran before comes back.
func (p *Project) Rollback(ctx context.Context, service string, number int) (Outcome, error) {
	if _, err := p.config.Select([]string{service}); err != nil {
		return Outcome{}, err
	}
	release, err := p.state.lock()
	if err != nil {
		return Outcome{}, err
	}
	defer release()
	g, err := p.lookBack(ctx)
	if err != nil {
		return Outcome{}, stopped(ctx, err)
	}
	defer g.close()
	outcome, err := p.rollback(ctx, g, service, number)
	return outcome, stopped(ctx, err)
}

func (p *Project) rollback(ctx context.Context, g *gathered, service string, number int) (Outcome, error) {
	heads := history.Of(g.heads, service)
	running, sound, err := p.current(ctx, g, heads)
	if err != nil {
		return Outcome{}, err
	}
	if number == 0 {
		heads = sound
	}
	target, err := pick(ctx, service, heads, number, running.Content, p.reader(g), p.passOver)
	if err != nil {
		return Outcome{}, err
	}
	name := fmt.Sprintf("revision %d of %s", target.Number, service)
	todo, err := p.toward(ctx, g, name, target.Objects)
	if err != nil {
		return Outcome{}, err
	}
	if len(todo.Steps) == 0 {
		return Outcome{Summary: fmt.Sprintf("%s is as in revision %d (%s), nothing to do", service, target.Number, plan.ShortRef(target.Image))}, nil
	}
	newest, damaged, err := readNewest(ctx, g.heads, p.reader(g))
	if err != nil {
		return Outcome{}, err
	}
	delete(damaged, service) // was said when looking for what runs
	for _, other := range slices.Sorted(maps.Keys(damaged)) {
		p.passOver(damaged[other])
	}
	p.sayShared(target, newest)
	because(todo, allOf(target))
	done, err := p.execute(ctx, g, todo)
	outcome := Outcome{Steps: done.Done}
	if err != nil {
		if ctx.Err() != nil {
			return outcome, err // the next command goes on from there
		}
		more, again := p.undo(ctx, g, running, done)
		outcome.Steps += more
		return outcome, errors.Join(err, again)
	}
	cause := fmt.Sprintf("rollback to %d", target.Number)
	kept, err := p.keepRollback(ctx, g, target, newest, cause)
	if err != nil {
		p.sink.Emit(event.Warning{Text: "the rollback could not be kept as a revision: " + err.Error()})
	}
	p.sink.Emit(event.Notice{Text: "the next `devenv up` rolls out again what the working tree declares"})
	outcome.Summary = fmt.Sprintf("%s runs revision %d (%s)", service, target.Number, plan.ShortRef(target.Image))
	if kept > 0 {
		outcome.Summary += fmt.Sprintf(", kept as revision %d", kept)
	}
	return outcome, nil
}

// choose finds the revision to return to among those of a service.
func choose(service string, heads []history.Head, number int, running string) (history.Head, error) {
	if len(heads) == 0 {
		return history.Head{}, &fault.Error{
			Kind: fault.Config, What: "there is no revision of " + service + " to return to",
			Next: "`devenv up` records one each time the service has become ready in a new state.",
		}
	}
	if number == 0 {
		if h, ok := history.Previous(heads, running); ok {
			return h, nil
		}
		return history.Head{}, &fault.Error{
			Kind: fault.Config, What: "there is no earlier revision of " + service + " to return to",
			Err:  fmt.Errorf("the only state that was recorded is what runs: revision %d", heads[len(heads)-1].Number),
			Next: "`devenv history " + service + "` lists the revisions.",
		}
	}
	var known []string
	for _, h := range heads {
		if h.Number == number {
			return h, nil
		}
		known = append(known, fmt.Sprint(h.Number))
	}
	return history.Head{}, &fault.Error{
		Kind: fault.Config, What: fmt.Sprintf("there is no revision %d of %s", number, service),
		Next: fmt.Sprintf("The revisions are %s; `devenv history %s` says what they are.", strings.Join(known, ", "), service),
	}
}

// sayShared tells what else uses the configuration that goes back, and which workloads stay because the revision does not know them.
func (p *Project) sayShared(target history.Revision, newest map[string]history.Revision) {
	for _, o := range target.Objects {
		var users []string
		for _, s := range p.config.Services {
			old, ok := newest[s.Name].Find(o.ID)
			if ok && s.Name != target.Service && !o.IsWorkload() && old.Hash != o.Hash {
				users = append(users, s.Name)
			}
		}
		if len(users) > 0 {
			p.sink.Emit(event.Notice{Text: fmt.Sprintf("%s goes back too; it is also used by %s", o.ID, strings.Join(users, ", "))})
		}
	}
	for _, o := range newest[target.Service].Workloads() {
		if _, ok := target.Find(o.ID); !ok {
			p.sink.Emit(event.Notice{Text: fmt.Sprintf("%s is not part of revision %d and stays as it is", o.ID, target.Number)})
		}
	}
}

// undo has what ran before a rollback that failed run again.
func (p *Project) undo(ctx context.Context, g *gathered, before history.Revision, d deployment) (int, error) {
	if before.Number == 0 {
		p.sink.Emit(event.Notice{Text: "what ran before is in no revision, so it cannot be brought back; `devenv up` rolls out what the working tree declares"})
		return 0, nil
	}
	_, _, judged := d.trouble()
	if !judged {
		return 0, nil
	}
	return p.goBack(ctx, g, allOf(before))
}

// allOf is the return to all of a revision.
func allOf(r history.Revision) history.Return {
	back := history.Return{Objects: r.Objects, Of: map[plan.ID]history.Head{}}
	for _, o := range r.Objects {
		back.Of[o.ID] = r.Head
		if o.IsWorkload() {
			back.Kept = append(back.Kept, history.Kept{ID: o.ID, Revision: r.Head})
		}
	}
	return back
}

// keepRollback records what runs now: for the service, and for those that share objects with it. It returns the service's new number.
func (p *Project) keepRollback(ctx context.Context, g *gathered, target history.Revision, newest map[string]history.Revision, cause string) (int, error) {
	after := context.WithoutCancel(ctx)
	target.Cause = cause
	number, err := p.keep(after, g, target)
	errs := []error{err}
	for _, s := range p.config.Services {
		other, ok := newest[s.Name]
		if !ok || s.Name == target.Service {
			continue
		}
		now := other.Replace(target.Objects, target.Images)
		if now.Content == other.Content {
			continue
		}
		now.Cause = cause + " of " + target.Service
		_, err := p.keep(after, g, now)
		errs = append(errs, err)
	}
	return number, errors.Join(errs...)
}
