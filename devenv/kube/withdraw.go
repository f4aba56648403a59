package kube

import (
	"context"
	"fmt"
	"slices"
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
// pod's status lasts until its next one: when the new container runs, or at the round that it makes every ten seconds, which must not be due then (see
// rounds). A devenv that is killed meanwhile leaves nothing that these two would not put right.
const (
	// proxyPatience is what kube-proxy is given in any case to stop sending connections to an endpoint that was taken out. In clusters that devenv
	// creates it waits at most 0.1 s (its minSyncPeriod) and then needs some 50 ms. proxyLimit is until when it is waited for beyond that, see proxied.
	proxyPatience = 250 * time.Millisecond
	proxyLimit    = 450 * time.Millisecond
	// sliceRest is after which time the controller of EndpointSlices looks at what somebody, or it itself, has written.
	sliceRest = 1050 * time.Millisecond
	// withdrawTime is how long taking a pod out may take: as much again is left then for the kubelet's report.
	withdrawTime = 500 * time.Millisecond
	// reportPatience is how long after the withdrawal the kubelet's report may come before the controller is going to look.
	reportPatience = 800 * time.Millisecond
)

// withdraw takes a pod out of its Services, and returns when no new connection reaches it that way, with the time from which on the controller
// may put it back. rested is a time before which the slices were written last, as far as the caller knows one.
//
// What the caller does then has to be done before the controller looks at the slices. On a machine that is so busy that little of that time is
// left, the pod is put back and the whole begins anew.
func (c *Cluster) withdraw(ctx context.Context, p *corev1.Pod, rested time.Time) (since time.Time, err error) {
	const tries = 3
	for try := 1; ; try++ {
		routed, err := c.quiet(ctx, p, rested)
		if err != nil {
			return since, err
		}
		var nodes []string
		if routed {
			nodes = c.nodeNames(ctx)
		}
		if err := sleep(ctx, c.rounds.pause(p.Spec.NodeName, time.Now())); err != nil {
			return since, err
		}
		since, followed, err := c.takeOut(ctx, p, nodes)
		if err != nil || try == tries || followed && time.Since(since) < withdrawTime {
			return since, err
		}
		if _, err := c.endpoints(ctx, p, true); err != nil {
			return since, err
		}
		rested = time.Now()
	}
}

// takeOut takes a pod out of its Services and waits for the kube-proxies of the nodes, which it says whether they have followed. since is when the pod was
// taken out: before anybody could know of it.
func (c *Cluster) takeOut(ctx context.Context, p *corev1.Pod, nodes []string) (since time.Time, followed bool, err error) {
	const tries = 5
	followed = true
	for range tries {
		began := time.Now()
		changed, err := c.endpoints(ctx, p, false)
		if changed || since.IsZero() {
			since = began
		}
		if err != nil || !changed {
			return since, followed, err
		}
		written := time.Now()
		if err := sleep(ctx, proxyPatience); err != nil {
			return since, false, err
		}
		followed = c.proxied(ctx, nodes, written, since.Add(proxyLimit))
		// The controller may have put it back for the sake of another pod; then nothing is won yet.
	}
	return since, false, fmt.Errorf("pod %s is put back into its Services each time that it is taken out", p.Name)
}

// quiet waits until the pod's slices were left alone for long enough that their controller has no look at them in mind, which would undo what
// is written now. routed says whether kube-proxy goes by any of them.
func (c *Cluster) quiet(ctx context.Context, p *corev1.Pod, rested time.Time) (routed bool, err error) {
	all, err := c.slicesOf(ctx, p)
	if err != nil {
		return false, err
	}
	var last time.Time
	for i := range all {
		routed = routed || !unrouted(all[i].GetLabels())
		for _, f := range all[i].GetManagedFields() {
			if f.Time != nil {
				last = later(last, f.Time.Add(time.Second)) // times are cut to the second
			}
		}
	}
	if !rested.IsZero() && rested.Before(last) {
		last = rested
	}
	return routed, sleep(ctx, max(0, min(sliceRest, time.Until(last.Add(sliceRest)))))
}

// unrouted says whether kube-proxy leaves slices with these labels alone: those of headless Services, and of Services that are another proxy's.
func unrouted(labels map[string]string) bool {
	_, headless := labels[corev1.IsHeadlessService]
	_, others := labels["service.kubernetes.io/service-proxy-name"]
	return headless || others
}

// slicesOf lists the EndpointSlices that a pod is in.
func (c *Cluster) slicesOf(ctx context.Context, p *corev1.Pod) ([]unstructured.Unstructured, error) {
	var all *unstructured.UnstructuredList
	err := persist(ctx, readPatience, func(ctx context.Context) (err error) {
		all, err = c.dynamic.Resource(endpointSlices).Namespace(p.Namespace).List(ctx, metav1.ListOptions{})
		return err
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all.Items, func(s unstructured.Unstructured) bool { return len(endpointsOf(&s, p.UID)) == 0 }), nil
}

// endpointsOf are the endpoints of a slice that are a pod's. Changing them changes the slice.
func endpointsOf(slice *unstructured.Unstructured, pod types.UID) []map[string]any {
	list, _ := slice.Object["endpoints"].([]any)
	var found []map[string]any
	for _, item := range list {
		endpoint, _ := item.(map[string]any)
		if uid, _, _ := unstructured.NestedString(endpoint, "targetRef", "uid"); uid == string(pod) {
			found = append(found, endpoint)
		}
	}
	return found
}

// endpoints says in every EndpointSlice of a pod whether it serves. changed says whether any said otherwise before.
func (c *Cluster) endpoints(ctx context.Context, p *corev1.Pod, serves bool) (changed bool, err error) {
	err = persist(ctx, changePatience, func(ctx context.Context) error {
		all, err := c.slicesOf(ctx, p)
		if err != nil {
			return err
		}
		for i := range all {
			if !setServing(&all[i], p.UID, serves) {
				continue
			}
			changed = true
			_, err := c.dynamic.Resource(endpointSlices).Namespace(p.Namespace).Update(ctx, &all[i], metav1.UpdateOptions{FieldManager: c.manager})
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
	changed := false
	for _, endpoint := range endpointsOf(slice, pod) {
		// Nobody saying whether it is ready means that it is.
		ready, said, _ := unstructured.NestedBool(endpoint, "conditions", "ready")
		if said && ready == serves || !said && serves {
			continue
		}
		endpoint["conditions"] = map[string]any{"ready": serves, "serving": serves, "terminating": false}
		changed = true
	}
	return changed
}

// hold keeps a withdrawn pod out of its Services while the kubelet replaces its containers, for which its image was changed: it says of the
// status that the kubelet has reported since that the pod is not ready. Where that report is late, it says so of the one before, since otherwise
// the controller of EndpointSlices puts the pod back. A report that is newer than p wins.
func (c *Cluster) hold(ctx context.Context, p *corev1.Pod, withdrawn time.Time) error {
	reported := p.Status.ObservedGeneration >= p.Generation
	if !podReady(p) || !reported && time.Since(withdrawn) < reportPatience {
		return nil
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
