package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/plan"
)

// Swap is what Cluster.Swap does: containers of running pods get another image in place.
type Swap struct {
	Service string // whose containers are swapped
	Image   string // what they are to run; every node of Pods holds it
	Pods    []Pod  // as Pods or FollowPods describe them
	// Mark is what the pods are marked with, as MarkHot does. The zero hot.Mark takes the mark away: Image is what their template names.
	Mark hot.Mark
}

// Swap has the containers of the pods that run the service run the image, without making the pods anew: the kubelet replaces a container
// whose image changes, in a third of a second. Pods that run the image already, and those that are gone or on their way out, are left alone.
//
// One pod is swapped after the other. One that is not the only ready pod of its workload is taken out of its Services before, so that nobody
// is refused; the only one is missing for as long as its container takes to start. The first pod is the trial: where its container does not become
// ready, or exits soon, it gets its image and its mark back, and no other pod is touched. The error is then a fault.Deploy whose Detail holds the container's last
// log lines. A pod that cannot be swapped is one too, and then nothing was done.
//
// Swap returns when the pods are ready as the kubelet says, which looks at its containers once a second: connections reach the new version up to
// a second before. When ctx ends in the middle, the pod in hand goes on to the new image.
//
// Image is best a reference that the pods have not run before: the kubelet puts off the start of a container if some of the same reference ended in
// that pod, by ten seconds and more each time. A pod that this happens to is deleted, so that its controller makes another one, and the swap has failed.
func (c *Cluster) Swap(ctx context.Context, s Swap, r engine.Report) error {
	for _, p := range s.Pods {
		if why := p.Swappable(s.Service); why != "" && p.Phase != "Terminating" {
			return &fault.Error{Kind: fault.Deploy, What: fmt.Sprintf("pod %s cannot be given another image in place", p.Name), Err: errors.New(why),
				Next: "`devenv up` rolls the service out instead."}
		}
	}
	trial := true
	var rested time.Time // when the pod before was back in its Services
	for i, p := range s.Pods {
		if len(s.Pods) > 1 {
			r(fmt.Sprintf("pod %d of %d", i+1, len(s.Pods)))
		}
		did, err := c.swapPod(ctx, s, p, trial, rested)
		if err != nil {
			return err
		}
		trial, rested = trial && !did, time.Now()
	}
	return nil
}

// swapPod swaps one pod, and says whether there was anything to swap.
func (c *Cluster) swapPod(ctx context.Context, s Swap, p Pod, trial bool, rested time.Time) (did bool, err error) {
	before, others, err := c.beside(ctx, p)
	if err != nil {
		return false, unanswered(err, "pod "+p.Name+" could not be read")
	}
	if before == nil {
		return false, nil
	}
	old, wanted := map[string]string{}, map[string]string{} // images by container
	for _, k := range p.Containers {
		if k.Service == s.Service && !k.Init {
			wanted[k.Name] = s.Image
		}
	}
	for _, k := range before.Spec.Containers {
		if wanted[k.Name] == k.Image {
			delete(wanted, k.Name)
		} else if wanted[k.Name] != "" {
			old[k.Name] = k.Image
		}
	}
	if len(wanted) == 0 {
		return false, c.MarkHot(ctx, p, s.Service, s.Mark)
	}
	e := exchange{c: c, pod: before, images: wanted, metadata: remark(before, s.Service, s.Mark), trial: trial}
	if others > 0 && podReady(before) {
		defer func() { c.rejoin(ctx, before) }()
		e.withdraw = func(ctx context.Context) (time.Time, error) { return c.withdraw(ctx, before, rested) }
	}
	err = e.run(ctx)
	var failed *stuck
	var told *fault.Error
	switch {
	case errors.As(err, &failed):
		return true, c.swapBack(ctx, s, before, old, failed)
	case errors.As(err, &told):
		return true, err
	case errors.Is(err, errPutOff):
		f := &fault.Error{
			Kind: fault.Deploy, What: fmt.Sprintf("pod %s could not be given %s in place", p.Name, plan.ShortRef(s.Image)), Err: err,
			Next: "The pod was deleted. The one in its place runs what is declared; `devenv up` rolls the service out.",
		}
		return true, errors.Join(f, c.deletePod(ctx, before))
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return false, nil // the pod went meanwhile; the one in its place is not this one
	case err != nil:
		return true, unanswered(err, "pod "+p.Name+" could not be followed")
	}
	return true, nil
}

// beside reads a pod afresh, nil if it is gone or going, and counts the other pods of its workload that are ready.
func (c *Cluster) beside(ctx context.Context, p Pod) (pod *corev1.Pod, others int, err error) {
	var all *corev1.PodList
	err = persist(ctx, readPatience, func(ctx context.Context) (err error) {
		all, err = c.core.Pods(p.Namespace).List(ctx, metav1.ListOptions{})
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	for i := range all.Items {
		switch q := &all.Items[i]; {
		case q.UID == types.UID(p.UID):
			if q.DeletionTimestamp == nil {
				pod = q
			}
		case ownerOf(q) == p.Owner && podReady(q):
			others++
		}
	}
	return pod, others, nil
}

// rejoin puts a pod that was taken out of its Services back in, if it is ready; its controller would a second later.
func (c *Cluster) rejoin(ctx context.Context, p *corev1.Pod) {
	ctx, cancel := after(ctx)
	defer cancel()
	now, err := c.core.Pods(p.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
	if err == nil && now.UID == p.UID && podReady(now) {
		_, _ = c.endpoints(ctx, now, true) // what fails here is put right by the controller
	}
}

// swapBack gives a pod what it ran before, and makes an error of why.
func (c *Cluster) swapBack(ctx context.Context, s Swap, before *corev1.Pod, old map[string]string, failed *stuck) error {
	f := &fault.Error{
		Kind: fault.Deploy, What: fmt.Sprintf("%s did not become ready in pod %s", plan.ShortRef(s.Image), before.Name), Err: failed,
		Detail: c.evidence(ctx, failed), // before the container goes, and its output with it
		Next:   "The pod runs the image again that it had. Correct what the container's last lines say.",
	}
	now := failed.pods[0]
	e := exchange{c: c, pod: now, images: old, metadata: formerMarks(before), former: map[string]string{}}
	for _, s := range before.Status.ContainerStatuses {
		e.former[s.Name] = s.ImageID
	}
	err := e.run(ctx)
	if bad := (*stuck)(nil); errors.As(err, &bad) {
		f.Next = "The pod was given the image back that it had, and did not become ready with it (" + bad.Error() + "). `devenv up` rolls the service out anew."
		return f
	}
	if errors.Is(err, errPutOff) {
		// The one that its controller makes in its place runs at once.
		f.Next = "The pod was deleted, since the kubelet puts off its next start. The one in its place runs what is declared. Correct what the container's last lines say."
		return errors.Join(f, c.deletePod(ctx, now))
	}
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		f.Next = "The pod is gone; the one in its place runs what is declared."
		return f
	}
	return errors.Join(f, err)
}

// deletePod deletes a pod, if it is still that one.
func (c *Cluster) deletePod(ctx context.Context, p *corev1.Pod) error {
	err := persist(ctx, changePatience, func(ctx context.Context) error {
		return c.core.Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &p.UID}})
	})
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return unanswered(err, "pod "+p.Name+" could not be deleted")
}

// formerMarks are a pod's own marks, as a patch.
func formerMarks(p *corev1.Pod) map[string]any {
	value := func(m map[string]string) any {
		if v, ok := m[Hot]; ok {
			return v
		}
		return nil
	}
	return map[string]any{"labels": map[string]any{Hot: value(p.Labels)}, "annotations": map[string]any{Hot: value(p.Annotations)}}
}
