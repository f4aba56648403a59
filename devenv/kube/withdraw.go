package kube

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// How a pod is taken out of its Services for a moment, so that nobody connects to it while its container is replaced.
//
// Only what the kubelet reports of a pod decides whether it is in its Services' EndpointSlices, and of a container that it replaces because its
// image changed the kubelet reports nothing until the new one runs: the pod counts as ready all the while. Saying Ready=False in the pod's
// status beforehand does not last: the first thing that the kubelet does about the new image is to report the generation that it has seen, and with it all
// of the status as it knows it. So the endpoint is taken out of the EndpointSlices themselves. Their controller notices a change by others after a
// second, and until then writes them anew only when a pod of the Service changes. By then the kubelet has made that one report, and Ready=False in the
// pod's status lasts until its next one: when the new container runs, or at the round that it makes every ten seconds. A devenv that is
// killed meanwhile leaves nothing that these two would not put right.

// proxyPatience is what kube-proxy is given to stop sending connections to an endpoint that was taken out. Nothing says when it has. In
// clusters that devenv creates it waits at most 0.1 s (its minSyncPeriod) and then needs some 50 ms.
const proxyPatience = 250 * time.Millisecond

// withdraw takes a pod out of its Services, and returns when no new connection reaches it that way.
func (c *Cluster) withdraw(ctx context.Context, p *corev1.Pod) error {
	const tries = 5
	for range tries {
		changed, err := c.endpoints(ctx, p, false)
		if err != nil || !changed {
			return err
		}
		if err := sleep(ctx, proxyPatience); err != nil {
			return err
		}
		// The controller may have put it back for the sake of another pod; then nothing is won yet.
	}
	return fmt.Errorf("pod %s is put back into its Services each time that it is taken out", p.Name)
}

// endpoints says in every EndpointSlice of a pod whether it serves. changed says whether any said otherwise before.
func (c *Cluster) endpoints(ctx context.Context, p *corev1.Pod, serves bool) (changed bool, err error) {
	slices := c.dynamic.Resource(endpointSlices).Namespace(p.Namespace)
	err = persist(ctx, changePatience, func(ctx context.Context) error {
		all, err := slices.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range all.Items {
			if !setServing(&all.Items[i], p.UID, serves) {
				continue
			}
			changed = true
			_, err := slices.Update(ctx, &all.Items[i], metav1.UpdateOptions{FieldManager: c.manager})
			if err != nil && !apierrors.IsNotFound(err) {
				return err // also a conflict: the slices are read again
			}
		}
		return nil
	})
	return changed, err
}

// setServing changes a slice's endpoint of a pod so that it serves or does not, and says whether that was a change.
func setServing(slice *unstructured.Unstructured, pod types.UID, serves bool) bool {
	list, _, _ := unstructured.NestedSlice(slice.Object, "endpoints")
	changed := false
	for _, item := range list {
		endpoint, _ := item.(map[string]any)
		if uid, _, _ := unstructured.NestedString(endpoint, "targetRef", "uid"); uid != string(pod) {
			continue
		}
		// Nobody saying whether it is ready means that it is.
		ready, said, _ := unstructured.NestedBool(endpoint, "conditions", "ready")
		if said && ready == serves || !said && serves {
			continue
		}
		endpoint["conditions"] = map[string]any{"ready": serves, "serving": serves, "terminating": false}
		changed = true
	}
	if changed {
		slice.Object["endpoints"] = list
	}
	return changed
}

// hold keeps a withdrawn pod out of its Services while the kubelet replaces its containers, for which its image was changed: it says of the
// status that the kubelet has reported since that the pod is not ready. A report that is newer than p wins.
func (c *Cluster) hold(ctx context.Context, p *corev1.Pod) error {
	if p.Status.ObservedGeneration < p.Generation || !podReady(p) {
		return nil // the report is still to come, or already says so
	}
	p = p.DeepCopy()
	for i := range p.Status.Conditions {
		if k := &p.Status.Conditions[i]; k.Type == corev1.PodReady {
			k.Status, k.Reason, k.Message = corev1.ConditionFalse, "Replacing", "devenv replaces a container"
			k.LastTransitionTime = metav1.NewTime(c.now())
		}
	}
	_, err := c.core.Pods(p.Namespace).UpdateStatus(ctx, p, metav1.UpdateOptions{FieldManager: c.manager})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

var endpointSlices = discoveryv1.SchemeGroupVersion.WithResource("endpointslices")
