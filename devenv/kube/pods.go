package kube

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/plan"
)

// Services says which images belong to which service, by the service's name. A reference with a tag or digest stands for
// itself; one without stands for every image of that repository, which is how pods of an earlier revision are found.
type Services map[string][]string

// Of is the service that an image belongs to; empty for others. A full reference counts before a repository.
func (s Services) Of(image string) string {
	repository := repositoryOf(image)
	found := ""
	for name, refs := range s {
		switch {
		case slices.Contains(refs, image):
			return name
		case slices.Contains(refs, repository) && (found == "" || name < found):
			found = name
		}
	}
	return found
}

// repositoryOf is a reference without tag and digest.
func repositoryOf(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		ref = ref[:i]
	}
	return ref
}

// Pod is a pod that runs a service's image.
type Pod struct {
	Services  []string // whose images it runs, sorted
	Namespace string
	Name      string
	UID       string
	Node      string // empty until it has one
	IP        string
	Owner     plan.ID // the workload whose pod it is; the pod itself for a bare one
	// Phase is what a person wants to know of it: Running, Pending, Completed, Terminating, or why it does not run
	// (CrashLoopBackOff).
	Phase         string
	Ready         bool
	Restarts      int // of the container that restarted most
	Created       time.Time
	RestartPolicy string              // of its containers: Always, OnFailure, Never
	Hot           map[string]hot.Mark // by service: what it runs in the place of what is declared; nil if nothing
	Containers    []Container
}

// Container is a container of a pod, init containers included.
type Container struct {
	Name     string
	Service  string // whose image it runs; empty for others
	Image    string // as the pod declares it
	ImageID  string // what runs, as the container runtime names it
	ID       string // of the running instance, "containerd://…"
	Init     bool
	Ready    bool
	Running  bool
	Restarts int
	State    string // running, waiting, terminated, with a reason where there is one: "waiting: ImagePullBackOff"
	// Lingers is for how long its preStop hook keeps it when it is to end, as far as the hook says: one that only sleeps.
	Lingers time.Duration
}

// Pods lists the environment's pods that run an image of one of the services, by namespace and name.
func (c *Cluster) Pods(ctx context.Context, services Services) ([]Pod, error) {
	namespaces, err := c.namespaces(ctx)
	if err != nil {
		return nil, err
	}
	lists := make([]*corev1.PodList, len(namespaces))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for i, ns := range namespaces {
		g.Go(func() error {
			return persist(ctx, readPatience, func(ctx context.Context) (err error) {
				lists[i], err = c.core.Pods(ns).List(ctx, metav1.ListOptions{})
				return err
			})
		})
	}
	if err := g.Wait(); err != nil {
		return nil, unanswered(err, "the pods could not be read")
	}
	var pods []Pod
	for _, l := range lists {
		for i := range l.Items {
			if p := describe(&l.Items[i], services); len(p.Services) > 0 {
				pods = append(pods, p)
			}
		}
	}
	slices.SortFunc(pods, func(a, b Pod) int { return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name)) })
	return pods, nil
}

// namespaces lists where the environment has objects.
func (c *Cluster) namespaces(ctx context.Context) ([]string, error) {
	v, err := c.ledger.fresh(ctx)
	if err != nil {
		return nil, err
	}
	return v.namespaces(), nil
}

// describe says of a pod what people want to know.
func describe(p *corev1.Pod, services Services) Pod {
	d := Pod{Namespace: p.Namespace, Name: p.Name, UID: string(p.UID), Node: p.Spec.NodeName, IP: p.Status.PodIP, Owner: ownerOf(p),
		Phase: phase(p), Ready: podReady(p), Created: p.CreationTimestamp.Time, RestartPolicy: restartPolicy(p), Hot: hotMarks(p)}
	statuses := map[string]corev1.ContainerStatus{}
	for _, s := range containerStatuses(p) {
		statuses[s.Name] = s
		d.Restarts = max(d.Restarts, int(s.RestartCount))
	}
	add := func(spec corev1.Container, init bool) {
		s := statuses[spec.Name]
		k := Container{Name: spec.Name, Image: spec.Image, Service: services.Of(spec.Image), ImageID: s.ImageID, ID: s.ContainerID, Init: init,
			Ready: s.Ready, Running: s.State.Running != nil, Restarts: int(s.RestartCount), State: containerState(s), Lingers: lingers(spec)}
		d.Containers = append(d.Containers, k)
		if k.Service != "" && !slices.Contains(d.Services, k.Service) {
			d.Services = append(d.Services, k.Service)
		}
	}
	for _, spec := range p.Spec.InitContainers {
		add(spec, true)
	}
	for _, spec := range p.Spec.Containers {
		add(spec, false)
	}
	slices.Sort(d.Services)
	return d
}

// lingers is how long a preStop hook sleeps that does nothing else; 0 for others, of which nobody knows.
func lingers(k corev1.Container) time.Duration {
	if k.Lifecycle == nil || k.Lifecycle.PreStop == nil {
		return 0
	}
	if s := k.Lifecycle.PreStop.Sleep; s != nil {
		return time.Duration(s.Seconds) * time.Second
	}
	if e := k.Lifecycle.PreStop.Exec; e != nil {
		words := e.Command
		if len(words) == 3 && words[1] == "-c" { // sh -c "sleep 5"
			words = strings.Fields(words[2])
		}
		if len(words) == 2 && path.Base(words[0]) == "sleep" {
			if seconds, err := strconv.ParseFloat(strings.TrimSuffix(words[1], "s"), 64); err == nil {
				return time.Duration(seconds * float64(time.Second))
			}
		}
	}
	return 0
}

func containerState(s corev1.ContainerStatus) string {
	state, reason := "waiting", ""
	switch {
	case s.State.Running != nil:
		return "running"
	case s.State.Terminated != nil:
		state, reason = "terminated", s.State.Terminated.Reason
	case s.State.Waiting != nil:
		reason = s.State.Waiting.Reason
	}
	if reason != "" {
		state += ": " + reason
	}
	return state
}

// phase is a pod's phase, or what is wrong with it.
func phase(p *corev1.Pod) string {
	if p.DeletionTimestamp != nil {
		return "Terminating"
	}
	for _, s := range containerStatuses(p) {
		if w := s.State.Waiting; w != nil && w.Reason != "" && w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" {
			return w.Reason
		}
		if t := s.State.Terminated; t != nil && t.ExitCode != 0 && p.Status.Phase != corev1.PodFailed {
			return cmp.Or(t.Reason, "Error")
		}
	}
	switch p.Status.Phase {
	case corev1.PodSucceeded:
		return "Completed"
	case corev1.PodFailed:
		return cmp.Or(p.Status.Reason, "Failed")
	}
	return string(p.Status.Phase)
}

func podReady(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// ownerOf is the workload that a pod belongs to. A Deployment's pods belong to its ReplicaSet, whose name is the Deployment's
// with the template's hash behind it.
func ownerOf(p *corev1.Pod) plan.ID {
	for _, r := range p.OwnerReferences {
		if r.Controller == nil || !*r.Controller {
			continue
		}
		group, _, grouped := strings.Cut(r.APIVersion, "/")
		if !grouped {
			group = ""
		}
		name, kind := r.Name, r.Kind
		if hash := p.Labels["pod-template-hash"]; kind == "ReplicaSet" && hash != "" {
			if deployment, ok := strings.CutSuffix(name, "-"+hash); ok {
				name, kind = deployment, "Deployment"
			}
		}
		return plan.ID{Group: group, Kind: kind, Namespace: p.Namespace, Name: name}
	}
	return plan.ID{Kind: "Pod", Namespace: p.Namespace, Name: p.Name}
}
