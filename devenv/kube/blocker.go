package kube

import (
	"context"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/devenv-run/devenv/devenv/engine"
)

// blocker is the pod that keeps a StatefulSet from getting its present specification; nil if there is none.
//
// A StatefulSet that starts its pods one after the other waits for each to be ready before it replaces any, also for a pod of an earlier
// specification that will never be: the corrected one would not arrive. Kubernetes has people delete such a pod
// (kubernetes.io/docs/concepts/workloads/controllers/statefulset, forced rollback). Only a pod that cannot run counts; one that is slow does not.
func blocker(u *unstructured.Unstructured, pods []*corev1.Pod) *corev1.Pod {
	if u.GetKind() != "StatefulSet" || number(u, 0, "status", "observedGeneration") < u.GetGeneration() {
		return nil
	}
	policy, _, _ := unstructured.NestedString(u.Object, "spec", "podManagementPolicy")
	strategy, _, _ := unstructured.NestedString(u.Object, "spec", "updateStrategy", "type")
	present, _, _ := unstructured.NestedString(u.Object, "status", "updateRevision")
	if policy == string(appsv1.ParallelPodManagement) || strategy == string(appsv1.OnDeleteStatefulSetStrategyType) || present == "" {
		return nil
	}
	var first *corev1.Pod // that is not ready: the one that its controller waits for
	for _, p := range pods {
		if controllerUID(p.OwnerReferences) == u.GetUID() && !podReady(p) && (first == nil || ordinal(p) < ordinal(first)) {
			first = p
		}
	}
	if first == nil || first.DeletionTimestamp != nil || first.Labels[appsv1.ControllerRevisionHashLabelKey] == present || !broken(first) {
		return nil
	}
	return first
}

// ordinal is the number at the end of a StatefulSet's pod.
func ordinal(p *corev1.Pod) int {
	n, err := strconv.Atoi(p.Name[strings.LastIndexByte(p.Name, '-')+1:])
	if err != nil {
		return 0
	}
	return n
}

// broken says whether a pod has a container that cannot be started, or that exits again and again.
func broken(p *corev1.Pod) bool {
	for _, s := range containerStatuses(p) {
		if s.State.Waiting == nil {
			continue
		}
		switch s.State.Waiting.Reason {
		case "CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull",
			"CreateContainerConfigError", "CreateContainerError", "RunContainerError":
			return true
		}
	}
	return false
}

// unblock deletes the pod that a StatefulSet's rollout hangs on; its controller makes it anew from the present specification. What does
// not work is tried again at the next look.
func (w *waiting) unblock(ctx context.Context, u *unstructured.Unstructured, r engine.Report) {
	p := blocker(u, w.podList())
	if p == nil || w.unblocked[p.UID] {
		return
	}
	r("replacing " + p.Name + ", which cannot run and is of an earlier version")
	err := w.c.core.Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &p.UID}})
	if err == nil {
		w.unblocked[p.UID] = true
	}
}
