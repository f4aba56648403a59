package kube

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/devenv-run/devenv/devenv/plan"
)

// progress is the line that is worth showing while an object is not ready: how far it is, and what the first pod that is not
// ready is busy with: "1 of 2 replicas ready, grades starts".
func progress(c condition, pods []*corev1.Pod) string {
	for _, p := range pods {
		if busy := occupation(p); busy != "" {
			return c.Message + ", " + busy
		}
	}
	return c.Message
}

// occupation says what a pod that is not ready is busy with; empty for one that is ready or ended.
func occupation(p *corev1.Pod) string {
	if p.Spec.NodeName == "" {
		return "waiting for a node"
	}
	for _, s := range containerStatuses(p) {
		switch {
		case s.State.Waiting != nil:
			switch s.State.Waiting.Reason {
			case "ErrImagePull", "ImagePullBackOff":
				return "waiting for image " + s.Image
			case "ContainerCreating", "":
				return s.Name + " is being created"
			case "PodInitializing":
				continue // an init container before it has more to say
			}
			return fmt.Sprintf("%s: %s", s.Name, s.State.Waiting.Reason)
		case s.State.Terminated != nil && s.State.Terminated.ExitCode != 0:
			return fmt.Sprintf("%s ended with %s", s.Name, exit(s.State.Terminated))
		case s.State.Running != nil && isInit(p, s.Name) && !sidecar(p, s.Name):
			return fmt.Sprintf("init container %s runs", s.Name)
		case s.State.Running != nil && !s.Ready:
			if s.RestartCount > 0 {
				return fmt.Sprintf("%s is not ready, restarted %s", s.Name, plan.Count(int(s.RestartCount), "time"))
			}
			return s.Name + " is not ready"
		}
	}
	return ""
}

func isInit(p *corev1.Pod, name string) bool {
	for _, c := range p.Spec.InitContainers {
		if c.Name == name {
			return true
		}
	}
	return false
}

// sidecar says whether an init container keeps running beside the others.
func sidecar(p *corev1.Pod, name string) bool {
	for _, c := range p.Spec.InitContainers {
		if c.Name == name {
			return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		}
	}
	return false
}
