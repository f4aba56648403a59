package kube

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// How long a container without a readiness probe must have run to count as ready: Kubernetes says so the moment it starts,
// also of one that is about to exit because its database is missing. One that exited before is given longer. Starts are known
// to the second, so the shorter time is in truth between two and three.
const (
	steadyAfterStart   = 3 * time.Second
	steadyAfterRestart = 10 * time.Second
)

// unsteady names a container of which it is too early to say that it keeps running; empty if there is none. Where a readiness
// probe has passed there is nothing to wait for.
func unsteady(pods []*corev1.Pod, now time.Time, starts map[string]time.Time) string {
	for _, p := range pods {
		if p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
			continue // evicted, and another one is in its place; or done, as a job's pod is meant to be
		}
		probed := map[string]bool{}
		for _, k := range p.Spec.Containers {
			probed[k.Name] = k.ReadinessProbe != nil
		}
		for _, s := range p.Status.ContainerStatuses {
			if s.State.Running == nil || outdated(s, starts[p.Spec.NodeName]) {
				return s.Name // the workload's own status is older than that
			}
			if probed[s.Name] {
				continue
			}
			least := steadyAfterStart
			if s.RestartCount > 0 {
				least = steadyAfterRestart
			}
			if now.Sub(s.State.Running.StartedAt.Time) < least {
				return s.Name
			}
		}
	}
	return ""
}
