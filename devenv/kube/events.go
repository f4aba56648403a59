package kube

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/devenv-run/devenv/devenv/plan"
)

// Event is something that Kubernetes reported about an object.
type Event struct {
	At      time.Time // when it last happened
	Warning bool
	Object  plan.ID
	Reason  string // in one word: FailedScheduling
	Message string
	Count   int // how often it happened; at least 1
}

// Events lists what Kubernetes reported in the environment's namespaces, oldest first. Kubernetes forgets events after an
// hour.
func (c *Cluster) Events(ctx context.Context) ([]Event, error) {
	namespaces, err := c.namespaces(ctx)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var all []Event
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for _, ns := range namespaces {
		g.Go(func() error {
			var l *corev1.EventList
			err := persist(ctx, readPatience, func(ctx context.Context) (err error) {
				l, err = c.core.Events(ns).List(ctx, metav1.ListOptions{})
				return err
			})
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for _, e := range l.Items {
				all = append(all, reported(e))
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, unanswered(err, "the events could not be read")
	}
	slices.SortStableFunc(all, func(a, b Event) int { return a.At.Compare(b.At) })
	return all, nil
}

func reported(e corev1.Event) Event {
	about := e.InvolvedObject
	gv, _ := schema.ParseGroupVersion(about.APIVersion) // of what the server wrote; empty where it wrote none
	return Event{
		At: eventTime(e), Warning: e.Type == corev1.EventTypeWarning, Reason: e.Reason, Message: oneLine(e.Message),
		Count:  max(1, int(eventCount(e))),
		Object: plan.ID{Group: gv.Group, Kind: about.Kind, Namespace: about.Namespace, Name: about.Name},
	}
}
