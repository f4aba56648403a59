package devenv

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/kind"
	"github.com/devenv-run/devenv/devenv/kube"
	"github.com/devenv-run/devenv/devenv/plan"
	"github.com/devenv-run/devenv/devenv/render"
)

// This file holds the commands that look and change nothing: Render, Status, Logs, Forward, Kubeconfig.

// RenderOptions say how objects are shown.
type RenderOptions struct {
	ShowSecrets bool // the values of Secrets themselves, not their hashes
}

// Render emits the objects that Up would apply. Where a cluster runs, they are rendered for its version and APIs.
func (p *Project) Render(ctx context.Context, o RenderOptions) error {
	g, err := p.gather(ctx, nil)
	if err != nil {
		return stopped(ctx, err)
	}
	defer g.close()
	sources := g.desired.Sources
	if !o.ShowSecrets {
		if sources, err = p.masked(sources); err != nil {
			return err
		}
	}
	text, err := render.YAML(sources)
	if err != nil {
		return err
	}
	p.sink.Emit(event.Rendered{YAML: string(text)})
	return nil
}

// running opens the environment's cluster, which has to run.
func (p *Project) running(ctx context.Context) (*kube.Cluster, error) {
	engine, err := p.docker()
	if err != nil {
		return nil, err
	}
	clusters := p.clusters(engine)
	state, err := clusters.Status(ctx)
	if err != nil {
		return nil, err
	}
	switch state.Status {
	case plan.Absent:
		return nil, p.notRunning("it has no cluster", "`devenv up` makes one.")
	case plan.Stopped:
		return nil, p.notRunning("its cluster is stopped", "`devenv up` starts it.")
	}
	return p.connect(ctx, clusters, state)
}

// repositories says by which images the pods of each service are known, whichever revision they run.
func (p *Project) repositories(services []string) (kube.Services, error) {
	selected, err := p.config.Select(services)
	if err != nil {
		return nil, err
	}
	found := kube.Services{}
	for _, s := range selected {
		found[s.Name] = []string{s.Image}
	}
	return found, nil
}

// Status emits the state of cluster and services. A cluster that is absent or stopped is an answer, not an error.
func (p *Project) Status(ctx context.Context) error {
	engine, err := p.docker()
	if err != nil {
		return err
	}
	clusters := p.clusters(engine)
	status := event.Status{Environment: p.name, Cluster: event.Cluster{Name: "devenv-" + p.name}}
	var state kind.State
	var images []image
	var group errgroup.Group
	group.Go(func() (err error) {
		state, err = clusters.Status(ctx)
		return err
	})
	group.Go(func() (err error) {
		images, err = p.images(ctx, engine)
		return err
	})
	if err := group.Wait(); err != nil {
		return stopped(ctx, err)
	}
	status.Cluster.Status = string(state.Status)
	if state.Identity != nil {
		status.Cluster.Kubernetes, status.Cluster.NodeImage = state.Identity.Kubernetes, state.Identity.NodeImage
	}
	for _, name := range state.Nodes {
		status.Cluster.Nodes = append(status.Cluster.Nodes, event.Node{Name: name})
	}
	services := make([]event.Service, len(images))
	for i, image := range images {
		s := event.Service{Name: image.service.Name, Image: image.ref}
		for _, f := range image.service.Forward {
			s.Endpoints = append(s.Endpoints, fmt.Sprintf("http://127.0.0.1:%d", f.Local))
		}
		services[i] = s
	}
	status.Services = services
	if state.Status == plan.Running {
		if err := p.lookInto(ctx, clusters, state, &status); err != nil {
			return stopped(ctx, err)
		}
	}
	p.sink.Emit(status)
	return nil
}

// lookInto adds to s what the cluster says.
func (p *Project) lookInto(ctx context.Context, clusters *kind.Clusters, state kind.State, s *event.Status) error {
	cluster, err := p.connect(ctx, clusters, state)
	if err != nil {
		return err
	}
	defer cluster.Close()
	repositories, err := p.repositories(nil)
	if err != nil {
		return err
	}
	var pods []kube.Pod
	var workloads []kube.Workload
	var ready map[string]bool
	var group errgroup.Group
	group.Go(func() (err error) {
		pods, err = cluster.Pods(ctx, repositories)
		return err
	})
	group.Go(func() (err error) {
		workloads, err = cluster.Workloads(ctx, repositories)
		return err
	})
	group.Go(func() (err error) {
		ready, err = cluster.NodesReady(ctx)
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	for i := range s.Cluster.Nodes {
		s.Cluster.Nodes[i].Ready = ready[s.Cluster.Nodes[i].Name]
	}
	for i := range s.Services {
		describe(&s.Services[i], workloads, pods)
	}
	return nil
}

// describe adds to a service its workloads and pods. It is current if it has pods and all of them, but for those that are on their way out, run
// the image that the working tree stands for.
func describe(s *event.Service, workloads []kube.Workload, pods []kube.Pod) {
	for _, w := range workloads {
		if slices.Contains(w.Services, s.Name) {
			s.Workloads = append(s.Workloads, event.Workload{ID: w.ID.String(), Ready: w.Ready, Desired: w.Desired, Message: w.Message})
		}
	}
	current, other := 0, 0
	for _, pod := range pods {
		// What a job left behind is history, not state.
		if !slices.Contains(pod.Services, s.Name) || pod.Phase == "Completed" {
			continue
		}
		image := ""
		for _, c := range pod.Containers {
			if c.Service == s.Name {
				image = c.Image
			}
		}
		s.Pods = append(s.Pods, event.Pod{
			Namespace: pod.Namespace, Name: pod.Name, Node: pod.Node, Phase: pod.Phase, Ready: pod.Ready, Restarts: pod.Restarts, Image: image,
			Hot: hotOf(pod, s.Name),
		})
		_, isHot := pod.Hot[s.Name]
		switch {
		case image == s.Image && !isHot:
			current++
		case pod.Phase != "Terminating":
			other++
		}
	}
	s.Current = current > 0 && other == 0
}

// hotOf says what a pod runs of a service in the place of what is declared; nil if nothing.
func hotOf(pod kube.Pod, service string) *event.Hot {
	m, ok := pod.Hot[service]
	if !ok {
		return nil
	}
	return &event.Hot{Way: string(m.Way), Image: m.Image, Files: m.Files, Since: m.Since}
}

// LogsOptions say which logs, and how much of them.
type LogsOptions struct {
	Services []string // empty: all
	Follow   bool
	Tail     int           // lines of each container; 0: all
	Since    time.Duration // 0: from the beginning
}

// Logs emits the lines of all the containers of the services. With Follow it goes on, into pods that come later too, until ctx ends, which
// is no error then.
func (p *Project) Logs(ctx context.Context, o LogsOptions) error {
	services, err := p.repositories(o.Services)
	if err != nil {
		return err
	}
	cluster, err := p.running(ctx)
	if err != nil {
		return stopped(ctx, err)
	}
	defer cluster.Close()
	err = cluster.Logs(ctx, kube.LogOptions{Services: services, Follow: o.Follow, Tail: o.Tail, Since: o.Since}, p.sink)
	if o.Follow && ctx.Err() != nil {
		return nil
	}
	return stopped(ctx, err)
}

// Forward opens the declared ports of the services on 127.0.0.1 until ctx ends, which is no error.
func (p *Project) Forward(ctx context.Context, services []string) error {
	selected, err := p.config.Select(services)
	if err != nil {
		return err
	}
	cluster, err := p.running(ctx)
	if err != nil {
		return stopped(ctx, err)
	}
	defer cluster.Close()
	// All ports are opened before any is used, so that one that is taken is told at once.
	type open struct {
		service  string
		listener net.Listener
		target   kube.Target
	}
	var opened []open
	defer func() {
		for _, o := range opened {
			o.listener.Close()
		}
	}()
	for _, s := range selected {
		for _, f := range s.Forward {
			target, err := cluster.TargetOf(ctx, s.Name, []string{s.Image}, f.Remote)
			if err != nil {
				return stopped(ctx, err)
			}
			l, err := kube.Listen(ctx, f.Local)
			if err != nil {
				return err
			}
			opened = append(opened, open{s.Name, l, target})
		}
	}
	if len(opened) == 0 {
		return notDeclared(p, services)
	}
	var mu sync.Mutex
	group, gctx := errgroup.WithContext(ctx)
	for _, o := range opened {
		p.sink.Emit(event.Forwarding{Service: o.service, Local: o.listener.Addr().String(), Target: o.target.String()})
		group.Go(func() error {
			last := "" // a client that keeps trying is told once
			return cluster.Forward(gctx, o.listener, o.target, func(text string) {
				mu.Lock()
				defer mu.Unlock()
				if text != last {
					p.sink.Emit(event.Warning{Text: o.service + ": " + text})
				}
				last = text
			})
		})
	}
	err = group.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func notDeclared(p *Project, services []string) error {
	of := "any service"
	if len(services) > 0 {
		of = strings.Join(services, ", ")
	}
	return &fault.Error{
		Kind: fault.Config, What: "devenv.yaml declares no port to forward for " + of, Where: p.config.At("services").String(),
		Next: `Add, for example, forward: ["8080:80"] to the service.`,
	}
}

// Kubeconfig emits the path of the environment's own kubeconfig.
func (p *Project) Kubeconfig(ctx context.Context) error {
	cluster, err := p.running(ctx)
	if err != nil {
		return stopped(ctx, err)
	}
	cluster.Close()
	p.sink.Emit(event.Text{Text: p.state.path("kubeconfig")})
	return nil
}
