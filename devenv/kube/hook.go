package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// Helm's delete policies of a hook.
const (
	beforeCreation = "before-hook-creation" // the default
	whenSucceeded  = "hook-succeeded"
	whenFailed     = "hook-failed"
)

// Run implements engine.Deployer under Helm's rules: what the hook's last run left is deleted (before-hook-creation, which is
// also the default), the object is created, a Job is awaited until it is complete and a Pod until it succeeded, and
// hook-succeeded and hook-failed say whether it is deleted afterwards. The hash of a successful run is recorded; until then
// none is.
//
// Two things are unlike Helm. What an interrupted run left is removed under every policy, since the next run is to converge.
// And a hook that is neither Job nor Pod and goes when it succeeded goes with MarkDeployed: a later hook of the same source
// may need it, which is why Helm, too, deletes only after the last one.
func (c *Cluster) Run(ctx context.Context, source string, h plan.Hook, r engine.Report) error {
	u, err := decode(h.Object)
	if err != nil {
		return err
	}
	a, err := c.find(ctx, u)
	if err != nil {
		return c.refused(ctx, h.Object, err)
	}
	if a.Namespaced && h.ID.Namespace == "" {
		return withoutNamespace(h.Object)
	}
	if err := c.clearWay(ctx, source, h, a, r); err != nil {
		return err
	}
	live, err := c.create(ctx, a, h.ID, u)
	if err != nil {
		return c.refused(ctx, h.Object, err)
	}
	made := hookEntry{Source: source, UID: string(live.GetUID()), Made: true}
	if err := c.noteHook(ctx, h.ID, made); err != nil {
		return err
	}

	if ends(h.ID) {
		if _, err := c.wait(ctx, h.ID, h.Origin, a, c.allowed(u), completion, r); err != nil {
			return c.failed(ctx, h, made, err, r)
		}
	}
	made.Hash = h.Hash
	switch {
	case !slices.Contains(h.DeletePolicy, whenSucceeded):
	case ends(h.ID):
		if _, err := c.discard(ctx, h.ID, made.UID, false, true, r); err != nil {
			return err
		}
		made.Made = false
	default:
		made.Sweep = true
	}
	return c.noteHook(ctx, h.ID, made)
}

// ends says whether a hook is something that runs to an end.
func ends(id plan.ID) bool { return remakeable(id) }

// completion is readiness for hooks: a Pod must have succeeded, being ready is not enough.
func completion(u *unstructured.Unstructured, lazy map[string]bool) condition {
	state := readiness(u, lazy)
	if phase, _, _ := unstructured.NestedString(u.Object, "status", "phase"); u.GetKind() == "Pod" && state.Ready && phase != "Succeeded" {
		return condition{Message: "running"}
	}
	return state
}

// clearWay removes what the hook's last run left, and notes that it is about to run.
func (c *Cluster) clearWay(ctx context.Context, source string, h plan.Hook, a api, r engine.Report) error {
	v, err := c.ledger.current(ctx)
	if err != nil {
		return err
	}
	last, applied := v.Hooks[h.ID], v.Objects[h.ID]
	live, err := c.read(ctx, changePatience, a, h.ID)
	begins := hookEntry{Source: source, Made: true}
	if apierrors.IsNotFound(err) {
		return c.noteHook(ctx, h.ID, begins)
	}
	if err != nil {
		return c.refused(ctx, h.Object, err)
	}
	uid := string(live.GetUID())
	if uid != last.UID && uid != applied.UID {
		if err := c.unclaimed(ctx, h.Object); err != nil {
			return err
		}
	}
	ours := uid == last.UID || uid == applied.UID && !applied.Adopted || c.wrote(live) ||
		last.Made && last.UID == "" && c.ours(live)
	replace := len(h.DeletePolicy) == 0 || slices.Contains(h.DeletePolicy, beforeCreation)
	switch {
	case !ours:
		return &fault.Error{Kind: fault.Refused, What: hookName(h) + " would replace an object that devenv did not make", Where: h.Origin,
			Next: "Delete " + h.ID.String() + " the way it was made, or give the hook another name."}
	case !replace && last.Hash != "":
		return &fault.Error{Kind: fault.Deploy, What: hookName(h) + " cannot run again", Where: h.Origin,
			Err:  errors.New("the object of its last run exists, and its delete policy keeps it"),
			Next: fmt.Sprintf("Add %s to the hook's delete policy, as it needs in production too.", beforeCreation)}
	}
	begins.UID = uid // until it is gone; what succeeded before does not count from here on
	if err := c.noteHook(ctx, h.ID, begins); err != nil {
		return err
	}
	r("removing what its last run left")
	if _, err = c.discard(ctx, h.ID, uid, false, true, r); err != nil {
		return err
	}
	begins.UID = ""
	return c.noteHook(ctx, h.ID, begins)
}

// create makes the object, also when the connection breaks while the server does so.
func (c *Cluster) create(
	ctx context.Context, a api, id plan.ID, u *unstructured.Unstructured,
) (live *unstructured.Unstructured, err error) {
	tries := 0
	err = persist(ctx, changePatience, func(ctx context.Context) error {
		tries++
		live, err = c.resource(a, id).Create(ctx, u, metav1.CreateOptions{FieldManager: c.manager})
		if apierrors.IsAlreadyExists(err) && tries > 1 {
			if live, err = c.resource(a, id).Get(ctx, id.Name, metav1.GetOptions{}); err == nil && !c.wrote(live) {
				return apierrors.NewAlreadyExists(schema.GroupResource{Group: id.Group, Resource: a.GVR.Resource}, id.Name)
			}
		}
		return err
	})
	return live, err
}

// failed makes the failure of a hook into what a user reads, and deletes it if its policy says so; the container's lines are
// in the error.
func (c *Cluster) failed(ctx context.Context, h plan.Hook, made hookEntry, err error, r engine.Report) error {
	var f *fault.Error
	if errors.As(err, &f) && f.Kind == fault.Deploy {
		f.What = hookName(h) + " failed"
	}
	if !slices.Contains(h.DeletePolicy, whenFailed) || ctx.Err() != nil {
		return err
	}
	if _, gone := c.discard(ctx, h.ID, made.UID, false, true, r); gone != nil {
		return errors.Join(err, gone)
	}
	made.Made = false
	return errors.Join(err, c.noteHook(ctx, h.ID, made))
}

// hookName is how users read a hook: "pre-upgrade hook Job/academy/migrate".
func hookName(h plan.Hook) string {
	return strings.Join(h.Events, ",") + " hook " + h.ID.String()
}

func (c *Cluster) noteHook(ctx context.Context, id plan.ID, e hookEntry) error {
	noting, cancel := after(ctx)
	defer cancel()
	return c.ledger.update(noting, func(v inventory) { v.Hooks[id] = e })
}

// MarkDeployed records that a source was deployed to its end, so that its next deployment is an upgrade, and deletes what its
// hooks left for then.
func (c *Cluster) MarkDeployed(ctx context.Context, source string) error {
	v, err := c.ledger.current(ctx)
	if err != nil {
		return err
	}
	var swept []plan.ID
	for _, id := range sorted(v.Hooks) {
		h := v.Hooks[id]
		if h.Source != source || !h.Sweep {
			continue
		}
		if _, err := c.discard(ctx, id, h.UID, false, true, func(string) {}); err != nil {
			return err
		}
		swept = append(swept, id)
	}
	return c.ledger.update(ctx, func(v inventory) {
		v.Sources[source] = true
		for _, id := range swept {
			h := v.Hooks[id]
			h.Made, h.Sweep = false, false
			v.Hooks[id] = h
		}
	})
}
