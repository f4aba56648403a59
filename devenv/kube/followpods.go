package kube

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FollowPods gives the environment's pods that run an image of one of the services, as Pods lists them: now, and again whenever something
// about them changes. Changes that nobody has taken yet are one. It outlives an API server that is away: then nothing comes, until all that is
// news comes at once. The channel is closed when ctx ends.
func (c *Cluster) FollowPods(ctx context.Context, services Services) <-chan []Pod {
	out := make(chan []Pod)
	all, changed := &picture{}, newPoke()
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		pods := c.dynamic.Resource(corev1.SchemeGroupVersion.WithResource("pods"))
		for ctx.Err() == nil {
			// It ends with an error where the server refuses to answer. Whoever follows pods can do nothing about that but ask again.
			if err := follow(ctx, pods, metav1.ListOptions{}, all, changed.give); err != nil && sleep(ctx, readPatience) != nil {
				return
			}
		}
	}()
	go func() {
		defer func() {
			<-followed
			close(out)
		}()
		known := map[string]bool{} // whether a namespace is the environment's
		var last []Pod
		for first := true; ; {
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
			pods, whole := c.pictured(ctx, all, services, known)
			if !whole {
				time.AfterFunc(time.Second, changed.give) // the inventory could not be read: nothing else may happen that has us look again
			}
			if !whole || !first && reflect.DeepEqual(pods, last) {
				continue
			}
			sending := true
			for sending {
				select {
				case out <- pods:
					sending = false
				case <-changed:
					if newer, whole := c.pictured(ctx, all, services, known); whole {
						pods = newer
					}
				case <-ctx.Done():
					return
				}
			}
			first, last = false, pods
		}
	}()
	return out
}

// pictured are the pods of a picture that belong to the environment and run one of the services; false as long as that cannot be told. known is
// kept between calls: the inventory is read again only for a pod in a namespace that was not met before.
func (c *Cluster) pictured(ctx context.Context, all *picture, services Services, known map[string]bool) ([]Pod, bool) {
	items, whole := all.look()
	if !whole {
		return nil, false
	}
	var pods []Pod
	asked := false
	for _, u := range items {
		p, err := podOf(u)
		if err != nil {
			continue // nothing that a server sends
		}
		d := describe(p, services)
		if len(d.Services) == 0 {
			continue
		}
		if _, met := known[d.Namespace]; !met && !asked {
			asked = true
			namespaces, err := c.namespaces(ctx)
			if err != nil {
				return nil, false
			}
			for _, ns := range namespaces {
				known[ns] = true
			}
		}
		// An inventory has a namespace before the first pod is made there: what it does not have now it will not have for this pod.
		mine := known[d.Namespace]
		known[d.Namespace] = mine
		if mine {
			pods = append(pods, d)
		}
	}
	slices.SortFunc(pods, func(a, b Pod) int { return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name)) })
	return pods, true
}
