package devenv

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/loop"
	"github.com/devenv-run/devenv/devenv/plan"
)

// shortcuts are the ways of a change into the cluster that are shorter than a cycle. One is made for a `dev` by its session, and its
// methods are called from several goroutines: take for several services at once, and beside a cycle of others.
type shortcuts interface {
	// take brings what changed of a service into the cluster on the shortest way that is correct, and returns once it serves or has
	// failed. The error is a *needsCycle if no shortcut is correct, or one failed that a full build may not; any other is for the user: the
	// full way would end with it too. When ctx ends, a newer change has come or the command ends: it returns soon, and what it has done
	// by then counts for the next call, which gets the newer state of the service.
	take(ctx context.Context, c change) (taken, error)
	// rest is told before a cycle begins to work on services: what their containers have is its business until resume is called.
	rest(ctx context.Context, services []string) (resume func())
	// deployed tells, at the end of every cycle, what of the services that it was for is now what their workloads declare, also of those that were applied
	// before the cycle was stopped. What failed is not in it. g is closed afterwards.
	deployed(g *gathered, images map[string]image)
	// forget tells that nobody knows any more what the workloads of services declare: only a cycle is right for them.
	forget(services []string)
	// close ends what goes on in the background. Nothing is called afterwards.
	close()
}

// change is what take is for.
type change struct {
	service  config.Service
	now      image    // as the working tree is now; its context was just read
	deployed *image   // what the service's workloads declare; nil if devenv does not know
	paths    []string // that were seen to change, as messages show them; only for messages
	cause    string   // the same as a phrase
	since    time.Time
	// started is called once it is decided which way the change takes: sync, image or swap; again if that one turns out not to work.
	started func(way string)
}

// taken is what came of a change that arrived.
type taken struct {
	way    string // none, sync, image, swap
	reason string // why it was no shorter one; may be empty
	detail string // "3 files into 2 pods"
	hot    bool   // what runs is not what the workloads declare
}

// needsCycle says that a change has to take the full way.
type needsCycle struct{ reason string }

func (n *needsCycle) Error() string { return n.reason }

// shortcut tries a service's change on a shortcut.
func (s *session) shortcut(ctx context.Context, c loop.TryShortcut) loop.ShortcutEnded {
	end := loop.ShortcutEnded{Service: c.Service, Cause: cause(c.Paths)}
	service, known := s.project.config.Service(c.Service)
	if !known {
		end.Unchanged = true
		return end
	}
	began := time.Now()
	now, err := s.look(ctx, service)
	if ctx.Err() != nil || err != nil && s.away(ctx) {
		end.Stopped = true
		return end
	}
	if err != nil {
		s.tellChanged(c.Paths, c.Service)
		end.Way, end.Err = "full", err
		s.out.Emit(event.ShortcutDone{Service: c.Service, Way: "full", Cause: end.Cause, Took: time.Since(c.Changed), Err: err})
		return end
	}
	if s.isDone(c.Service, now.ref) {
		end.Unchanged = true
		return end
	}
	c.Paths = s.lasting(c.Paths, service, s.deployedImage(c.Service))
	end.Cause = cause(c.Paths)
	if !c.Again {
		s.tellChanged(c.Paths, c.Service)
	}
	s.setDone(c.Service, "") // what it does before it is cancelled counts: going back to what was deployed is a change then
	way := ""
	got, err := s.ways.take(ctx, change{
		service: service, now: now, deployed: s.deployedImage(c.Service), paths: c.Paths, cause: end.Cause, since: c.Changed,
		started: func(w string) {
			if way = w; c.Again {
				return
			}
			s.out.Emit(event.ShortcutStarted{Service: c.Service, Way: w, Cause: end.Cause})
		},
	})
	switch full, isFull := err.(*needsCycle); { //nolint:errorlint // it is never wrapped
	case isFull:
		end.Fell, end.Full = true, full.reason
		s.keepLooked(now, began)
		return end
	case err != nil && ctx.Err() != nil: // what is newer comes next
		end.Stopped = true
		return end
	case hot.Outrun(err) != nil:
		end.Stopped, end.Outrun = true, true
		s.noteRestless(c.Service, hot.Outrun(err).Paths)
		return end
	case err != nil && s.away(ctx):
		end.Stopped = true
		return end
	}
	done := event.ShortcutDone{
		Service: c.Service, Way: got.way, Cause: end.Cause, Reason: got.reason, Detail: got.detail,
		OK: err == nil, Took: time.Since(c.Changed), Err: err,
	}
	if done.Way == "" {
		done.Way = way
	}
	if err == nil || !s.saidAgain(c.Service, err, c.Again) {
		s.out.Emit(done)
	}
	end.Way, end.Hot, end.Err, end.Passes = done.Way, got.hot, err, passes(err)
	if err == nil {
		s.setDone(c.Service, now.ref)
	} else {
		s.setDone(c.Service, "")
	}
	return end
}

// passes says whether an error is of something that goes away without any change of the project: this machine's or the network's troubles.
func passes(err error) bool { return err != nil && fault.Of(err) == fault.Machine }

// saidAgain says whether an error of what is tried again was told already. It remembers the error.
func (s *session) saidAgain(work string, err error, again bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := gist(err)
	said := again && s.said[work] == now
	s.said[work] = now
	return said
}

// gist is what an error says without a tool's own words, which name other temporary files each time.
func gist(err error) string {
	var all []string
	for _, e := range fault.All(err) {
		if f := (*fault.Error)(nil); errors.As(e, &f) {
			all = append(all, f.Where+" "+f.What)
		} else {
			all = append(all, e.Error())
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// lasting leaves out what came and went between two looks at a service, such as the temporary file of an editor. It keeps everything if that would
// leave nothing to name.
func (s *session) lasting(paths []string, service config.Service, deployed *image) []string {
	config := s.project.config
	root := config.ContextDir(service)
	left := slices.DeleteFunc(slices.Clone(paths), func(shown string) bool {
		path := config.Abs(shown)
		if _, err := os.Lstat(path); err == nil {
			return false
		}
		rel, err := filepath.Rel(root, path)
		return err == nil && filepath.IsLocal(rel) && (deployed == nil || hot.Find(deployed.context, filepath.ToSlash(rel)) == nil)
	})
	if len(left) == 0 {
		return paths
	}
	return left
}

// patientHooks lets hooks run to their end when a newer change stops the rest of a cycle: half a migration helps nobody. Only the end of
// the command stops them.
type patientHooks struct {
	engine.Deployer
	command context.Context //nolint:containedctx // the longer one of the two that a hook has
}

func (d patientHooks) Run(_ context.Context, source string, h plan.Hook, r engine.Report) error {
	return d.Deployer.Run(d.command, source, h, r)
}

// joins says whether a failure may be due to what others declare, so that any next cycle is to try again.
func joins(err error) bool { return fault.Of(err) != fault.Build }
