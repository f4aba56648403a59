package kube

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/devenv-run/devenv/devenv/event"
)

// LogOptions of Logs.
type LogOptions struct {
	Services   Services // whose pods; all the containers of such a pod are read
	Containers []string // only those of these names; all if empty
	// Follow goes on with what is written from now on, by these pods and those that come after them, until ctx ends.
	Follow bool
	Since  time.Duration // how far back; zero for as far as there is
	Tail   int           // at most so many lines of each container that is there at the beginning; zero for all
}

// Logs emits what the containers of services wrote, each line as an event.LogLine. Without Follow the lines are in the order
// of their times, across all containers.
func (c *Cluster) Logs(ctx context.Context, o LogOptions, sink event.Sink) error {
	namespaces, err := c.namespaces(ctx)
	if err != nil {
		return err
	}
	if o.Follow {
		return c.followLogs(ctx, namespaces, o, sink)
	}
	var mu sync.Mutex
	var all []event.LogLine
	collect := event.SinkFunc(func(e event.Event) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, e.(event.LogLine))
	})
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for _, ns := range namespaces {
		var pods *corev1.PodList
		err := persist(ctx, readPatience, func(ctx context.Context) (err error) {
			pods, err = c.core.Pods(ns).List(ctx, metav1.ListOptions{})
			return err
		})
		if err != nil {
			return unanswered(err, "the pods could not be read")
		}
		for i := range pods.Items {
			for _, name := range o.containers(&pods.Items[i]) {
				r := newReader(c, &pods.Items[i], name, o, collect)
				g.Go(func() error { return r.readOnce(ctx) })
			}
		}
	}
	err = g.Wait()
	slices.SortStableFunc(all, func(a, b event.LogLine) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Pod, b.Pod), strings.Compare(a.Container, b.Container))
	})
	for _, l := range all {
		sink.Emit(l)
	}
	if err != nil {
		return unanswered(err, "some logs could not be read")
	}
	return nil
}

// containers lists the containers of a pod that are to be read; none if it is no pod of the services.
func (o LogOptions) containers(p *corev1.Pod) []string {
	d := describe(p, o.Services)
	if len(d.Services) == 0 {
		return nil
	}
	var names []string
	for _, k := range d.Containers {
		if len(o.Containers) == 0 || slices.Contains(o.Containers, k.Name) {
			names = append(names, k.Name)
		}
	}
	return names
}

// followLogs starts a reader for every container as it appears, and ends when ctx does.
func (c *Cluster) followLogs(ctx context.Context, namespaces []string, o LogOptions, sink event.Sink) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, ns := range namespaces {
		view, changed, news := &picture{}, newPoke(), newBell()
		pods := c.dynamic.Resource(corev1.SchemeGroupVersion.WithResource("pods")).Namespace(ns)
		g.Go(func() error { return follow(ctx, pods, metav1.ListOptions{}, view, changed.give) })
		g.Go(func() error {
			type container struct{ uid, name string }
			reading := map[container]bool{}
			first := true
			for {
				select {
				case <-ctx.Done():
					return nil
				case <-changed:
				}
				items, whole := view.look()
				if !whole {
					continue
				}
				for uid, u := range items {
					p, err := podOf(u)
					if err != nil {
						continue
					}
					for _, name := range o.containers(p) {
						key := container{string(uid), name}
						if reading[key] {
							continue
						}
						reading[key] = true
						from := o
						if !first {
							from.Tail, from.Since = 0, 0 // it began while we look: all of it is new
						}
						r := newReader(c, p, name, from, sink)
						g.Go(func() error { return r.readOn(ctx, view, news) })
					}
				}
				first = false
				news.ring()
			}
		})
	}
	if err := g.Wait(); err != nil {
		return unanswered(err, "the pods could not be followed")
	}
	return nil
}
