package kube

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
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
		seen := sight{mine: map[string]bool{}}
		var last []Pod
		for first := true; ; {
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
			pods, whole := c.pictured(ctx, all, services, &seen)
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
					if newer, whole := c.pictured(ctx, all, services, &seen); whole {
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

// sight is what FollowPods keeps from one look at its picture to the next.
type sight struct {
	mine map[string]bool            // by namespace: whether it is the environment's
	pods map[types.UID]describedPod // those of the last look
}

// describedPod is a pod, and the object that it was described from.
type describedPod struct {
	from *unstructured.Unstructured
	pod  Pod
}

// describe describes a picture's pods, each version of a pod once: a node's kubelet tells something new of each of a hundred pods in turn.
func (s *sight) describe(items map[types.UID]*unstructured.Unstructured, services Services) {
	pods := make(map[types.UID]describedPod, len(items))
	for uid, u := range items {
		if before, ok := s.pods[uid]; ok && before.from == u {
			pods[uid] = before
		} else if p, err := podOf(u); err == nil { // a server sends nothing else
			pods[uid] = describedPod{u, describe(p, services)}
		}
	}
	s.pods = pods
}

// pictured are the pods of a picture that belong to the environment and run one of the services; false as long as that cannot be told. The
// inventory is read again only for a pod in a namespace that was not met before.
func (c *Cluster) pictured(ctx context.Context, all *picture, services Services, seen *sight) ([]Pod, bool) {
	items, whole := all.look()
	if !whole {
		return nil, false
	}
	seen.describe(items, services)
	var pods []Pod
	asked := false
	for _, described := range seen.pods {
		d := described.pod
		if len(d.Services) == 0 {
			continue
		}
		if _, met := seen.mine[d.Namespace]; !met && !asked {
			asked = true
			namespaces, err := c.namespaces(ctx)
			if err != nil {
				return nil, false
			}
			for _, ns := range namespaces {
				seen.mine[ns] = true
			}
		}
		// An inventory has a namespace before the first pod is made there: what it does not have now it will not have for this pod.
		mine := seen.mine[d.Namespace]
		seen.mine[d.Namespace] = mine
		if mine {
			pods = append(pods, d)
		}
	}
	slices.SortFunc(pods, func(a, b Pod) int { return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name)) })
	return pods, true
}
