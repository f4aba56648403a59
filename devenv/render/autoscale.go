package render

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/devenv-run/devenv/devenv/plan"
)

// autoscaled finds the workloads whose number of replicas is an autoscaler's to decide once they run: those that declare one and
// that another object's spec.scaleTargetRef names. So do HorizontalPodAutoscalers, and what is built on them (KEDA).
//
// Zero replicas are no number to start from: they tell an autoscaler to leave the workload alone, and so count as declared.
func (r *rendering) autoscaled() map[plan.ID]bool {
	targets := map[plan.ID]bool{}
	for _, d := range r.drafts {
		spec, _ := d.object["spec"].(map[string]any)
		if ref, ok := spec["scaleTargetRef"].(map[string]any); ok && d.hook == nil {
			targets[scaleTarget(ref, d.id.Namespace)] = true
		}
	}
	scaled := map[plan.ID]bool{}
	for _, d := range r.drafts {
		spec, _ := d.object["spec"].(map[string]any)
		if n, declared := spec["replicas"].(json.Number); declared && n != "0" && targets[d.id] {
			scaled[d.id] = true
		}
	}
	return scaled
}

// scaleTarget is what a scaleTargetRef names. Where it leaves something out it means a Deployment.
func scaleTarget(ref map[string]any, namespace string) plan.ID {
	text := func(field string) string { s, _ := ref[field].(string); return s }
	return plan.ID{
		Group:     groupOf(cmp.Or(text("apiVersion"), "apps/v1")),
		Kind:      cmp.Or(text("kind"), "Deployment"),
		Namespace: namespace,
		Name:      text("name"),
	}
}

// leaveReplicas marks an object as one whose replicas an autoscaler decides. That is part of what is declared, so the hash tells
// it: an object that gets an autoscaler, or loses it, is applied again.
func leaveReplicas(o plan.Object) plan.Object {
	sum := sha256.Sum256(slices.Concat(o.JSON, []byte("\nautoscaled")))
	o.Autoscaled, o.Hash = true, hex.EncodeToString(sum[:])
	return o
}
