package devenv

import (
	"context"
	"errors"
	"runtime"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// Up makes the environment match the working tree and returns when it is ready. With nothing to do it executes no step.
func (p *Project) Up(ctx context.Context, o UpOptions) (Outcome, error) {
	if err := o.check(); err != nil {
		return Outcome{}, err
	}
	release, err := p.state.lock()
	if err != nil {
		return Outcome{}, err
	}
	defer release()
	p.notices()

	total, err := p.converge(ctx, o, nil)
	if err != nil {
		return Outcome{Steps: total}, stopped(ctx, err)
	}
	summary := p.name + " is ready, " + plan.Count(total, "step")
	if total == 0 {
		summary = p.name + " is ready, nothing to do"
	}
	return Outcome{Steps: total, Summary: summary}, nil
}

// converge gathers, plans and carries out, and returns how many steps that took. When the plan has ended, well or not, ended gets what was
// gathered, which is closed afterwards; it may be nil.
func (p *Project) converge(ctx context.Context, o UpOptions, ended func(*gathered)) (int, error) {
	services := o.Services
	g, err := p.gatherForPlan(ctx, services)
	if err != nil {
		return 0, err
	}
	defer func() { g.close() }()
	if err := p.course.paused(g.state); err != nil {
		return 0, err
	}
	g.desired.Data = o.Data
	p.leaveHot(g)
	todo := g.plan()
	var extend func(context.Context) (plan.Plan, engine.Deployer, error)
	if g.state.Status != plan.Running {
		todo = todo.Infrastructure()
		extend = func(ctx context.Context) (plan.Plan, engine.Deployer, error) { return p.extend(ctx, g, services, todo) }
	}
	total, err := p.run(ctx, g, todo, extend)
	if ended != nil {
		ended(g)
	}
	if err != nil {
		return total, err
	}
	kept := g.plan().Kept // of the whole plan, where it was extended
	p.tellKept(g, kept)
	p.remember(g.images, services)
	if len(services) == 0 {
		err = p.tidy(ctx, g, kept)
	}
	if !p.course.patient { // while a `dev` runs, its shortcuts do that
		p.dropHot(ctx, g)
	}
	return total, err
}

// extend plans what to deploy once the cluster runs, which can then say what it holds and which APIs it has, as charts may ask. Images go
// on being built meanwhile, from the working tree as it was when the command began.
func (p *Project) extend(ctx context.Context, g *gathered, services []string, begun plan.Plan) (plan.Plan, engine.Deployer, error) {
	// Pods that start before names can be looked up fail for no fault of theirs.
	if err := g.clusters.AwaitNames(ctx, func(text string) { p.log.Debug("awaiting DNS", "progress", text) }); err != nil {
		return begun, nil, err
	}
	if err := p.readCluster(ctx, g); err != nil {
		return begun, nil, err
	}
	if err := p.declare(ctx, g, services); err != nil {
		return begun, nil, err
	}
	todo := begun.Extend(g.plan())
	added := plan.Plan{Steps: todo.Steps[len(begun.Steps):]}
	p.sink.Emit(event.PlanComputed{Plan: added, Text: added.String()})
	return todo, p.course.deployer(g.cluster), nil
}

// notices says which keys of devenv.yaml have no effect yet.
func (p *Project) notices() {
	for _, text := range p.config.Notices() {
		p.notice(text)
	}
}

func (p *Project) notice(text string) { p.once(event.Notice{Text: text}) }

// once emits an event that is equal to none that it has emitted: gathering twice finds the same things to say.
func (p *Project) once(e event.Event) {
	if _, again := p.said.LoadOrStore(e, true); !again {
		p.sink.Emit(e)
	}
}

// run carries out a plan, and what extend adds to it where that is not nil, settles what came of it, and returns how many steps were executed.
func (p *Project) run(
	ctx context.Context, g *gathered, todo plan.Plan, extend func(context.Context) (plan.Plan, engine.Deployer, error),
) (int, error) {
	p.sink.Emit(event.PlanComputed{Plan: todo, Text: todo.String()})
	if len(todo.Steps) == 0 {
		return p.settle(ctx, g, deployment{Plan: todo}, nil)
	}
	e := p.performer(ctx, g)
	e.Extend = extend
	result, err := e.Run(ctx, todo)
	if e.Deployer == nil {
		return result.Done, err
	}
	// Also when ctx has ended: what was applied until then is to be remembered.
	after := context.WithoutCancel(ctx)
	err = errors.Join(err, markDeployed(after, g, result), g.cluster.Flush(after))
	more, err := p.settle(ctx, g, deployment(result), err)
	return result.Done + more, err
}

// performer carries out plans with what g holds.
func (p *Project) performer(ctx context.Context, g *gathered) *engine.Engine {
	images := make(map[string]image, len(g.images))
	for _, i := range g.images {
		images[i.ref] = i
	}
	e := &engine.Engine{
		Clusters: g.clusters,
		Builder:  builder{engine: g.engine, images: images, cache: p.fileCache},
		Delivery: g.clusters,
		Sink:     p.sink,
		Limits:   engine.Limits{Builds: max(4, runtime.NumCPU()), Loads: 2, Calls: 16},
	}
	if g.cluster != nil {
		e.Deployer = g.cluster
	}
	p.course.equip(e)
	return e
}

// markDeployed records which sources were deployed to their end, whatever became of the others: their next deployment is an upgrade, and what
// their hooks left for the end goes now.
func markDeployed(ctx context.Context, g *gathered, result engine.Result) error {
	var errs []error
	for _, name := range complete(g, result) {
		errs = append(errs, g.cluster.MarkDeployed(ctx, name))
	}
	return errors.Join(errs...)
}

// complete lists the sources of which a deployment did all that was to be done, as far as that is news.
func complete(g *gathered, result engine.Result) []string {
	hooked := map[string]bool{}
	for _, s := range result.Plan.Steps {
		if s.Action == plan.Run {
			hooked[s.Source] = true
		}
	}
	var names []string
	for i, s := range g.desired.Sources {
		whole := g.whole.Sources[i]
		if len(s.Objects) < len(whole.Objects) || len(s.Hooks) < len(whole.Hooks) {
			continue // a run for some services left out a part; hooks that run at the installation only are still due
		}
		if !result.Incomplete[s.Name] && (hooked[s.Name] || !g.observed.Sources[s.Name]) {
			names = append(names, s.Name)
		}
	}
	return names
}

// stopped makes the errors of a run that was stopped from outside into one that says so and decides the exit code. What only broke
// because it was being stopped is left out; what had failed before is told with it.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	stop := &fault.Error{Kind: fault.Interrupted, What: "interrupted", Next: "Run the same command again: it goes on from here."}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		stop.Kind, stop.What, stop.Err = fault.Deploy, "stopped", context.Cause(ctx)
	}
	all := []error{stop}
	for _, e := range fault.All(err) {
		if f := (*fault.Error)(nil); errors.As(e, &f) && f.Kind != fault.Interrupted &&
			!errors.Is(e, context.Canceled) && !errors.Is(e, context.DeadlineExceeded) {
			all = append(all, e)
		}
	}
	return errors.Join(all...)
}

// Plan says what Up would do, and changes nothing.
func (p *Project) Plan(ctx context.Context, o UpOptions) (Outcome, error) {
	if err := o.check(); err != nil {
		return Outcome{}, err
	}
	p.notices()
	g, err := p.gatherForPlan(ctx, o.Services)
	if err != nil {
		return Outcome{}, stopped(ctx, err)
	}
	defer g.close()
	g.desired.Data = o.Data
	todo := g.plan()
	p.sink.Emit(event.PlanComputed{Plan: todo, Text: todo.String(), DryRun: true})
	p.tellKept(g, todo.Kept)
	if g.state.Status == plan.Stopped {
		p.sink.Emit(event.Notice{Text: "the cluster is stopped; what else there is to do is planned once it runs"})
	}
	return Outcome{Steps: len(todo.Steps)}, nil
}
