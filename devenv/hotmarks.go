package devenv

import (
	"context"

	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/kube"
)

// This file keeps the marks on pods true: a pod bears one before anything in it is changed, and for as long as it differs from what is declared.

// markOnce marks a pod before anything is written into it.
func (h *hotpath) markOnce(ctx context.Context, s *hotService, p kube.Pod) error {
	if s.marked[p.UID] {
		return nil
	}
	// Whatever the picture says: it may be older than what took the mark away.
	if err := h.pods.MarkHot(ctx, p, s.name, s.mark()); err != nil {
		return err
	}
	s.bears(p, true)
	return nil
}

// remark brings the marks of pods up to date. How many files there are is only for people, and is written beside everything else; a mark is taken away
// before anything can ask for it again.
func (h *hotpath) remark(s *hotService) {
	isHot, m := s.isHot(), hot.Mark{}
	if isHot {
		m = s.mark()
	}
	var pods []kube.Pod
	for _, p := range h.podsOf(s.name) {
		had, marked := p.Hot[s.name]
		if marked != isHot || marked && (had.Way != m.Way || had.Image != m.Image || had.Files != m.Files) {
			if isHot || s.marked[p.UID] {
				pods = append(pods, p)
			}
			s.bears(p, isHot)
		}
	}
	if len(pods) == 0 {
		return
	}
	mark := func() {
		for _, p := range pods {
			if err := h.pods.MarkHot(h.ctx, p, s.name, m); err != nil && h.ctx.Err() == nil {
				h.project.log.Debug("hot path: mark", "pod", p.Name, "error", err)
			}
		}
	}
	if !isHot {
		mark()
		return
	}
	h.work.Go(mark)
}

// bears remembers whether a pod bears a mark.
func (s *hotService) bears(p kube.Pod, mark bool) {
	if s.marked == nil {
		s.marked = map[string]bool{}
	}
	if mark {
		s.marked[p.UID] = true
	} else {
		delete(s.marked, p.UID)
	}
}
