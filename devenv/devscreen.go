package devenv

import (
	"context"
	"reflect"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/kube"
	"github.com/devenv-run/devenv/devenv/loop"
)

// tell emits how the services stand, if that is not what was told last.
func (s *session) tell() {
	now := event.DevServices{Logs: s.logged}
	for _, name := range s.state.Names() {
		now.Services = append(now.Services, s.standing(name))
	}
	if !reflect.DeepEqual(now, s.shown) {
		s.shown = now
		s.out.Emit(now)
	}
}

// standing is how one service stands.
func (s *session) standing(name string) event.DevService {
	of := s.state.Services[name]
	e := event.DevService{
		Name: name, State: "current", Waits: s.state.Waits(name),
		Way: of.Last.Way, Cause: of.Last.Cause, Reason: of.Last.Reason, At: of.Last.At, Took: of.Last.Took,
	}
	switch {
	case of.Doing != loop.Idle && s.isVisible(name):
		e.State, e.Began = "changing", of.Began
	case of.Failed && of.Retries > 0:
		e.State = "failed"
	case of.Want != loop.Nothing:
		e.State = "waiting"
	case of.Failed:
		e.State = "failed"
	case of.Hot:
		e.State = "hot"
	}
	return e
}

// logs begins to show the logs of the next choice: of all services, of each by itself, of none.
func (s *session) logs() {
	names := s.state.Names()
	switch {
	case len(s.logged) == 0:
		s.logged = names
	case len(s.logged) > 1:
		s.logged = names[:1]
	default:
		next := 0
		for i, name := range names {
			if name == s.logged[0] {
				next = i + 1
			}
		}
		if s.logged = nil; next < len(names) && len(names) > 1 {
			s.logged = names[next : next+1]
		}
	}
	s.follow()
}

// follow shows the logs of the services in logged, and stops showing others.
func (s *session) follow() {
	s.unfollow()
	if len(s.logged) == 0 {
		return
	}
	of := kube.Services{}
	for _, name := range s.logged {
		if service, ok := s.project.config.Service(name); ok {
			of[name] = []string{service.Image}
		}
	}
	ctx, stop := context.WithCancel(s.work)
	s.unfollow = stop
	s.running.Go(func() {
		defer stop()
		if err := s.readLogs(ctx, of); err != nil && ctx.Err() == nil {
			s.out.Emit(event.Warning{Text: "logs are not shown: " + err.Error()})
		}
	})
}

func (s *session) readLogs(ctx context.Context, of kube.Services) error {
	state, err := s.clusters.Status(ctx)
	if err != nil {
		return err
	}
	cluster, err := s.project.connect(ctx, s.clusters, state)
	if err != nil {
		return err
	}
	defer cluster.Close()
	return cluster.Logs(ctx, kube.LogOptions{Services: of, Follow: true, Tail: shownLines}, s.out)
}

// shownLines is how many lines of each container are shown when its logs begin to be.
const shownLines = 10
