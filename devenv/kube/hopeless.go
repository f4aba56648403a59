package kube

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// How long states that often heal by themselves may last before they count as what they look like.
const (
	pullGrace      = 30 * time.Second // a registry that hiccups; errors that say that the image is not there have none
	configGrace    = 10 * time.Second // a ConfigMap or Secret that is applied a moment later
	scheduleGrace  = 20 * time.Second // old pods that make room
	startGrace     = time.Minute      // nodes and volumes that are still coming up
	crashesForSure = 3                // a container may exit once or twice while what it needs is not there yet
)

// verdict says why an object will not become ready by waiting.
type verdict struct {
	Reason    string // in Kubernetes' words: CrashLoopBackOff
	Message   string
	Pod       *corev1.Pod // whose fault it is, if a pod's
	Container string      // whose last log lines explain it, if a container's
	Next      string
}

// hopeless finds a pod that waiting will not heal, or nil. since is when the wait began: what happened before may have had
// another cause. retries says that the pods' owner starts anew by itself as often as it was told (a Job): then a container
// that exits is that owner's business.
func hopeless(pods []*corev1.Pod, now, since time.Time, retries bool) *verdict {
	for _, p := range pods {
		if v := hopelessPod(p, now, since, retries); v != nil {
			v.Pod = p
			return v
		}
	}
	return nil
}

func hopelessPod(p *corev1.Pod, now, since time.Time, retries bool) *verdict {
	if v := unschedulable(p, now, since); v != nil {
		return v
	}
	placed := scheduledAt(p)
	waited := now.Sub(later(placed, since))
	for _, s := range containerStatuses(p) {
		v := hopelessStart(s, waited, placed.Before(since))
		if v == nil && !retries {
			v = hopelessCrash(s, now, since)
		}
		if v != nil {
			v.Container = s.Name
			return v
		}
	}
	return nil
}

func unschedulable(p *corev1.Pod, now, since time.Time) *verdict {
	for _, c := range p.Status.Conditions {
		if c.Type != corev1.PodScheduled || c.Status != corev1.ConditionFalse || c.Reason != corev1.PodReasonUnschedulable {
			continue
		}
		grace := scheduleGrace
		for _, sign := range []string{"unbound immediate PersistentVolumeClaims", "node.kubernetes.io/not-ready"} {
			if strings.Contains(c.Message, sign) {
				grace = startGrace
			}
		}
		if now.Sub(later(c.LastTransitionTime.Time, since)) > grace {
			return &verdict{Reason: c.Reason, Message: c.Message,
				Next: "Lower the pod's resource requests or its placement rules, or give the cluster more workers (cluster.workers in devenv.yaml)."}
		}
	}
	return nil
}

// hopelessStart judges a container that cannot be started: for waited, since its pod got a node or the wait began. For a pod
// that is older than the wait, even an image that is said not to exist may have been brought since; the kubelet looks again
// within seconds.
func hopelessStart(s corev1.ContainerStatus, waited time.Duration, old bool) *verdict {
	w := s.State.Waiting
	if w == nil {
		return nil
	}
	switch w.Reason {
	case "InvalidImageName", "ErrImageNeverPull":
		return imageVerdict(s, w)
	case "ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError":
		if definite(w.Message) && !old || waited > pullGrace {
			return imageVerdict(s, w)
		}
	case "CreateContainerConfigError":
		if waited > configGrace {
			return &verdict{Reason: w.Reason, Message: w.Message,
				Next: "Declare the ConfigMap, the Secret or the key that the container names, in the same source or in one before it."}
		}
	case "CreateContainerError", "RunContainerError":
		if waited > configGrace {
			return &verdict{Reason: w.Reason, Message: w.Message,
				Next: "Correct the container's command, mounts or security context, and run devenv up again."}
		}
	}
	return nil
}

func imageVerdict(s corev1.ContainerStatus, w *corev1.ContainerStateWaiting) *verdict {
	return &verdict{Reason: w.Reason, Message: w.Message, Next: "Check the name " + s.Image +
		". An image that the cluster cannot pull comes from the engine: declare the service that builds it, or docker pull it."}
}

// definite says whether a pull error tells that the image is not to be had, rather than that a registry did not answer.
func definite(message string) bool {
	m := strings.ToLower(message)
	for _, sign := range []string{
		"not found", "manifest unknown", "does not exist", "denied", "unauthorized", "forbidden", "no such host", "invalid reference", "x509:",
	} {
		if strings.Contains(m, sign) {
			return true
		}
	}
	return false
}

// hopelessCrash judges a container that starts and exits, again and again.
func hopelessCrash(s corev1.ContainerStatus, now, since time.Time) *verdict {
	last := s.LastTerminationState.Terminated
	crashes := int(s.RestartCount)
	if t := s.State.Terminated; t != nil {
		if t.ExitCode == 0 {
			return nil // an init container that is through
		}
		last = t
	}
	if s.State.Running == nil {
		crashes++ // the one after which it waits for its next start
	}
	if last == nil || s.Ready || crashes < crashesForSure {
		return nil
	}
	if last.FinishedAt.Time.Before(since) {
		// It exited before the wait, perhaps for a cause that is gone: its next start will tell. The kubelet may put that off
		// for five minutes, which is longer than anybody wants to wait for a container that is most likely broken.
		looping := s.State.Waiting != nil && s.State.Waiting.Reason == "CrashLoopBackOff"
		if !looping || now.Sub(since) < startGrace {
			return nil
		}
	}
	v := &verdict{Reason: "CrashLoopBackOff", Message: fmt.Sprintf("container %s exited %d times, last with %s", s.Name, crashes, exit(last)),
		Next: "Correct what the container's last lines say, and run devenv up again."}
	if last.Reason == "OOMKilled" {
		v.Reason, v.Next = last.Reason, "Raise the container's memory limit, or lower what it uses, and run devenv up again."
	}
	return v
}

// exit says how a container ended: "exit code 1", "exit code 137 (OOMKilled)".
func exit(t *corev1.ContainerStateTerminated) string {
	s := fmt.Sprintf("exit code %d", t.ExitCode)
	if t.Reason != "" && t.Reason != "Error" && t.Reason != "Completed" {
		s += " (" + t.Reason + ")"
	}
	if t.Message != "" {
		s += ": " + strings.TrimSpace(t.Message)
	}
	return s
}

// scheduledAt is when the pod got its node, or was made where that is not known.
func scheduledAt(p *corev1.Pod) time.Time {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return p.CreationTimestamp.Time
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// containerStatuses lists init containers first, as they run.
func containerStatuses(p *corev1.Pod) []corev1.ContainerStatus {
	return append(append([]corev1.ContainerStatus(nil), p.Status.InitContainerStatuses...), p.Status.ContainerStatuses...)
}
