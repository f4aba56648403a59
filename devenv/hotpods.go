package devenv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/kube"
	"github.com/devenv-run/devenv/devenv/plan"
)

// firstSight is how long to wait for a pod to be seen before a service counts as one without pods: the first picture takes a moment.
const firstSight = 3 * time.Second

// newcomers is how long to wait for containers that are about to start, before a change is not said to have arrived.
const newcomers = 30 * time.Second

// How often, and after how long, a replay tries again whose files changed while it read them.
const (
	outrunTries = 5
	outrunPause = 200 * time.Millisecond
)

// follow keeps the picture of the pods, and gives those that lack something what they lack.
func (h *hotpath) follow(ctx context.Context, pods <-chan []kube.Pod) {
	warmed, learned := map[string]bool{}, map[string]bool{}
	for now := range pods {
		h.mu.Lock()
		if ctx.Err() == nil {
			h.seen = now
		}
		close(h.changed)
		h.changed = make(chan struct{})
		h.mu.Unlock()
		h.warm(now, warmed)
		h.learn(now, learned)
		for _, s := range h.all() {
			h.replay(s)
		}
	}
}

// warm opens the connection into every node on which a container runs, so that the first change need not wait for it.
func (h *hotpath) warm(pods []kube.Pod, warmed map[string]bool) {
	for _, p := range pods {
		for _, k := range p.Containers {
			if id := containerID(k); k.Service != "" && k.Running && id != "" && !warmed[p.Node] {
				warmed[p.Node] = true
				h.work.Go(func() {
					if _, err := h.inside.Kinds(h.ctx, hot.Container{Node: p.Node, ID: id}, []string{"/etc"}); err != nil && h.ctx.Err() == nil {
						h.project.log.Debug("hot path: connecting into "+p.Node, "error", err)
					}
				})
			}
		}
	}
}

// replay brings a service's containers to what they should have, unless somebody is about it already.
func (h *hotpath) replay(s *hotService) {
	if !s.tryLock() {
		s.missed.Store(true)
		if !s.tryLock() {
			return // whoever has it looks again
		}
	}
	tidies := h.tidies(s)
	if s.resting || s.undecided || !s.isHot() && len(s.had) == 0 && !tidies {
		s.unlock()
		return
	}
	h.work.Go(func() {
		defer h.unlock(s)
		ctx, stop := context.WithCancel(h.ctx)
		defer stop()
		s.interrupt.Store(&stop)
		defer s.interrupt.Store(nil)
		if tidies {
			h.tidy(ctx, s)
		}
		if !s.isHot() && len(s.had) == 0 {
			return
		}
		h.tellLost(s)
		if h.complete(s) {
			return
		}
		_, err := h.bring(ctx, s)
		for try := 0; hot.Outrun(err) != nil && try < outrunTries && ctx.Err() == nil; try++ {
			select {
			case <-time.After(outrunPause): // it may come back to what it was; if it does not, its change is on its way
				_, err = h.bring(ctx, s)
			case <-ctx.Done():
			}
		}
		if err != nil && ctx.Err() == nil {
			h.warn(s.name + ": a pod could not be given what the others have: " + err.Error())
		}
	})
}

// claim takes a service's lock for somebody who knows better than a replay what is to be done; false if ctx ended before.
func (s *hotService) claim(ctx context.Context) bool {
	if stop := s.interrupt.Load(); stop != nil {
		(*stop)()
	}
	return s.lock(ctx)
}

// unlock gives a service's lock back. What pods came while it was held is looked at again.
func (h *hotpath) unlock(s *hotService) {
	s.unlock()
	if s.missed.Swap(false) {
		h.replay(s)
	}
}

// tellLost says, once, that a service that is hot has no pod any more, for something that nobody here did.
func (h *hotpath) tellLost(s *hotService) {
	if h.pods == nil || !s.isHot() {
		return
	}
	if len(h.podsOf(s.name)) > 0 {
		s.lost = false
		return
	}
	if !s.lost {
		s.lost = true
		h.project.sink.Emit(event.Notice{Text: s.name + " has no pod any more, although it is hot: it was deleted or scaled down by hand; settling brings back what is declared"})
	}
}

// podsOf are a service's pods that are not on their way out or at their end.
func (h *hotpath) podsOf(name string) []kube.Pod {
	h.mu.Lock()
	defer h.mu.Unlock()
	var pods []kube.Pod
	for _, p := range h.seen {
		if slices.Contains(p.Services, name) && p.Phase != "Terminating" && p.Phase != "Completed" {
			pods = append(pods, p)
		}
	}
	return pods
}

// awaitPods waits until a pod of a service is seen, for a little while.
func (h *hotpath) awaitPods(ctx context.Context, name string) {
	end := time.After(firstSight)
	for {
		news := h.news()
		if len(h.podsOf(name)) > 0 {
			return
		}
		select {
		case <-news:
		case <-end:
			return
		case <-ctx.Done():
			return
		}
	}
}

// news is closed when pods are others than now.
func (h *hotpath) news() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

// lacking are the pods that run another image than the aim's.
func (h *hotpath) lacking(s *hotService) []kube.Pod {
	return slices.DeleteFunc(h.podsOf(s.name), func(p kube.Pod) bool {
		return p.Swappable(s.name) != "" || !slices.ContainsFunc(p.Containers, func(k kube.Container) bool {
			return k.Service == s.name && !k.Init && k.Image != s.aim.image
		})
	})
}

// place is a running container that may lack files.
type place struct {
	pod       kube.Pod
	container hot.Container
}

// places are the running containers of a service that have the aim's image. all is false while there are some that do not run yet.
func (h *hotpath) places(s *hotService, gone map[string]bool) (places []place, all bool) {
	all = true
	for _, p := range h.podsOf(s.name) {
		for _, k := range p.Containers {
			id := containerID(k)
			switch {
			case k.Service != s.name || k.Init:
			case k.Image != s.aim.image || !k.Running || id == "" || gone[id]:
				all = false
			default:
				places = append(places, place{p, hot.Container{Node: p.Node, ID: id}})
			}
		}
	}
	return places, all
}

// complete says whether nothing is lacking anywhere, as far as the picture goes.
func (h *hotpath) complete(s *hotService) bool {
	if len(h.lacking(s)) > 0 {
		return false
	}
	places, _ := h.places(s, nil)
	for _, at := range places {
		if files, lost := s.rules.Missing(s.aim.wanted, s.had[at.container.ID], s.aim.contains, s.aim.now); len(files) > 0 || lost != "" {
			return false
		}
	}
	return true
}

// bring gives every container of a service what it lacks: the image, then files. It returns once all that run have it. Containers
// that are about to start are waited for only where there is no other; they get theirs when they run. detail is for people: "3 files into 2 containers".
func (h *hotpath) bring(ctx context.Context, s *hotService) (detail string, err error) {
	began := time.Now()
	gone := map[string]bool{}    // containers that ended while they were written into, or that were swapped
	swapped := map[string]bool{} // pods, by UID: the picture of them may be older
	wrote := wrote{files: map[string]bool{}}
	for deadline := began.Add(newcomers); ; {
		news := h.news()
		did, err := h.swap(ctx, s, swapped, gone)
		if err != nil {
			return "", err
		}
		if did { // which takes its time
			deadline = time.Now().Add(newcomers)
		}
		places, all := h.places(s, gone)
		if err := h.write(ctx, s, places, gone, &wrote); err != nil {
			return "", err
		}
		switch {
		case len(s.aim.wanted) == 0, len(gone) == 0 && (all || len(places) > 0), all && !anyGone(places, gone):
			h.remark(s)
			h.project.log.Debug("hot path: brought", "service", s.name, "files", len(wrote.files), "containers", wrote.containers, "took", time.Since(began))
			return wrote.String(), nil
		case time.Now().After(deadline):
			return "", notSwapped(s.name, newcomers)
		}
		select {
		case <-news:
		case <-time.After(time.Second):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// swap gives the aim's image to pods that run another one, and says whether there were any. Those in swapped are not looked at again; the
// containers that went are added to gone.
func (h *hotpath) swap(ctx context.Context, s *hotService, swapped, gone map[string]bool) (did bool, err error) {
	stale := slices.DeleteFunc(h.lacking(s), func(p kube.Pod) bool { return swapped[p.UID] })
	if len(stale) == 0 {
		return false, nil
	}
	for _, p := range stale {
		for _, k := range p.Containers {
			if k.Service == s.name && k.Image != s.aim.image {
				gone[containerID(k)] = true
			}
		}
	}
	swap := kube.Swap{Service: s.name, Image: s.aim.image, Pods: stale}
	if s.isHot() {
		swap.Mark = s.mark()
	}
	report := func(text string) { h.project.log.Debug("hot path: swap", "service", s.name, "progress", text) }
	if err := h.pods.Swap(ctx, swap, report); err != nil {
		return false, err
	}
	for _, p := range stale {
		swapped[p.UID] = true
		s.bears(p, s.isHot())
	}
	h.learn(stale, map[string]bool{}) // again, if that is long ago: a kubelet may have been started anew
	return true, nil
}

func anyGone(places []place, gone map[string]bool) bool {
	return slices.ContainsFunc(places, func(p place) bool { return gone[p.container.ID] })
}

// wrote counts what was written.
type wrote struct {
	mu         sync.Mutex
	files      map[string]bool
	containers int
}

func (w *wrote) add(files []hot.File) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range files {
		w.files[f.To] = true
	}
	w.containers++
}

func (w *wrote) String() string {
	if w.containers == 0 {
		return ""
	}
	return plan.Count(len(w.files), "file") + " into " + plan.Count(w.containers, "container")
}

// write gives each of the containers the files that it lacks, all at once, and the signals that go with them. Those that end meanwhile are
// added to gone.
func (h *hotpath) write(ctx context.Context, s *hotService, places []place, gone map[string]bool, wrote *wrote) error {
	type job struct {
		place
		files  []hot.File
		before hot.Held
	}
	var jobs []job
	for _, at := range places {
		files, lost := s.rules.Missing(s.aim.wanted, s.had[at.container.ID], s.aim.contains, s.aim.now)
		if lost != "" {
			return fmt.Errorf("%s as the image has it is not at hand any more", lost)
		}
		if len(files) > 0 {
			jobs = append(jobs, job{at, files, s.had[at.container.ID]})
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	for _, j := range jobs {
		if err := h.markOnce(ctx, s, j.pod); err != nil {
			return err
		}
	}
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	for _, j := range jobs {
		g.Go(func() error {
			at := time.Now()
			mu.Lock()
			s.had[j.container.ID] = hot.Begun(j.before, j.files, s.aim.wanted)
			mu.Unlock()
			err := h.inside.Write(gctx, j.container, j.files)
			if errors.Is(err, hot.ErrGone) {
				mu.Lock()
				defer mu.Unlock()
				gone[j.container.ID] = true
				return nil
			}
			if err != nil {
				return err
			}
			for _, signal := range s.rules.Signals(j.files, s.aim.wanted, j.before) {
				if err := h.inside.Signal(gctx, j.container, signal); err != nil && !errors.Is(err, hot.ErrGone) {
					return err
				}
			}
			h.project.log.Debug("hot path: wrote", "service", s.name, "pod", j.pod.Name, "files", len(j.files), "took", time.Since(at))
			mu.Lock()
			defer mu.Unlock()
			s.had[j.container.ID] = hot.Has(s.aim.wanted, s.aim.now)
			wrote.add(j.files)
			return nil
		})
	}
	return g.Wait()
}
