package devenv

import (
	"context"
	"errors"
	"time"

	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/kube"
	"github.com/devenv-run/devenv/devenv/plan"
)

// rebuild builds the image of the Dockerfile and swaps it in.
func (h *hotpath) rebuild(ctx context.Context, s *hotService, c change) (taken, error) {
	c.started(string(hot.Swap))
	i := plan.Image{Service: s.name, Ref: c.now.ref, Cause: c.cause}
	report := func(text string) { h.project.log.Debug("hot path", "service", s.name, "progress", text) }
	began := time.Now()
	held, err := h.docker.Images(ctx, []string{i.Ref})
	fresh := err == nil && held[i.Ref] == ""
	if fresh {
		err = builder{engine: h.docker, images: map[string]image{i.Ref: c.now}, cache: h.project.fileCache}.Build(ctx, i, report)
	}
	if err != nil {
		return taken{}, err
	}
	built := time.Now()
	learned := make(chan struct{})
	go func() {
		defer close(learned)
		if fresh { // then it takes no time
			h.learnOutputs(ctx, s, c.now)
		}
	}()
	detail, err := h.clusters.Deliver(ctx, i, h.nodeNames(), report)
	<-learned
	if err != nil {
		return taken{}, err
	}
	former := s.base
	s.base = c.now // what the nodes hold from here on
	ref := i.Ref
	if s.stale(ref) {
		if ref, _, _, err = h.put(ctx, s, nil); err != nil {
			return taken{}, &needsCycle{err.Error()}
		}
	}
	loaded := time.Now()
	before := s.aim
	s.aim = aim{way: hot.Swap, image: ref, contains: c.now.context, now: c.now.context, since: s.aim.since}
	if err := h.exchange(ctx, s, before); err != nil {
		if ctx.Err() == nil && hot.Outrun(err) == nil {
			s.base = former // what runs again is from it
		}
		return taken{}, err
	}
	h.project.log.Debug("hot path: swapped", "service", s.name, "build", built.Sub(began), "load", loaded.Sub(built), "swap", time.Since(loaded))
	return taken{way: string(hot.Swap), detail: detail}, nil
}

// exchange brings the containers to a new aim. If that fails, they go back to the one before; if it is cancelled, or files change while it reads them, the
// new one stays the aim, from which what comes next goes on.
func (h *hotpath) exchange(ctx context.Context, s *hotService, before aim) error {
	_, err := h.bring(ctx, s)
	if err == nil || ctx.Err() != nil || hot.Outrun(err) != nil {
		return err
	}
	s.aim = before
	if errors.Is(err, kube.ErrNotInPlace) {
		return &needsCycle{err.Error()}
	}
	if _, backErr := h.bring(ctx, s); backErr != nil { // pods that have the new image; one that failed was put back by the swap itself
		h.project.log.Debug("hot path: going back", "service", s.name, "error", backErr)
	}
	return err
}
