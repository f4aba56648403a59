package kube

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/plan"
)

// concurrency bounds how many requests of one operation are under way.
const concurrency = 16

// DownOptions of DeleteAll.
type DownOptions struct {
	// Data lets persistent data go, and what others put into the environment's namespaces or made of its definitions.
	Data bool
}

// Kept is an object of the environment that was left where it is.
type Kept struct {
	ID     plan.ID
	Reason string // as a phrase about it: "it holds data"
}

// DeleteAll removes everything that devenv applied to the environment, in an order in which nothing is taken from under what
// still needs it, and the inventory with it. What is kept is listed with its reason, and remembered if it is devenv's, so
// that a later call with Data can remove it; the inventory then stays for that.
//
// It goes on after an object that cannot be removed, and returns all such errors joined. A second call goes on where a first
// one was interrupted.
func (c *Cluster) DeleteAll(ctx context.Context, o DownOptions, r engine.Report) (deleted []plan.ID, kept []Kept, err error) {
	if err := c.Verify(ctx); err != nil {
		return nil, nil, err
	}
	v, err := c.ledger.fresh(ctx)
	if err != nil {
		return nil, nil, err
	}
	if v, err = c.noteClaims(ctx, v); err != nil {
		return nil, nil, err
	}
	if _, err := c.neighbours(ctx, true); err != nil {
		return nil, nil, err
	}

	var failed []error
	for _, wave := range waves(v) {
		ends, err := c.discardAll(ctx, v, wave, o.Data, r)
		failed = append(failed, err)
		noting, cancel := after(ctx)
		err = c.ledger.update(noting, func(v inventory) {
			for id, end := range ends {
				v.settle(id, end)
			}
		})
		cancel()
		failed = append(failed, err)
		for _, id := range sorted(ends) {
			if why := ends[id].why; why != "" {
				kept = append(kept, Kept{ID: id, Reason: why})
			} else {
				deleted = append(deleted, id)
			}
		}
		if ctx.Err() != nil {
			return deleted, kept, errors.Join(append(failed, ctx.Err())...)
		}
	}
	if err := errors.Join(failed...); err != nil {
		return deleted, kept, err
	}
	return deleted, kept, c.leave(ctx, r)
}

// noteClaims writes the claims that StatefulSets made into the inventory, while there are still sets to tell which they are.
func (c *Cluster) noteClaims(ctx context.Context, v inventory) (inventory, error) {
	found := map[plan.ID]keptEntry{}
	for id, e := range v.Objects {
		if e.Adopted {
			continue // the set is not devenv's, and so are not its claims
		}
		claims, err := c.claims(ctx, id, e.UID)
		if err != nil {
			return v, unanswered(err, "the claims of "+id.String()+" could not be read")
		}
		for claim, uid := range claims {
			found[claim] = keptEntry{Source: e.Source, UID: uid}
		}
	}
	if len(found) == 0 {
		return v, nil
	}
	err := c.ledger.update(ctx, func(v inventory) {
		for id, e := range found {
			v.note(id, e)
		}
	})
	if err != nil {
		return v, err
	}
	return c.ledger.current(ctx)
}

// discardAll deletes the objects of one wave, and says what became of each. Those that failed are not among the endings.
func (c *Cluster) discardAll(ctx context.Context, v inventory, wave []plan.ID, data bool, r engine.Report) (map[plan.ID]ending, error) {
	var mu sync.Mutex
	ends := map[plan.ID]ending{}
	var failed []error
	var g errgroup.Group
	g.SetLimit(concurrency)
	for _, id := range wave {
		g.Go(func() error {
			uid, adopted := v.identity(id)
			end, err := c.discard(ctx, id, uid, adopted, data, func(text string) { r(id.String() + ": " + text) })
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				failed = append(failed, err)
			case end.why != "":
				ends[id] = end
				r(id.String() + ": kept, " + end.why)
			default:
				ends[id] = end
				r(id.String() + ": deleted")
			}
			return nil // the others go on
		})
	}
	_ = g.Wait() // no function of the group fails
	slices.SortFunc(failed, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return ends, errors.Join(failed...)
}

// leave removes the revisions, the inventory if nothing is left in it, and the namespace of inventories with the last one.
func (c *Cluster) leave(ctx context.Context, r engine.Report) error {
	if err := c.forgetRevisions(ctx); err != nil {
		return err
	}
	if err := c.ledger.update(ctx, func(v inventory) {
		clear(v.Sources)
		clear(v.Hooks) // those left made nothing that still exists
	}); err != nil {
		return err
	}
	v, err := c.ledger.current(ctx)
	if err != nil || !v.empty() {
		return err
	}
	if err := c.ledger.remove(ctx); err != nil {
		return unanswered(err, "the inventory could not be removed")
	}
	ns, err := c.core.Namespaces().Get(ctx, systemNamespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && ns.Labels["app.kubernetes.io/managed-by"] != "devenv" {
		return nil
	}
	if err != nil {
		return unanswered(err, "the namespace "+systemNamespace+" could not be read")
	}
	_, err = c.discard(ctx, plan.ID{Kind: "Namespace", Name: systemNamespace}, string(ns.UID), false, false, r)
	return err // kept while other environments have their inventories there
}

// waves orders what the inventory lists for deletion. Within a wave the order does not matter.
func waves(v inventory) [][]plan.ID {
	all := map[int][]plan.ID{}
	add := func(id plan.ID) { w := plan.Wave(id); all[w] = append(all[w], id) }
	for id := range v.Objects {
		add(id)
	}
	for id, h := range v.Hooks {
		if _, also := v.Objects[id]; !also && h.Made {
			add(id)
		}
	}
	for id := range v.Kept {
		if _, also := v.Objects[id]; !also {
			add(id)
		}
	}
	var ordered [][]plan.ID
	for _, w := range slices.Sorted(maps.Keys(all)) {
		slices.SortFunc(all[w], compare)
		ordered = append(ordered, all[w])
	}
	return ordered
}
