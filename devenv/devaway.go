package devenv

import (
	"context"
	"time"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/kube"
	"github.com/devenv-run/devenv/devenv/loop"
	"github.com/devenv-run/devenv/devenv/plan"
)

// While a cycle runs it is made sure every checkEvery that engine and cluster are there, because what waits for an API server that does not
// answer may wait long. They count as away once they did not answer for awayAfter: a busy laptop is slow now and then.
const (
	checkEvery = 2 * time.Second
	awayAfter  = 6 * time.Second
	askFor     = 4 * time.Second // how long one question may take
)

// guarded carries out a work, and tells the loop meanwhile if what it needs goes away.
func (s *session) guarded(ctx context.Context, work func(context.Context) loop.Event) loop.Event {
	watching, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.guard(watching)
	}()
	ended := work(ctx)
	stop()
	<-done
	return ended
}

// guard returns when ctx ends, or once it has told the loop that engine or cluster are away.
func (s *session) guard(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	var since time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s.starting.Load() {
			continue // a cluster that is being created or started need not answer
		}
		asked := time.Now()
		err := s.answers(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			since = time.Time{}
		case since.IsZero():
			since = asked
		}
		if err != nil && time.Since(since) >= awayAfter {
			s.send(loop.Left{Err: err})
			return
		}
	}
}

// answers asks engine and API server, once, where a cluster is known to run.
func (s *session) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	if err := s.engineAnswers(ctx); err != nil {
		return err
	}
	identity, err := s.clusters.Identity()
	if err != nil || identity == nil {
		return nil //nolint:nilerr // there is none yet
	}
	cluster, err := kube.Open(ctx, kube.Options{Kubeconfig: s.clusters.Kubeconfig(), UID: identity.UID, Environment: s.project.name})
	if err != nil {
		return nil //nolint:nilerr // its kubeconfig is being written
	}
	defer cluster.Close()
	return cluster.Answers(ctx)
}

func (s *session) engineAnswers(ctx context.Context) error {
	e, err := s.project.docker()
	if err != nil {
		return err
	}
	return e.Answers(ctx)
}

// there says whether work can go on: the engine answers, and the cluster does, unless it is one that the next cycle creates or starts.
func (s *session) there(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	if err := s.engineAnswers(ctx); err != nil {
		return err
	}
	state, err := s.clusters.Status(ctx)
	switch {
	case ctx.Err() != nil:
		return &fault.Error{Kind: fault.Machine, What: "the cluster's API server does not answer", Next: "devenv goes on by itself when it does."}
	case err != nil:
		return err
	case state.Status != plan.Running: // stopped: the next cycle starts it
		return course{patient: true}.paused(state)
	}
	return s.answers(ctx)
}

// away says whether a work failed because engine or cluster are away, and tells the loop if so.
func (s *session) away(ctx context.Context) bool {
	err := s.there(ctx)
	if err == nil || ctx.Err() != nil {
		return ctx.Err() != nil
	}
	s.send(loop.Left{Err: err})
	return true
}

// awaitReturn waits until engine and cluster are there.
func (s *session) awaitReturn() {
	began := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for s.there(s.work) != nil {
		select {
		case <-s.work.Done():
			return
		case <-tick.C:
		}
	}
	if s.work.Err() == nil {
		s.out.Emit(event.Back{After: time.Since(began)})
		s.send(loop.Returned{})
	}
}
