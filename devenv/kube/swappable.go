package kube

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/devenv-run/devenv/devenv/plan"
)

// Swappable says why the containers of a pod that run a service cannot be given another image in place; empty if they can.
//
// The kubelet restarts a container whose image changes only where the container is to run always. Init containers have run, and would not
// run again in the order that a new pod gives them. And only a pod that somebody makes anew from a template comes back to what is declared.
func (p Pod) Swappable(service string) string {
	switch groupKind(p.Owner) {
	case groupKind(plan.ID{Group: "apps", Kind: "Deployment"}), statefulSets, groupKind(plan.ID{Group: "apps", Kind: "DaemonSet"}):
	default:
		return "it belongs to " + p.Owner.String() + ", which is no Deployment, StatefulSet or DaemonSet"
	}
	if p.RestartPolicy != string(corev1.RestartPolicyAlways) {
		return "its restart policy is " + p.RestartPolicy
	}
	runs := func(init bool) bool {
		return slices.ContainsFunc(p.Containers, func(k Container) bool { return k.Init == init && k.Service == service })
	}
	switch {
	case runs(true):
		return "an init container runs " + service
	case !runs(false):
		return "no container of it runs " + service
	case p.Node == "":
		return "it is on no node yet"
	}
	return ""
}

// restartPolicy is that of the pod's containers: the pod's own, or the other one that a container declares for itself.
func restartPolicy(p *corev1.Pod) string {
	for _, k := range p.Spec.Containers {
		if k.RestartPolicy != nil && *k.RestartPolicy != corev1.ContainerRestartPolicyAlways {
			return string(*k.RestartPolicy)
		}
	}
	if p.Spec.RestartPolicy == "" {
		return string(corev1.RestartPolicyAlways)
	}
	return string(p.Spec.RestartPolicy)
}
