package devenv

import (
	"context"
	"os"
	"strings"

	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/kube"
)

// Images with a layer on top are for as long as a service is hot. This file has the nodes forget them once no pod has them any more: those of a service as soon as it
// is settled, and all that an earlier devenv left when the environment is brought up.

// hotTag is what the tags of such images begin with.
const hotTag = "devenv-hot-"

// hotImages is the file in the state directory that says that nodes may hold some: without it nobody has to ask them.
const hotImages = "hot-images"

// litters notes that nodes are given an image with a layer on top.
func (h *hotpath) litters(s *hotService) error {
	s.litter = true
	return os.WriteFile(h.project.state.path(hotImages), nil, 0o600)
}

// tidies says whether images of a service are to go now. Whoever asks has its lock.
func (h *hotpath) tidies(s *hotService) bool {
	if !s.litter || s.resting || s.undecided || s.isHot() {
		return false
	}
	for _, image := range h.hotInPods() {
		if strings.HasPrefix(image, hotPrefix(s.base.service.Image)) {
			return false // the pod is on its way out
		}
	}
	return true
}

// tidy has the nodes forget images of a service.
func (h *hotpath) tidy(ctx context.Context, s *hotService) {
	s.litter = false
	used := func(context.Context) ([]string, error) { return append(h.hotInPods(), s.aim.image), nil }
	n, err := h.topper.Drop(ctx, h.nodeNames(), []string{hotPrefix(s.base.service.Image)}, used)
	h.project.log.Debug("hot path: images dropped", "service", s.name, "references", n, "error", err)
	s.litter = err != nil
}

// hotInPods are the images with a layer on top that pods are to run, also pods that end.
func (h *hotpath) hotInPods() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return hotIn(h.seen)
}

func hotIn(pods []kube.Pod) (refs []string) {
	for _, p := range pods {
		for _, k := range p.Containers {
			if strings.Contains(k.Image, ":"+hotTag) {
				refs = append(refs, k.Image)
			}
		}
	}
	return refs
}

func hotPrefix(repository string) string { return repository + ":" + hotTag }

// dropHot has the nodes forget all images with a layer on top that no pod has. What cannot be asked or removed now is for the next time.
func (p *Project) dropHot(ctx context.Context, g *gathered) {
	if _, err := os.Stat(p.state.path(hotImages)); err != nil || g.cluster == nil {
		return
	}
	services, err := p.repositories(nil)
	if err != nil {
		return
	}
	var prefixes []string
	for _, s := range p.config.Services {
		prefixes = append(prefixes, hotPrefix(s.Image))
	}
	topper := hot.Topper(p.inside)
	if p.inside == nil {
		in := g.clusters.Enter()
		defer func() { _ = in.Close() }() // it never fails
		topper = in
	}
	left := 0
	n, err := topper.Drop(ctx, g.state.Nodes, prefixes, func(ctx context.Context) ([]string, error) {
		pods, err := g.cluster.Pods(ctx, services)
		refs := hotIn(pods)
		left = len(refs)
		return refs, err
	})
	p.log.Debug("images of devenv dev dropped", "references", n, "inUse", left, "error", err)
	if err == nil && left == 0 {
		_ = os.Remove(p.state.path(hotImages)) // else they are asked for once more
	}
}
