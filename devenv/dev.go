package devenv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/kind"
	"github.com/devenv-run/devenv/devenv/loop"
	"github.com/devenv-run/devenv/devenv/watch"
)

// DevOptions say what Dev is for.
type DevOptions struct {
	Services     []string      // only these, and what belongs to no service; empty: everything
	SettleAfter  time.Duration // how long a service that is hot has no change before it is settled
	SettleOnExit bool          // settle what is hot before Dev returns
	Keys         <-chan Key    // what the user asks for while it runs; may be nil
}

// Key is what a user asks for while Dev runs.
type Key int

// The keys.
const (
	KeyRebuild Key = iota // look at everything again, and try again what failed
	KeySettle             // settle what is hot now
	KeyQuit
	KeyLogs // logs of all services, of one after the other, of none
)

// Dev is Up, and then it watches the working tree and has every change take the shortest correct way into the cluster. It holds the
// environment all the time. What happens is told as events. It returns without an error when ctx ends or the user quits, and leaves the environment
// as it is; before everything was up once, the end of ctx is an interruption.
func (p *Project) Dev(ctx context.Context, o DevOptions) (Outcome, error) {
	if _, err := p.config.Select(o.Services); err != nil {
		return Outcome{}, err
	}
	release, err := p.state.lock()
	if err != nil {
		return Outcome{}, err
	}
	defer release()
	p.notices()
	s, err := p.session(ctx, o)
	if err != nil {
		return Outcome{}, stopped(ctx, err)
	}
	defer s.close()
	if err := s.start(ctx); err != nil {
		return Outcome{}, stopped(ctx, err)
	}
	s.run(ctx)
	return Outcome{Summary: p.name + " is left as it is; `devenv dev` watches again"}, nil
}

// session is a `dev` while it runs. The loop's state belongs to the goroutine of run; what works share is guarded by mu.
type session struct {
	project  *Project
	options  DevOptions
	out      event.Sink // where events go in the end
	ways     shortcuts
	clusters *kind.Clusters // to look whether the cluster is there

	work     context.Context //nolint:containedctx // of everything that is begun while it watches; ends after the last of it
	end      context.CancelFunc
	running  sync.WaitGroup
	events   chan loop.Event
	cancels  map[string]context.CancelFunc // of shortcuts by service, of the cycle under ""
	recorder atomic.Pointer[cycle]
	starting atomic.Bool   // a cluster is being created or started
	calls    chan func()   // to be called by the owner of the state
	news     chan struct{} // how the services stand may have changed

	tree  *tree
	state loop.State
	timer *time.Timer

	shown    event.DevServices // what was told last of the services
	logged   []string          // whose logs are shown
	unfollow func()

	mu       sync.Mutex
	deployed map[string]image    // by service: what the cycles that succeeded deployed last
	looked   map[string]looked   // by service: found by a shortcut that fell, for the cycle that follows
	done     map[string]string   // by service: the reference of the state that its last work brought into the cluster; none if it failed
	restless map[string][]string // by service: the files that changed while its last work read them
	warned   map[string]bool     // what was said of such files
	said     map[string]string   // by service, and "" for cycles: the error that was told last
	inCycle  []string            // the services of the cycle that runs
	visible  map[string]bool     // services of whose work something was told; what finds nothing to do is not seen
	told     map[string]struct{} // paths that were told as changed, and not yet taken by a cycle
}

func (p *Project) session(ctx context.Context, o DevOptions) (*session, error) {
	engine, err := p.docker()
	if err != nil {
		return nil, err
	}
	s := &session{
		project: p, options: o, out: p.sink, clusters: p.clusters(engine),
		events: make(chan loop.Event), cancels: map[string]context.CancelFunc{}, calls: make(chan func()),
		deployed: map[string]image{}, looked: map[string]looked{}, done: map[string]string{}, restless: map[string][]string{}, warned: map[string]bool{}, said: map[string]string{}, told: map[string]struct{}{}, visible: map[string]bool{}, news: make(chan struct{}, 1),
	}
	if s.ways, err = p.hotpath(ctx); err != nil {
		return nil, err
	}
	s.unfollow = func() {}
	s.work, s.end = context.WithCancel(context.WithoutCancel(ctx))
	p.sink = event.SinkFunc(func(e event.Event) {
		if c := s.recorder.Load(); c != nil {
			c.Emit(e)
		} else {
			s.out.Emit(e)
		}
	})
	return s, nil
}

// close ends what is left, and gives back what the session took of its project.
func (s *session) close() {
	s.end()
	s.running.Wait()
	s.ways.close()
	if s.tree != nil {
		s.tree.watcher.Close()
	}
	s.project.sink = s.out
}

// start begins to watch, so that no change is missed, and brings the environment up. If a build or a deployment fails it is told, and the
// next save tries again; every other error ends the session.
func (s *session) start(ctx context.Context) error {
	var err error
	if s.tree, err = s.plant(); err != nil {
		return err
	}
	settings := loop.Defaults()
	settings.SettleAfter, settings.SettleOnExit = s.options.SettleAfter, s.options.SettleOnExit
	s.state = loop.New(settings, s.services())
	c := &cycle{session: s, ctx: ctx, began: time.Now(), failed: map[string]error{}, errs: map[int]error{}, told: true}
	c.command.All = true
	s.recorder.Store(c)
	var ended loop.CycleEnded
	ended.Outcomes = map[string]loop.Outcome{}
	for range 3 { // files that change while they are built: what is newer comes next
		_, err = s.project.converge(ctx, UpOptions{Services: s.options.Services}, func(g *gathered) { c.conclude(ctx, g, &ended) })
		if hot.Outrun(err) == nil || ctx.Err() != nil {
			break
		}
		clear(c.failed)
		clear(ended.Outcomes)
	}
	s.recorder.Store(nil)
	if ctx.Err() != nil {
		return cmp.Or(err, ctx.Err())
	}
	if kind := fault.Of(err); err != nil && kind != fault.Build && kind != fault.Deploy {
		return err
	}
	if err != nil {
		s.out.Emit(event.CycleDone{Cause: "starting", Took: time.Since(c.began), Err: err})
		for name, o := range ended.Outcomes {
			if o.Err != nil {
				s.state.Services[name] = loop.Service{Failed: true, Joins: true}
			}
		}
		s.out.Emit(event.Notice{Text: "watching all the same: the next save tries again"})
	}
	s.out.Emit(event.Watching{Services: s.services()})
	return nil
}

// services are the names of those that are watched.
func (s *session) services() []string {
	selected, _ := s.project.config.Select(s.options.Services) // they were checked when devenv.yaml was read
	names := make([]string, len(selected))
	for i, service := range selected {
		names[i] = service.Name
	}
	return names
}

// How long after the last event an idle dev becomes small, and how often it looks whether it grew again by what goes on all the time, such as
// following the pods.
const (
	calmAfter = 5 * time.Second
	calmAgain = 30 * time.Second
)

// run owns the loop's state until it is left.
func (s *session) run(ctx context.Context) {
	s.timer = time.NewTimer(time.Hour)
	s.timer.Stop()
	defer s.timer.Stop()
	// What was allocated on the way here, or while something was done, is given back some time after: not in the way of the next change, and
	// when what goes on beside the loop, such as following the pods, has come to rest too.
	calm, small := time.NewTimer(calmAfter), slim{}
	defer calm.Stop()
	stop, keys := ctx.Done(), s.options.Keys
	s.tell()
	for {
		var e loop.Event
		select {
		case b, open := <-s.tree.watcher.Batches():
			if !open {
				return
			}
			if e = s.tree.resolve(b); e == nil {
				continue
			}
		case e = <-s.events:
		case call := <-s.calls:
			call()
			calm.Reset(calmAfter)
			continue
		case <-calm.C:
			if s.state.Quiet() {
				small.down(resident, giveBack)
				calm.Reset(calmAgain)
			}
			continue
		case <-s.news:
			s.tell()
			continue
		case <-s.timer.C:
			e = loop.Tick{}
		case <-stop:
			stop = nil
			e = loop.Pressed{Key: loop.Quit}
		case k, open := <-keys:
			if !open {
				keys = nil
				continue
			}
			if k == KeyLogs {
				s.logs()
				s.tell()
				continue
			}
			e = loop.Pressed{Key: loop.Key(k)}
		}
		calm.Reset(calmAfter)
		if s.step(e) {
			return
		}
	}
}

// step has the loop take an event, and carries out what it commands. It says whether the loop was left.
func (s *session) step(e loop.Event) (left bool) {
	var commands []loop.Command
	s.state, commands = s.state.Step(e, time.Now())
	s.timer.Stop()
	for _, command := range commands {
		switch c := command.(type) {
		case loop.TryShortcut:
			s.begin(c.Service, c.Paths, func(ctx context.Context) loop.Event { return s.shortcut(ctx, c) })
		case loop.StartCycle:
			s.mu.Lock()
			s.inCycle = c.Services
			s.mu.Unlock()
			s.begin("", c.Paths, func(ctx context.Context) loop.Event { return s.cycle(ctx, c) })
		case loop.CancelShortcut:
			s.cancels[c.Service]()
		case loop.CancelCycle:
			s.cancels[""]()
		case loop.AwaitReturn:
			s.out.Emit(event.Away{Err: s.state.Away})
			s.running.Go(s.awaitReturn)
		case loop.TellRestless:
			s.tellRestless(c.Service)
		case loop.Wake:
			s.timer.Reset(time.Until(c.At))
		case loop.Leave:
			left = true
		}
	}
	s.tell()
	return left
}

// begin carries out a work on a goroutine of its own. Its end is an event.
func (s *session) begin(name string, paths []string, work func(context.Context) loop.Event) {
	ctx, cancel := context.WithCancel(s.work)
	s.cancels[name] = cancel
	s.running.Go(func() {
		defer cancel()
		e := s.guarded(ctx, func(ctx context.Context) (e loop.Event) {
			defer func() {
				if p := recover(); p != nil {
					e = s.broken(name, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
				}
			}()
			return work(ctx)
		})
		if short, ok := e.(loop.ShortcutEnded); !ok || !short.Fell {
			s.forgetTold(paths) // otherwise the cycle that follows is for the same change
		}
		s.unseen(name)
		s.send(e)
	})
}

// broken is the end of a work that devenv itself is at fault for. What else there is to do goes on.
func (s *session) broken(service string, err error) loop.Event {
	s.recorder.Store(nil)
	s.out.Emit(event.Warning{Text: "a fault in devenv, which please report with the debug log: " + err.Error()})
	if service == "" {
		return loop.CycleEnded{Err: err}
	}
	return loop.ShortcutEnded{Service: service, Err: err}
}

// send gives the owner of the state an event; after the end nobody takes it.
func (s *session) send(e loop.Event) {
	select {
	case s.events <- e:
	case <-s.work.Done():
	}
}

// owned has the owner of the state call f, and returns when it has, or false if nobody will.
func (s *session) owned(f func()) bool {
	called := make(chan struct{})
	select {
	case s.calls <- func() { f(); close(called) }:
		<-called
		return true
	case <-s.work.Done():
		return false
	}
}

// rewatch watches what devenv.yaml now names. What changes from here on is told by the new tree.
func (s *session) rewatch() error {
	t, err := s.plant()
	if err != nil {
		return err
	}
	if !s.owned(func() { s.tree, t = t, s.tree }) {
		t.watcher.Close()
		return errors.New("the session has ended")
	}
	// What changed before the new one looked, only the old one knows.
	s.running.Go(func() {
		defer t.watcher.Close()
		enough := time.NewTimer(drain)
		defer enough.Stop()
		for {
			select {
			case b, open := <-t.watcher.Batches():
				if !open {
					return
				}
				if e := t.resolve(b); e != nil {
					s.send(e)
				}
			case <-enough.C:
				return
			case <-s.work.Done():
				return
			}
		}
	})
	return nil
}

// drain is how long an old watcher is listened to after a new one has begun: longer than either keeps changes back.
const drain = 2 * time.Second

// plant begins to watch everything that the project is made of.
func (s *session) plant() (*tree, error) {
	t := newTree(s.project, s.services())
	var err error
	t.watcher, err = watch.Start(s.work, t.roots, watch.Options{Warn: func(err error) { s.out.Emit(event.Warning{Text: err.Error()}) }})
	return t, err
}

// look finds what a service's image is as the working tree stands now.
func (s *session) look(ctx context.Context, service config.Service) (image, error) {
	p := s.project
	e, err := p.docker()
	if err != nil {
		return image{}, err
	}
	// The cache is not saved: what no save asks for ages, and here it is one service that is looked at again and again.
	return p.image(ctx, service, e.Platform(), p.fileCache(), newBaseDigests(e, p.options.Offline))
}
