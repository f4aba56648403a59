package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
)

// Target says where a forwarded port leads: to the pods behind a Kubernetes Service, or to the environment's pods that run an
// image of one of Pods.
type Target struct {
	Namespace, Service string
	Pods               Services
	// Port is the Service's port, by number or name; for Pods it is a container's port.
	Port string
}

// String is how users read a target: "service academy/grades:http", "grades:8080".
func (t Target) String() string {
	if t.Service != "" {
		return "service " + t.Namespace + "/" + t.Service + ":" + t.Port
	}
	var names []string
	for name := range t.Pods {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ",") + ":" + t.Port
}

// Listen opens a port on 127.0.0.1 for Forward; zero takes any free one.
func Listen(ctx context.Context, port int) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, &fault.Error{Kind: fault.Machine, What: fmt.Sprintf("port %d on 127.0.0.1 is not free", port), Err: err,
			Next: "Stop what listens there, or choose another local port."}
	}
	return l, nil
}

// patienceForPod is how long a connection waits for a pod that can take it.
const patienceForPod = 30 * time.Second

// Forward leads every connection to l to a ready pod of the target, until ctx ends; it closes l. A connection goes to the
// newest ready pod there is when it is made, and waits a while if there is none, so restarts and rollouts only break the
// connections that are open to a pod that goes. Trouble with a single connection is told through r.
func (c *Cluster) Forward(ctx context.Context, l net.Listener, t Target, r engine.Report) error {
	ctx, stop := context.WithCancel(ctx)
	f := &forwarder{c: c, target: t, report: r, changed: newBell(), tunnels: map[string]*tunnel{}}
	var background sync.WaitGroup
	defer func() {
		stop()
		_ = l.Close() // it may be closed already
		f.closeTunnels()
		background.Wait()
	}()
	places, err := f.places(ctx)
	if err != nil {
		return err
	}
	for _, p := range places {
		view := &picture{}
		f.views = append(f.views, view)
		background.Go(func() { f.follow(ctx, p, view) })
	}
	background.Go(func() {
		<-ctx.Done()
		_ = l.Close() // ends Accept
	})
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return nil
		}
		if err != nil {
			return &fault.Error{Kind: fault.Machine, What: "forwarding to " + t.String() + " ended", Err: err, Next: "Run devenv forward again."}
		}
		background.Go(func() {
			if err := f.serve(ctx, conn); err != nil && ctx.Err() == nil {
				r(err.Error())
			}
		})
	}
}

// forwarder is one Forward under way.
type forwarder struct {
	c       *Cluster
	target  Target
	report  engine.Report
	views   []*picture // of the pods, by namespace
	changed *bell

	mu      sync.Mutex
	tunnels map[string]*tunnel // by pod UID
}

// place is a selection of pods.
type place struct{ namespace, selector string }

// places says where the target's pods are to be looked for.
func (f *forwarder) places(ctx context.Context) ([]place, error) {
	if f.target.Service == "" {
		namespaces, err := f.c.namespaces(ctx)
		var all []place
		for _, ns := range namespaces {
			all = append(all, place{namespace: ns})
		}
		return all, err
	}
	s, err := f.service(ctx)
	if err != nil {
		return nil, err
	}
	if len(s.Spec.Selector) == 0 {
		return nil, &fault.Error{Kind: fault.Config, What: f.target.String() + " has no pods to forward to",
			Err: errors.New("it has no selector"), Next: "Name a Service that selects pods."}
	}
	return []place{{f.target.Namespace, labels.SelectorFromSet(s.Spec.Selector).String()}}, nil
}

func (f *forwarder) service(ctx context.Context) (*corev1.Service, error) {
	var s *corev1.Service
	err := persist(ctx, readPatience, func(ctx context.Context) (err error) {
		s, err = f.c.core.Services(f.target.Namespace).Get(ctx, f.target.Service, metav1.GetOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil, &fault.Error{Kind: fault.Config, What: f.target.String() + " does not exist",
			Next: "Name a Service of the environment; devenv render shows them."}
	}
	if err != nil {
		return nil, unanswered(err, f.target.String()+" could not be read")
	}
	return s, nil
}

// follow keeps a view of the pods of one place.
func (f *forwarder) follow(ctx context.Context, p place, view *picture) {
	pods := f.c.dynamic.Resource(corev1.SchemeGroupVersion.WithResource("pods")).Namespace(p.namespace)
	if err := follow(ctx, pods, metav1.ListOptions{LabelSelector: p.selector}, view, f.changed.ring); err != nil {
		f.report("the pods of " + p.namespace + " cannot be followed: " + err.Error())
	}
}

// pick chooses the newest ready pod, waiting for one if there is none.
func (f *forwarder) pick(ctx context.Context) (*corev1.Pod, error) {
	end := time.NewTimer(patienceForPod)
	defer end.Stop()
	for said := false; ; said = true {
		heard := f.changed.listen()
		var best *corev1.Pod
		for _, v := range f.views {
			items, _ := v.look()
			for _, u := range items {
				p, err := podOf(u)
				if err != nil || !podReady(p) || f.target.Service == "" && !runs(p, f.target.Pods) {
					continue
				}
				if best == nil || best.CreationTimestamp.Before(&p.CreationTimestamp) {
					best = p
				}
			}
		}
		if best != nil {
			return best, nil
		}
		if !said {
			f.report("waiting for a ready pod of " + f.target.String())
		}
		select {
		case <-heard:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-end.C:
			return nil, fmt.Errorf("%s has no ready pod", f.target)
		}
	}
}

func runs(p *corev1.Pod, s Services) bool {
	return slices.ContainsFunc(p.Spec.Containers, func(k corev1.Container) bool { return s.Of(k.Image) != "" })
}

// port resolves the target's port to a number in the pod.
func (f *forwarder) port(ctx context.Context, p *corev1.Pod) (int, error) {
	if f.target.Service == "" {
		return containerPort(p, intstr.Parse(f.target.Port))
	}
	s, err := f.service(ctx)
	if err != nil {
		return 0, err
	}
	for _, sp := range s.Spec.Ports {
		if sp.Name != f.target.Port && strconv.Itoa(int(sp.Port)) != f.target.Port {
			continue
		}
		if sp.TargetPort == (intstr.IntOrString{}) {
			return int(sp.Port), nil
		}
		return containerPort(p, sp.TargetPort)
	}
	return 0, fmt.Errorf("service %s/%s has no port %s", f.target.Namespace, f.target.Service, f.target.Port)
}

func containerPort(p *corev1.Pod, port intstr.IntOrString) (int, error) {
	if port.Type == intstr.Int {
		return port.IntValue(), nil
	}
	for _, k := range p.Spec.Containers {
		for _, cp := range k.Ports {
			if cp.Name == port.StrVal {
				return int(cp.ContainerPort), nil
			}
		}
	}
	return 0, fmt.Errorf("pod %s has no port named %s", p.Name, port.StrVal)
}

// serve leads one connection to a pod. If the way to the pod just broke, it tries once more, with whichever pod is there
// then.
func (f *forwarder) serve(ctx context.Context, conn net.Conn) error {
	defer conn.Close()
	const tries = 3
	for try := 1; ; try++ {
		pod, err := f.pick(ctx)
		if err != nil {
			return err
		}
		port, err := f.port(ctx, pod)
		if err != nil {
			return err
		}
		t, err := f.tunnel(pod)
		if err == nil {
			var began bool
			if began, err = t.carry(conn, port); began {
				if err != nil {
					f.drop(pod, t)
					return fmt.Errorf("%s: %w", pod.Name, err)
				}
				return nil
			}
			f.drop(pod, t)
		}
		if try == tries {
			return fmt.Errorf("connect to pod %s: %w", pod.Name, err)
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}
