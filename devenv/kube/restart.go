package kube

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/devenv-run/devenv/devenv/plan"
)

// restarting finds the workloads with pods that are said to run, but ended when their node was restarted. Only within some time of a
// restart is it worth a look.
func (c *Cluster) restarting(ctx context.Context, namespaces []string) (map[plan.ID]bool, error) {
	const recent = 15 * time.Minute
	var last time.Time
	for _, start := range c.starts {
		last = later(last, start)
	}
	if c.now().Sub(last) > recent {
		return nil, nil
	}
	var mu sync.Mutex
	found := map[plan.ID]bool{}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for _, ns := range namespaces {
		g.Go(func() error {
			var pods *corev1.PodList
			err := persist(ctx, readPatience, func(ctx context.Context) (err error) {
				pods, err = c.core.Pods(ns).List(ctx, metav1.ListOptions{})
				return err
			})
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for i := range pods.Items {
				p := &pods.Items[i]
				for _, s := range p.Status.ContainerStatuses {
					if outdated(s, c.starts[p.Spec.NodeName]) {
						found[ownerOf(p)] = true
					}
				}
			}
			return nil
		})
	}
	return found, g.Wait()
}

// outdated says whether a container that is said to run was started before its node was, and so ended with it.
func outdated(s corev1.ContainerStatus, nodeStart time.Time) bool {
	return s.State.Running != nil && s.State.Running.StartedAt.Add(time.Second).Before(nodeStart) // starts are known to the second
}
