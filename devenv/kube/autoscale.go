package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/devenv-run/devenv/devenv/plan"
)

// yield is what to send of a workload whose replicas an autoscaler decides. One that is made now gets the declared number to
// start from. One that exists keeps the number that it has: the field is left out.
//
// Server-side apply takes a field away when its only owner no longer sends it, and the number would fall to its default, 1. So as
// long as devenv owns the field, another owner is put beside it first; Kubernetes calls that a transfer of ownership. The
// autoscaler takes the field from both as soon as it changes the number.
func (c *Cluster) yield(ctx context.Context, a api, id plan.ID, u *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	live, err := c.read(ctx, changePatience, a, id)
	switch {
	case apierrors.IsNotFound(err):
		return u, nil
	case err != nil:
		return nil, err
	case live.GetDeletionTimestamp() != nil:
		return u, nil // it is made anew once it is gone
	}
	if holdsReplicas(live, c.manager) {
		if err := c.handOverReplicas(ctx, a, id, live); err != nil {
			return nil, err
		}
	}
	rest := u.DeepCopy()
	unstructured.RemoveNestedField(rest.Object, "spec", "replicas")
	return rest, nil
}

// handOverReplicas makes a second owner of the number of replicas that an object has. If somebody else has changed the number
// meanwhile, it is theirs already and stays as it is.
func (c *Cluster) handOverReplicas(ctx context.Context, a api, id plan.ID, live *unstructured.Unstructured) error {
	number, _, _ := unstructured.NestedFieldNoCopy(live.Object, "spec", "replicas")
	// The UID keeps it from making an object where this one has been deleted.
	body, err := json.Marshal(map[string]any{
		"apiVersion": live.GetAPIVersion(), "kind": live.GetKind(),
		"metadata": map[string]any{"name": live.GetName(), "uid": live.GetUID()},
		"spec":     map[string]any{"replicas": number},
	})
	if err != nil {
		return fmt.Errorf("encode the replicas of %s: %w", id, err)
	}
	return persist(ctx, changePatience, func(ctx context.Context) error {
		_, err := c.resource(a, id).Patch(ctx, id.Name, types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: c.holder()})
		if apierrors.IsConflict(err) {
			return nil
		}
		return err
	})
}

// holder is the name under which a number of replicas is kept for an autoscaler that has not changed it yet.
func (c *Cluster) holder() string { return c.manager + "-autoscaled" }

// holdsReplicas says whether a manager applied the number of replicas and still owns it.
func holdsReplicas(u *unstructured.Unstructured, manager string) bool {
	for _, e := range fieldEntries(u) {
		spec, _ := e.fields["f:spec"].(map[string]any)
		if _, holds := spec["f:replicas"]; holds && e.manager == manager && e.applied && !e.sub {
			return true
		}
	}
	return false
}

// withoutReplicas is a field set of managedFields without the number of replicas. The set itself stays as it is.
func withoutReplicas(fields map[string]any) map[string]any {
	spec, ok := fields["f:spec"].(map[string]any)
	if !ok {
		return fields
	}
	spec, fields = maps.Clone(spec), maps.Clone(fields)
	delete(spec, "f:replicas")
	fields["f:spec"] = spec
	return fields
}

// withReplicasOf is a declaration with the number of replicas that an object has, which is the right one where an autoscaler
// decides it.
func withReplicasOf(live, declared *unstructured.Unstructured) *unstructured.Unstructured {
	number, found, _ := unstructured.NestedInt64(live.Object, "spec", "replicas")
	if !found {
		return declared
	}
	declared = declared.DeepCopy()
	if err := unstructured.SetNestedField(declared.Object, number, "spec", "replicas"); err != nil {
		return declared // its spec is no object, which the server refuses in any case
	}
	return declared
}
