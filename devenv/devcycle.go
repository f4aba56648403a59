package devenv

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/loop"
	"github.com/devenv-run/devenv/devenv/plan"
)

// cycle is one cycle while it runs, and the sink of what happens in it.
type cycle struct {
	session *session
	ctx     context.Context //nolint:containedctx // ended: what fails from then on was stopped
	command loop.StartCycle
	began   time.Time
	cause   string

	mu     sync.Mutex
	told   bool              // that it began; until there is something to do it is not worth a line
	steps  int               // that succeeded
	muted  bool              // it tries again what failed, and is told only if something else comes of it
	handed map[string]handed // by service: what its workloads were given last
	failed map[string]error  // by service: what of its steps failed, or kept them from being tried
	other  bool              // a step of no service failed
	errs   map[int]error     // by step
}

// cycle carries a cycle out.
func (s *session) cycle(ctx context.Context, command loop.StartCycle) loop.CycleEnded {
	c := &cycle{
		session: s, ctx: ctx, command: command, began: time.Now(), cause: command.Cause, failed: map[string]error{}, errs: map[int]error{}, muted: command.Again,
	}
	if c.cause == "" {
		c.cause = cause(command.Paths)
	}
	var invalid error
	if command.Reload {
		invalid = s.reload()
	} else if s.outgrown() {
		invalid = s.rewatch()
	}
	images, unreadable := c.images(ctx)
	p := s.project
	var flying builds
	defer s.starting.Store(false)
	p.course = course{
		images: images, patient: true,
		build:  flying.join,
		deploy: func(d engine.Deployer) engine.Deployer { return patientHooks{d, s.work} },
	}
	if !command.All {
		p.course.only = append([]string{}, command.Services...)
		c.beginBuilds(ctx, &flying, images)
	}
	defer s.ways.rest(ctx, c.works())()
	s.recorder.Store(c)
	ended := loop.CycleEnded{Cause: c.cause, Outcomes: map[string]loop.Outcome{}}
	_, err := p.converge(ctx, UpOptions{Services: s.options.Services}, func(g *gathered) { c.conclude(ctx, g, &ended) })
	flying.end()
	s.recorder.Store(nil)
	p.course = course{}

	whole := errors.Join(invalid, err)
	for service, err := range unreadable {
		ended.Outcomes[service] = loop.Outcome{Err: err}
		whole = errors.Join(whole, err)
		s.setDone(service, "")
	}
	switch {
	case whole != nil && ctx.Err() != nil: // what is newer comes next
		ended.Stopped, whole = true, nil
	case whole != nil && s.away(ctx):
		ended.Stopped, whole = true, nil
	case hot.Outrun(whole) != nil:
		whole = c.outrun(whole, &ended)
	case err != nil && (len(c.failed) == 0 || c.other):
		ended.Err = err
	}
	c.tellEnd(whole, &ended)
	if !c.told && whole == nil && !ended.Stopped && len(ended.Outrun) == 0 {
		clear(ended.Outcomes) // there was nothing to do
	}
	return ended
}

// images are those that need not be looked for: of the services that the cycle is for what is found now, or was found when
// their shortcut was looked for; of the others what was deployed last. A service whose inputs cannot be read stays as it is, and the error
// is in the second result.
func (c *cycle) images(ctx context.Context) (images map[string]image, unreadable map[string]error) {
	images, unreadable = map[string]image{}, map[string]error{}
	if c.command.All {
		c.session.forgetLooked()
		return images, unreadable
	}
	maps.Copy(images, c.session.allDeployed())
	for _, name := range c.command.Services {
		held, isHeld := images[name]
		delete(images, name)
		service, known := c.session.project.config.Service(name)
		if !known {
			continue
		}
		found, looked := c.session.takeLooked(name, c.command.Changed)
		if !looked {
			var err error
			if found, err = c.session.look(ctx, service); err != nil {
				if isHeld && ctx.Err() == nil {
					images[name], unreadable[name] = held, err
				}
				continue // gathering meets the same error
			}
		}
		images[name] = found
	}
	return images, unreadable
}

// beginBuilds starts the builds of what changed, beside all the rest that a cycle has to find out first.
func (c *cycle) beginBuilds(ctx context.Context, flying *builds, images map[string]image) {
	e, err := c.session.project.docker()
	if err != nil {
		return // gathering meets the same error
	}
	by := builder{engine: e, images: map[string]image{}, cache: c.session.project.fileCache}
	var begun []image
	for _, name := range c.command.Services {
		i, found := images[name]
		if deployed := c.session.deployedImage(name); found && deployed != nil && deployed.ref != i.ref {
			by.images[i.ref] = i
			begun = append(begun, i)
		}
	}
	for _, i := range begun {
		flying.begin(ctx, by, i, func(ctx context.Context) bool {
			held, err := e.Images(ctx, []string{i.ref})
			if present := err == nil && held[i.ref] != ""; present {
				return true
			}
			c.session.project.log.Debug("build begins", "service", i.service.Name, "sinceChange", time.Since(c.command.Changed))
			c.tellBegin()
			return false
		})
	}
}

// Emit implements event.Sink for what the cycle's plan makes happen. A plan without steps is not told.
func (c *cycle) Emit(e event.Event) {
	switch e := e.(type) {
	case event.PlanComputed:
		if len(e.Plan.Steps) == 0 {
			return
		}
		c.tellBegin()
	case event.StepStarted:
		if e.Step.Cluster != nil {
			c.session.starting.Store(true)
		}
	case event.StepDone:
		if e.Step.Cluster != nil {
			c.session.starting.Store(false)
		}
		c.mu.Lock()
		c.steps++
		c.gave(e.Step, false)
		c.mu.Unlock()
	case event.StepFailed:
		if e.Step.Cluster != nil {
			c.session.starting.Store(false)
		}
		c.mu.Lock()
		c.gave(e.Step, true)
		c.mu.Unlock()
		if c.ctx != nil && c.ctx.Err() != nil {
			c.pass(event.StepStopped{Step: e.Step, Took: e.Took})
			return
		}
		c.mu.Lock()
		c.errs[e.Step.Number] = e.Err
		c.blame(e.Step, e.Err)
		c.mu.Unlock()
	case event.StepSkipped:
		if c.ctx != nil && c.ctx.Err() != nil {
			return
		}
		c.mu.Lock()
		c.blame(e.Step, c.errs[e.Because.Number])
		c.mu.Unlock()
	}
	c.pass(e)
}

// pass tells an event, unless the cycle is muted.
func (c *cycle) pass(e event.Event) {
	if !c.muted {
		c.session.out.Emit(e)
	}
}

// blame notes that a step did not succeed.
func (c *cycle) blame(step plan.Step, err error) {
	var refs []string
	switch {
	case step.Image != nil:
		refs = []string{step.Image.Ref}
	case step.Object != nil:
		refs = step.Object.Images
	case step.Hook != nil:
		refs = step.Hook.Images
	}
	found := false
	for _, ref := range refs {
		if name := c.session.project.builds(ref); name != "" {
			found = true
			if c.failed[name] == nil {
				c.failed[name] = err
			}
		}
	}
	c.other = c.other || !found
}

// tellBegin says, once, what changed and that something is being done about it.
func (c *cycle) tellBegin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told || c.muted {
		return
	}
	c.told = true
	c.session.tellChanged(c.command.Paths, c.command.Services...)
	c.session.out.Emit(event.CycleStarted{
		Cycle: c.command.Number, Services: c.named(), Cause: c.cause, Reasons: c.command.Reasons, Settling: c.command.Settle && !c.command.All,
	})
}

// named are the services that the cycle is for, none where it is for all.
func (c *cycle) named() []string {
	if c.command.All {
		return nil
	}
	return c.command.Services
}

// works are the services that the cycle works on.
func (c *cycle) works() []string {
	if !c.command.All {
		return c.command.Services
	}
	var all []string
	for _, s := range c.session.project.config.Services {
		all = append(all, s.Name)
	}
	return all
}

// tellEnd says how it ended, if it was told that it began, or if something is wrong.
func (c *cycle) tellEnd(err error, ended *loop.CycleEnded) {
	if c.muted && (err == nil && c.steps > 0 || err != nil && !c.session.saidAgain("", err, true)) {
		c.muted = false
		c.tellBegin()
	} else if err != nil && !c.muted {
		c.session.saidAgain("", err, false)
		c.tellBegin()
	}
	if !c.told {
		return
	}
	done := event.CycleDone{
		Cycle: c.command.Number, Services: c.named(), Cause: c.cause, Reasons: c.command.Reasons, Ways: map[string]string{},
		Steps: c.steps, Stopped: ended.Stopped || err == nil && len(ended.Outrun) > 0, Took: time.Since(c.began), Err: err,
	}
	done.OK = err == nil && !done.Stopped
	if !c.command.Changed.IsZero() {
		done.Since = time.Since(c.command.Changed)
	}
	for name, o := range ended.Outcomes {
		if o.Err == nil && !ended.Stopped {
			done.Ways[name] = "full"
		}
	}
	c.session.out.Emit(done)
}

// reload reads devenv.yaml again. If it is not valid, the old one stays in force.
func (s *session) reload() error {
	p := s.project
	c, err := config.Load(p.options.File, config.Options{Over: p.options.Over, Profile: p.options.Profile})
	if err != nil {
		return err
	}
	if c.Name != p.config.Name {
		return &fault.Error{
			Kind: fault.Config, What: "the environment's name changed from " + p.config.Name + " to " + c.Name, Where: c.At("name").String(),
			Next: "Change it back, or end `devenv dev` and start it anew: another name is another environment.",
		}
	}
	if _, err := c.Select(s.options.Services); err != nil {
		return err
	}
	s.owned(func() { p.config = c })
	p.allowNames()
	p.notices()
	if err := s.rewatch(); err != nil {
		return err
	}
	s.send(loop.Reloaded{Services: s.services()})
	return nil
}

// cause is a batch of paths as a phrase.
func cause(paths []string) string {
	switch len(paths) {
	case 0:
		return "something changed"
	case 1:
		return paths[0] + " changed"
	case 2:
		return strings.Join(paths, " and ") + " changed"
	}
	return paths[0] + " and " + plan.Count(len(paths)-1, "more file") + " changed"
}
