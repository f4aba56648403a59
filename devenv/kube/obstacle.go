package kube

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// obstacle finds what hinders a workload apart from its pods: its controller says that it failed, or cannot make pods at all.
// Nil if there is nothing.
func obstacle(u *unstructured.Unstructured, c condition, now, since time.Time) *verdict {
	if c.Failed {
		v := &verdict{Reason: c.Reason, Message: c.Message, Next: "Correct the cause shown above, and run devenv up again."}
		switch c.Reason {
		case "ProgressDeadlineExceeded":
			v.Next = "See devenv logs for what its pods do; raise progressDeadlineSeconds if they only need longer."
		case "BackoffLimitExceeded", "PodFailurePolicy", "DeadlineExceeded":
			v.Next = "Correct what the job's last lines say, and run devenv up again."
		}
		return v
	}
	state, failure, _ := conditionOf(u, "ReplicaFailure")
	if state != "True" {
		return nil
	}
	at, _ := failure["lastTransitionTime"].(string)
	began, err := time.Parse(time.RFC3339, at)
	if err != nil || now.Sub(later(began, since)) < scheduleGrace {
		return nil // an account or a quota that is applied a moment later
	}
	reason, _ := failure["reason"].(string)
	message, _ := failure["message"].(string)
	return podsRefused(reason, message)
}

// unborn finds, in a workload's events, why its controller makes no pods: not all kinds say it in a condition.
func unborn(events []corev1.Event, now, since time.Time) *verdict {
	if now.Sub(since) < scheduleGrace {
		return nil
	}
	for i := len(events) - 1; i >= 0; i-- {
		switch e := events[i]; e.Reason {
		case "SuccessfulCreate":
			return nil
		case "FailedCreate":
			return podsRefused(e.Reason, e.Message)
		}
	}
	return nil
}

func podsRefused(reason, message string) *verdict {
	return &verdict{Reason: reason, Message: message,
		Next: "Correct the pod template, or what it needs (account, quota, pod security), so that the cluster accepts its pods."}
}

// unbound finds, in a claim's events, why it gets no volume. Nil while it may still get one.
func unbound(events []corev1.Event, now, since time.Time) *verdict {
	if now.Sub(since) < scheduleGrace {
		return nil
	}
	for i := len(events) - 1; i >= 0; i-- {
		switch e := events[i]; e.Reason {
		case "ProvisioningSucceeded":
			return nil
		case "ProvisioningFailed", "FailedBinding":
			return &verdict{Reason: e.Reason, Message: e.Message,
				Next: "Name a storage class that the cluster has, or leave storageClassName out to get the default one."}
		}
	}
	return nil
}
