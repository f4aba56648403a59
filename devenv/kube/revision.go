package kube

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

const (
	deploymentRevision = "deployment.kubernetes.io/revision"
	daemonGeneration   = "deprecated.daemonset.template.generation"
)

// revision selects the pods that come from the specification that a workload has now, by name. During a rollout the pods of
// the old one are there too, and may well be broken: that is no reason to call the new one so. It selects none until the
// workload's controller has seen the specification.
func revision(u *unstructured.Unstructured, sets []*unstructured.Unstructured, pods []*corev1.Pod) []*corev1.Pod {
	if u == nil || number(u, u.GetGeneration(), "status", "observedGeneration") < u.GetGeneration() {
		return nil
	}
	owner, match := u.GetUID(), func(*corev1.Pod) bool { return true }
	switch u.GetKind() {
	case "Deployment":
		set := currentSet(u, sets)
		if set == nil {
			return nil
		}
		owner = set.GetUID()
	case "StatefulSet":
		current, _, _ := unstructured.NestedString(u.Object, "status", "updateRevision")
		match = func(p *corev1.Pod) bool { return p.Labels["controller-revision-hash"] == current }
	case "DaemonSet":
		if generation, ok := u.GetAnnotations()[daemonGeneration]; ok {
			match = func(p *corev1.Pod) bool { return p.Labels["pod-template-generation"] == generation }
		}
	}
	var current []*corev1.Pod
	for _, p := range pods {
		if p.DeletionTimestamp == nil && (p.UID == owner || controllerUID(p.OwnerReferences) == owner && match(p)) {
			current = append(current, p)
		}
	}
	slices.SortFunc(current, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return current
}

// currentSet is the ReplicaSet of a Deployment's current specification: the one that has the revision that the Deployment
// has. Revisions are given anew when an old specification comes back.
func currentSet(deployment *unstructured.Unstructured, sets []*unstructured.Unstructured) *unstructured.Unstructured {
	want := deployment.GetAnnotations()[deploymentRevision]
	for _, s := range sets {
		if want != "" && s.GetAnnotations()[deploymentRevision] == want && controllerUID(s.GetOwnerReferences()) == deployment.GetUID() {
			return s
		}
	}
	return nil
}

// controllerUID is the UID of the owner that manages an object.
func controllerUID(refs []metav1.OwnerReference) types.UID {
	for _, r := range refs {
		if r.Controller != nil && *r.Controller {
			return r.UID
		}
	}
	return ""
}
