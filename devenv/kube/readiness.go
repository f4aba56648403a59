package kube

import (
	"fmt"
	"math"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/devenv-run/devenv/devenv/plan"
)

// condition is what an object's own status says of it.
type condition struct {
	Ready   bool
	Failed  bool   // by its controller's judgement; waiting will not change it
	Reason  string // of a failure, in Kubernetes' words: ProgressDeadlineExceeded
	Message string // why it is not ready, for people: "1 of 2 replicas ready"
}

// readiness judges an object by what the server says of it: kstatus, and before that the kinds of which kstatus has another
// idea of ready than someone has who is going to use the object.
//
// lazy names the storage classes that bind a claim only when a pod uses it: such a claim is ready while it waits for its
// first pod, or a plan that waits for the claim before it applies the pod would wait for ever.
func readiness(u *unstructured.Unstructured, lazy map[string]bool) condition {
	if u.GetDeletionTimestamp() != nil {
		return condition{Message: "is being deleted"}
	}
	switch u.GroupVersionKind().GroupKind() {
	case schema.GroupKind{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"},
		schema.GroupKind{Group: "policy", Kind: "PodDisruptionBudget"}:
		return condition{Ready: true} // they act when there is something to act on; their conditions say nothing of themselves
	case schema.GroupKind{Kind: "PersistentVolumeClaim"}:
		if class, _, _ := unstructured.NestedString(u.Object, "spec", "storageClassName"); lazy[class] {
			return condition{Ready: true}
		}
	case schema.GroupKind{Kind: "Pod"}:
		return podReadiness(u)
	case schema.GroupKind{Group: "batch", Kind: "Job"}:
		return jobReadiness(u)
	case schema.GroupKind{Group: "apiregistration.k8s.io", Kind: "APIService"}:
		return conditionReadiness(u, "Available")
	case schema.GroupKind{Group: "apps", Kind: "Deployment"}:
		if paused, _, _ := unstructured.NestedBool(u.Object, "spec", "paused"); paused {
			return condition{Ready: true, Message: "is paused"}
		}
	}

	result, err := status.Compute(u)
	if err != nil {
		return condition{Message: err.Error()}
	}
	switch result.Status {
	case status.CurrentStatus:
		return condition{Ready: true}
	case status.FailedStatus:
		c := condition{Failed: true, Reason: "Failed", Message: result.Message}
		if len(result.Conditions) > 0 {
			c.Reason = result.Conditions[0].Reason
			c.Message = result.Conditions[0].Message
		}
		return c
	}
	return condition{Message: advance(u, result.Message)}
}

// advance says how far an object has come, in people's words for workloads and otherwise in kstatus' own.
func advance(u *unstructured.Unstructured, otherwise string) string {
	gk := u.GroupVersionKind().GroupKind()
	if gk.Group != "apps" {
		return otherwise
	}
	if number(u, 0, "status", "observedGeneration") < u.GetGeneration() {
		return "waiting for its controller to see the change"
	}
	switch gk.Kind {
	case "Deployment", "StatefulSet", "ReplicaSet":
		want := number(u, 1, "spec", "replicas")
		ready := number(u, 0, "status", "readyReplicas")
		updated := number(u, 0, "status", "updatedReplicas")
		if gk.Kind != "ReplicaSet" {
			ready = min(ready, updated) // while the old version still serves, its replicas do not count
		}
		if old := number(u, 0, "status", "replicas") - want; ready >= want && old > 0 {
			return plan.Count(int(old), "old replica") + " still to go"
		}
		return fmt.Sprintf("%d of %s ready", ready, plan.Count(int(want), "replica"))
	case "DaemonSet":
		want := number(u, 0, "status", "desiredNumberScheduled")
		ready := min(number(u, 0, "status", "numberReady"), number(u, 0, "status", "updatedNumberScheduled"))
		return fmt.Sprintf("%d of %s ready", ready, plan.Count(int(want), "node"))
	}
	return otherwise
}

// podReadiness: kstatus calls a failed pod current.
func podReadiness(u *unstructured.Unstructured) condition {
	phase, _, _ := unstructured.NestedString(u.Object, "status", "phase")
	switch corev1.PodPhase(phase) {
	case corev1.PodSucceeded:
		return condition{Ready: true}
	case corev1.PodFailed:
		reason, _, _ := unstructured.NestedString(u.Object, "status", "reason")
		message, _, _ := unstructured.NestedString(u.Object, "status", "message")
		if reason == "" {
			reason = "Failed"
		}
		return condition{Failed: true, Reason: reason, Message: message}
	}
	if ready, _, ok := conditionOf(u, "Ready"); ok && ready == "True" {
		return condition{Ready: true}
	}
	return condition{Message: "its containers are not ready"}
}

// jobReadiness: kstatus calls a job current once it runs. Who waits for a job waits for what it does.
func jobReadiness(u *unstructured.Unstructured) condition {
	if state, _, _ := conditionOf(u, "Complete"); state == "True" {
		return condition{Ready: true}
	}
	if suspended, _, _ := unstructured.NestedBool(u.Object, "spec", "suspend"); suspended {
		return condition{Ready: true, Message: "is suspended"}
	}
	for _, kind := range []string{"Failed", "FailureTarget"} { // the latter comes first, while the job's last pods are being stopped
		if state, c, _ := conditionOf(u, kind); state == "True" {
			reason, _ := c["reason"].(string)
			message, _ := c["message"].(string)
			return condition{Failed: true, Reason: reason, Message: message}
		}
	}
	want := number(u, number(u, 1, "spec", "parallelism"), "spec", "completions")
	if number(u, 0, "status", "active") == 0 && number(u, 0, "status", "failed") == 0 {
		return condition{Message: "not started"}
	}
	message := fmt.Sprintf("%d of %s complete", number(u, 0, "status", "succeeded"), plan.Count(int(want), "pod"))
	if failed := number(u, 0, "status", "failed"); failed > 0 {
		message += fmt.Sprintf(", %d failed", failed)
	}
	return condition{Message: message}
}

// conditionReadiness is for kinds that are ready when one condition is true.
func conditionReadiness(u *unstructured.Unstructured, kind string) condition {
	state, c, _ := conditionOf(u, kind)
	if state == "True" {
		return condition{Ready: true}
	}
	message, _ := c["message"].(string)
	if message == "" {
		message = "not " + kind + " yet"
	}
	return condition{Message: message}
}

// conditionOf finds a condition by its type.
func conditionOf(u *unstructured.Unstructured, kind string) (state string, c map[string]any, ok bool) {
	raw, _, _ := unstructured.NestedFieldNoCopy(u.Object, "status", "conditions")
	list, _ := raw.([]any)
	for _, e := range list {
		if c, _ := e.(map[string]any); c["type"] == kind {
			state, _ := c["status"].(string)
			return state, c, true
		}
	}
	return "", nil, false
}

// number reads an integer, or gives the default where there is none.
func number(u *unstructured.Unstructured, def int64, path ...string) int64 {
	v, ok, err := unstructured.NestedFieldNoCopy(u.Object, path...)
	if !ok || err != nil {
		return def
	}
	switch n := v.(type) {
	case int64:
		return n
	case float64:
		if n == math.Trunc(n) {
			return int64(n)
		}
	}
	return def
}
