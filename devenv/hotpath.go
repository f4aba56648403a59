package devenv

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/docker"
	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/kind"
	"github.com/devenv-run/devenv/devenv/kube"
	"github.com/devenv-run/devenv/devenv/plan"
)

// hotpath is the shortcuts of a `dev`: it knows, of every service, what its image contains and what its containers were given beside that, and
// brings both to what the working tree has. Package hot decides which way; here it is carried out:
//
//	sync   hot.Inside writes files into the containers
//	image  one layer on the image that was built last, put onto the nodes by hot.Topper, and swapped into the pods
//	swap   an image built from the Dockerfile, delivered, and swapped into the pods
//
// What the containers should have is a state (hotService), not a sequence of changes: a container that starts anew, or a pod that comes
// later, is compared with it and given what it lacks (replay).
type hotpath struct {
	project  *Project
	docker   *docker.Engine
	clusters *kind.Clusters
	nodes    *kind.Inside // the connections that inside and topper are
	inside   hot.Inside
	topper   hot.Topper
	stages   stageBuilder

	ctx  context.Context //nolint:containedctx // of what goes on in the background; ends with close
	end  context.CancelFunc
	work sync.WaitGroup

	mu       sync.Mutex
	pods     podKeeper // of the cluster; opened with the first deployment
	names    []string  // of the nodes
	uid      string    // of the cluster that pods is in
	services map[string]*hotService
	triggers map[string]string // by base image: why its triggers stand against a proof; empty where they do not
	followed kube.Services     // whose pods are followed
	unfollow context.CancelFunc
	seen     []kube.Pod      // pods as they were last
	changed  chan struct{}   // closed when pods are others
	said     map[string]bool // warnings of the replay that were given
}

// podKeeper is what the hot path needs of the cluster; *kube.Cluster has it.
type podKeeper interface {
	FollowPods(ctx context.Context, services kube.Services) <-chan []kube.Pod
	MarkHot(ctx context.Context, p kube.Pod, service string, m hot.Mark) error
	Swap(ctx context.Context, s kube.Swap, r engine.Report) error
	LearnRound(ctx context.Context, p kube.Pod) error
	Close()
}

func (p *Project) hotpath(ctx context.Context) (*hotpath, error) {
	e, err := p.docker()
	if err != nil {
		return nil, err
	}
	h := &hotpath{
		project: p, docker: e, clusters: p.clusters(e), services: map[string]*hotService{}, triggers: map[string]string{},
		changed: make(chan struct{}), said: map[string]bool{},
	}
	h.nodes = h.clusters.Enter()
	h.stages = builder{engine: e, cache: p.fileCache}
	h.inside, h.topper, h.clusters.Inside, p.inside = h.nodes, h.nodes, h.nodes, h.nodes
	h.ctx, h.end = context.WithCancel(context.WithoutCancel(ctx))
	p.sweepLayers()
	return h, nil
}

// close implements shortcuts.
func (h *hotpath) close() {
	h.end()
	h.work.Wait()
	h.project.inside = nil
	if err := h.nodes.Close(); err != nil {
		h.project.log.Debug("closing the connections into the nodes", "error", err)
	}
	if h.pods != nil {
		h.pods.Close()
	}
}

// take implements shortcuts.
func (h *hotpath) take(ctx context.Context, c change) (taken, error) {
	s := h.service(c.service.Name)
	if s == nil || c.deployed == nil {
		return taken{}, &needsCycle{"it was not deployed yet, or not to its end"}
	}
	if !s.claim(ctx) {
		return taken{}, ctx.Err()
	}
	defer h.unlock(s)
	s.undecided = false
	h.awaitPods(ctx, s.name)
	if why := h.unfit(s, c.service); why != "" {
		return taken{}, &needsCycle{why}
	}
	got, err := h.shortest(ctx, s, c)
	s.undecided = ctx.Err() != nil || hot.Outrun(err) != nil
	got.hot = s.isHot() || c.now.ref != s.declared
	return got, err
}

// shortest takes the shortest correct way, and where that does not work the next one.
func (h *hotpath) shortest(ctx context.Context, s *hotService, c change) (taken, error) {
	s.rules = h.rules(ctx, s.base, c.now)
	d := s.decide(c.now)
	h.project.log.Debug("hot path: decided", "service", s.name, "way", d.Way, "reason", d.Reason, "changes", len(d.Since), "sinceChange", time.Since(c.since))
	reason := d.Reason
	if d.Way == hot.None || d.Way == hot.Sync {
		if d.Way == hot.Sync {
			c.started(string(d.Way))
		}
		before := s.aim
		s.aim.wanted, s.aim.now = d.Files, c.now.context
		detail, err := h.bring(ctx, s)
		if err == nil || ctx.Err() != nil || hot.Outrun(err) != nil {
			return taken{way: string(d.Way), detail: detail}, err
		}
		s.aim, reason = before, err.Error()
		rules := s.rules
		s.rules.Sync = nil // what the Dockerfile copies can still go onto the image
		d = s.decide(c.now)
		s.rules = rules
	}
	if why := h.lingering(s); why != "" {
		return taken{}, &needsCycle{why}
	}
	if d.Way == hot.Image {
		c.started(string(d.Way))
		got, err := h.top(ctx, s, c, d)
		if fall := (*fallback)(nil); !errors.As(err, &fall) {
			got.reason = reason
			return got, err
		}
		reason = err.Error()
	}
	got, err := h.rebuild(ctx, s, c)
	got.reason = reason
	return got, err
}

// patience is for how long a container that is to be replaced may go on. With more, a rollout serves sooner: its new pods start
// while the old ones still go on.
const patience = time.Second

// lingering says why the service's pods are better not given another image in place.
func (h *hotpath) lingering(s *hotService) string {
	for _, p := range h.podsOf(s.name) {
		for _, k := range p.Containers {
			if k.Service == s.name && k.Lingers > patience {
				return fmt.Sprintf("the preStop hook of container %s sleeps for %s, and a rollout serves sooner", k.Name, k.Lingers)
			}
		}
	}
	return ""
}

// fallback says why a way did not work that a full build may not need.
type fallback struct{ err error }

func (f *fallback) Error() string { return f.err.Error() }
func (f *fallback) Unwrap() error { return f.err }

// unfit says why no shortcut is right for a service as it runs now.
func (h *hotpath) unfit(s *hotService, service config.Service) string {
	if service.Dev != nil && service.Dev.Mode == "full" {
		return "dev.mode is full"
	}
	if s.hook != "" {
		return "hook " + s.hook + " runs its image"
	}
	pods := h.podsOf(s.name)
	if len(pods) == 0 {
		return "no pod of it runs"
	}
	for _, p := range pods {
		if why := p.Swappable(s.name); why != "" {
			return "pod " + p.Name + ": " + why
		}
	}
	return ""
}

// rest implements shortcuts. New pods of a rollout are not to be given what those before them had.
func (h *hotpath) rest(ctx context.Context, services []string) (resume func()) {
	set := func(ctx context.Context, resting bool) {
		for _, name := range services {
			if s := h.service(name); s != nil && s.claim(ctx) {
				s.resting = resting
				s.unlock()
			}
		}
	}
	set(ctx, true)
	return func() {
		set(context.Background(), false)
		for _, s := range h.all() {
			h.replay(s) // of those that stayed hot, pods may have come meanwhile
		}
	}
}

// deployed implements shortcuts.
func (h *hotpath) deployed(g *gathered, images map[string]image) {
	h.connect(g)
	hooks := map[string]string{}
	for _, source := range g.whole.Sources {
		for _, hook := range source.Hooks {
			for _, ref := range hook.Images {
				hooks[ref] = hook.ID.String()
			}
		}
	}
	for name, i := range images {
		s := h.service(name)
		if s == nil {
			s = &hotService{name: name, busy: make(chan struct{}, 1)}
			h.mu.Lock()
			h.services[name] = s
			h.mu.Unlock()
		}
		s.lock(context.Background())
		s.declared, s.base, s.hook, s.undecided = i.ref, i, hooks[i.ref], false
		s.aim = aim{image: i.ref, contains: i.context, now: i.context}
		s.had = map[string]hot.Held{}
		s.ran = map[string]int{i.ref: 1}
		s.unlock()
	}
}

// forget implements shortcuts.
func (h *hotpath) forget(services []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range services {
		delete(h.services, name) // who works on it is at rest, see rest
	}
}

// connect opens the session's own way to the cluster, once there is one, and follows the pods of the services that there are.
func (h *hotpath) connect(g *gathered) {
	services, err := h.project.repositories(nil)
	if err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.names = g.state.Nodes
	if id := g.state.Identity; h.pods != nil && id != nil && id.UID != h.uid { // somebody deleted the cluster, and there is a new one
		if h.unfollow != nil {
			h.unfollow()
		}
		h.pods.Close()
		h.pods, h.followed, h.unfollow, h.seen = nil, nil, nil, nil
	}
	if h.pods == nil {
		state, err := h.clusters.Status(h.ctx)
		if err != nil || state.Status != plan.Running {
			return
		}
		h.names = state.Nodes
		cluster, err := h.project.connect(h.ctx, h.clusters, state)
		if err != nil {
			h.project.sink.Emit(event.Warning{Text: "no shorter way than a full build for now: " + err.Error()})
			return
		}
		h.pods = cluster
		if state.Identity != nil {
			h.uid = state.Identity.UID
		}
	}
	if reflect.DeepEqual(h.followed, services) {
		return
	}
	if h.unfollow != nil {
		h.unfollow()
	}
	ctx, stop := context.WithCancel(h.ctx)
	h.followed, h.unfollow = services, stop
	pods := h.pods.FollowPods(ctx, services)
	h.work.Go(func() { h.follow(ctx, pods) })
}

func (h *hotpath) service(name string) *hotService {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.services[name]
}

func (h *hotpath) nodeNames() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.names)
}

// all are the services in a fixed order.
func (h *hotpath) all() []*hotService {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []*hotService
	for _, name := range slices.Sorted(maps.Keys(h.services)) {
		all = append(all, h.services[name])
	}
	return all
}

// warn gives a warning once.
func (h *hotpath) warn(text string) {
	h.mu.Lock()
	again := h.said[text]
	h.said[text] = true
	h.mu.Unlock()
	if !again {
		h.project.sink.Emit(event.Warning{Text: text})
	}
}

// containerID is a container's ID without the runtime that it belongs to.
func containerID(k kube.Container) string {
	if i := strings.Index(k.ID, "://"); i >= 0 {
		return k.ID[i+3:]
	}
	return k.ID
}

// notSwapped is the fault for pods that did not take what they were given in time.
func notSwapped(service string, waited time.Duration) error {
	return &fault.Error{
		Kind: fault.Deploy, What: fmt.Sprintf("containers of %s did not stay for as long as it takes to write into them", service),
		Err: fmt.Errorf("tried for %s", waited), Next: "`devenv logs " + service + "` says why they end.",
	}
}
