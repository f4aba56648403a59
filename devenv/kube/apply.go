package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/plan"
)

var _ engine.Deployer = (*Cluster)(nil)

// Apply implements engine.Deployer: server-side apply, with the object in the inventory before it is sent.
//
// It takes over fields that somebody else holds (force): what is declared wins, and the plan said before whose change is
// going to be lost, as the cause of the step. An object that was there before devenv knew it is taken over too, which the
// detail says; such an object is never deleted. Of an object whose replicas an autoscaler decides, these are sent only when it
// is made. A Job or a bare Pod whose declaration cannot be changed in place is made
// anew.
//
// Errors that pass by themselves (an API server that restarts, a webhook that does not serve yet, a definition accepted a
// moment ago) are waited out for up to a minute. What the server refuses is a fault.Deploy that names the field.
func (c *Cluster) Apply(ctx context.Context, source string, o plan.Object) (detail string, err error) {
	u, err := decode(o)
	if err != nil {
		return "", err
	}
	ctx, warned := collecting(ctx)
	a, err := c.find(ctx, u)
	if err != nil {
		return "", c.refused(ctx, o, err)
	}
	if a.Namespaced && o.ID.Namespace == "" {
		return "", withoutNamespace(o)
	}

	before, existed, err := c.begin(ctx, source, o, a)
	if err != nil {
		return "", c.refused(ctx, o, err)
	}
	if o.Autoscaled && existed {
		if u, err = c.yield(ctx, a, o.ID, u); err != nil {
			return "", c.refused(ctx, o, err)
		}
	}
	live, err := c.send(ctx, a, o.ID, u, !before.Adopted)
	if err != nil {
		return "", c.refused(ctx, o, err)
	}

	others := managers(live, c.manager, c.holder())
	// Under another UID than ours, and written by others: somebody deleted it and made it again. What we make anew has no
	// other writers yet.
	foreign := before.UID != "" && before.UID != string(live.GetUID()) && len(others) > 0
	now := entry{
		Source: source, Hash: o.Hash, UID: string(live.GetUID()), Holdings: holdings(live, c.manager, o.Autoscaled),
		Adopted: before.Adopted || foreign,
	}
	noting, cancel := after(ctx) // it is sent, so it is worth knowing even when ctx has just ended
	defer cancel()
	if err := c.ledger.update(noting, func(v inventory) { v.Objects[o.ID] = now }); err != nil {
		return "", err
	}
	c.undrifted.Delete(o.ID)

	var said []string
	switch {
	case now.Adopted && before.Hash == "" || foreign:
		said = append(said, "existed before, taken over from "+strings.Join(slices.Compact(slices.Sorted(slices.Values(others))), " and "))
	case !existed:
		said = append(said, "created")
	case before.UID != "" && before.UID != now.UID:
		said = append(said, "made again")
	}
	for _, w := range warned() {
		said = append(said, "warning: "+w)
	}
	return strings.Join(said, "; "), nil
}

// begin notes that an object is about to be sent, and returns what was known of it. An object that is not known yet is looked
// for, to tell one that is made now from one that was there before.
func (c *Cluster) begin(ctx context.Context, source string, o plan.Object, a api) (before entry, existed bool, err error) {
	id := o.ID
	v, err := c.ledger.current(ctx)
	if err != nil {
		return entry{}, false, err
	}
	before, known := v.Objects[id]
	if known && before.Source == source {
		return before, true, nil
	}
	existed = true
	if !known {
		live, err := c.read(ctx, changePatience, a, id)
		switch {
		case apierrors.IsNotFound(err):
			existed = false
		case err != nil:
			return entry{}, false, err
		default:
			if err := c.unclaimed(ctx, o); err != nil {
				return entry{}, false, err
			}
			mine := []string{v.Kept[id].UID, v.Hooks[id].UID}
			before.Adopted = holdings(live, c.manager, false) == "" && !slices.Contains(mine, string(live.GetUID()))
		}
	}
	before.Source = source
	err = c.ledger.update(ctx, func(v inventory) {
		v.Objects[id] = before
		delete(v.Kept, id)
	})
	return before, existed, err
}

// send applies the object and returns it as the server then has it. mine says that it may be made anew if it cannot be
// changed.
func (c *Cluster) send(
	ctx context.Context, a api, id plan.ID, u *unstructured.Unstructured, mine bool,
) (*unstructured.Unstructured, error) {
	live, err := c.patch(ctx, a, id, u, false)
	if mine && unchangeable(err) && remakeable(id) {
		// Its pods are stopped first: two runs of one job at the same time are what nobody declared.
		err := c.resource(a, id).Delete(ctx, id.Name, metav1.DeleteOptions{PropagationPolicy: foreground()})
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, err
		}
		if err := c.gone(ctx, a, id, "", func(string) {}); err != nil {
			return nil, err
		}
		return c.patch(ctx, a, id, u, false)
	}
	if err == nil && live.GetDeletionTimestamp() != nil {
		// It accepts changes while it is being deleted, and is gone with them a moment later.
		if err := c.gone(ctx, a, id, live.GetUID(), func(string) {}); err != nil {
			return nil, err
		}
		return c.patch(ctx, a, id, u, false)
	}
	return live, err
}

// patch is one server-side apply, or what one would do.
func (c *Cluster) patch(
	ctx context.Context, a api, id plan.ID, u *unstructured.Unstructured, dryRun bool,
) (live *unstructured.Unstructured, err error) {
	body, err := json.Marshal(u.Object)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", id, err)
	}
	force := true
	o := metav1.PatchOptions{FieldManager: c.manager, Force: &force}
	limit := changePatience
	if dryRun {
		o.DryRun = []string{metav1.DryRunAll}
		limit = readPatience
	}
	err = persist(ctx, limit, func(ctx context.Context) error {
		live, err = c.resource(a, id).Patch(ctx, id.Name, types.ApplyPatchType, body, o)
		return err
	})
	return live, err
}

// find says where the object's kind is served, waiting a little for a definition that was applied a moment ago.
func (c *Cluster) find(ctx context.Context, u *unstructured.Unstructured) (a api, err error) {
	gvk := u.GroupVersionKind()
	err = persist(ctx, changePatience, func(ctx context.Context) error {
		a, err = c.apis.find(ctx, gvk.GroupKind(), gvk.Version)
		return err
	})
	return a, err
}

func foreground() *metav1.DeletionPropagation {
	p := metav1.DeletePropagationForeground
	return &p
}
