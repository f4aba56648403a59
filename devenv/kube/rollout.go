package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// restartedAt is an annotation of a pod template with the time of the last restart. It is a field that nobody declares, so it is owned by a field
// manager of its own: applying the object neither removes it, which would be one more rollout, nor takes it for drift.
const restartedAt = "devenv.run/restarted-at"

// Restart implements engine.Deployer: the template gets another annotation, and the workload's controller replaces the pods as after any
// change. Where it is told to leave that to others (OnDelete), the hot pods are deleted.
func (c *Cluster) Restart(ctx context.Context, _ string, o plan.Object, r engine.Report) error {
	u, err := decode(o)
	if err != nil {
		return err
	}
	a, err := c.find(ctx, u)
	if err != nil {
		return c.refused(ctx, o, err)
	}
	body, err := json.Marshal(map[string]any{
		"apiVersion": u.GetAPIVersion(), "kind": u.GetKind(),
		"metadata": map[string]any{"name": o.ID.Name, "namespace": o.ID.Namespace},
		"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{
			"annotations": map[string]any{restartedAt: c.now().UTC().Format(time.RFC3339Nano)},
		}}},
	})
	if err != nil {
		return fmt.Errorf("encode %s: %w", o.ID, err)
	}
	var live *unstructured.Unstructured
	err = persist(ctx, changePatience, func(ctx context.Context) error {
		// Server-side apply would make an object that is not there, without containers.
		if _, err := c.resource(a, o.ID).Get(ctx, o.ID.Name, metav1.GetOptions{}); err != nil {
			return err
		}
		live, err = c.resource(a, o.ID).Patch(ctx, o.ID.Name, types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: c.manager + "-restart", Force: new(true)})
		return err
	})
	if apierrors.IsNotFound(err) {
		return &fault.Error{Kind: fault.Deploy, What: o.ID.String() + " cannot be restarted", Where: o.Origin, Err: errors.New("it does not exist in the cluster"),
			Next: "Run devenv up again: it applies what is missing."}
	}
	if err != nil {
		return c.refused(ctx, o, err)
	}
	if strategy, _, _ := unstructured.NestedString(live.Object, "spec", "updateStrategy", "type"); strategy == "OnDelete" {
		return c.deleteHot(ctx, o.ID, r)
	}
	return nil
}

// deleteHot deletes a workload's hot pods.
func (c *Cluster) deleteHot(ctx context.Context, workload plan.ID, r engine.Report) error {
	pods, err := c.hotPods(ctx, []string{workload.Namespace})
	if err != nil {
		return unanswered(err, "the pods of "+workload.String()+" could not be read")
	}
	for _, p := range pods[workload] {
		r("deleting pod " + p.Name + ", which its update strategy leaves to others")
		if err := c.deletePod(ctx, p); err != nil {
			return err
		}
	}
	return nil
}
