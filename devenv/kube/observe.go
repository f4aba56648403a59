package kube

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/devenv-run/devenv/devenv/plan"
)

// Observation is the part of plan.Observed that the API server knows. The fields are those of plan.Observed.
type Observation struct {
	Live    map[plan.ID]plan.Live
	Hooks   map[plan.ID]string
	Sources map[string]bool
	Applied map[plan.ID]plan.AppliedRef
	Hot     map[plan.ID]string
}

// Observe reads what the cluster says of every object and hook of the sources. It writes nothing. Sources that declare what belongs to
// another environment of the cluster are a fault.Refused.
//
// It asks once per kind and namespace, all at the same time. Only for an object whose declared fields are no longer all
// devenv's does it ask more: what applying it would change (a dry run), and from that who changed which field.
func (c *Cluster) Observe(ctx context.Context, sources []plan.Source) (Observation, error) {
	v, others, err := c.readInventories(ctx)
	if err == nil {
		err = refuseNeighbours(sources, others)
	}
	if err != nil {
		return Observation{}, err
	}
	o := Observation{Live: map[plan.ID]plan.Live{}, Hooks: map[plan.ID]string{}, Sources: v.Sources, Applied: map[plan.ID]plan.AppliedRef{}}
	for id, e := range v.Objects {
		if e.Adopted {
			continue // it was there before devenv, so it is not devenv's to delete when it is no longer declared
		}
		o.Applied[id] = plan.AppliedRef{Source: e.Source, UID: e.UID}
	}
	for _, s := range sources {
		for _, h := range s.Hooks {
			if e, ok := v.Hooks[h.ID]; ok && e.Hash != "" {
				o.Hooks[h.ID] = e.Hash
			}
		}
	}

	declared, err := c.locate(ctx, sources)
	if err != nil {
		return Observation{}, unanswered(err, "the kinds that the cluster serves could not be read")
	}
	var found map[plan.ID]*unstructured.Unstructured
	reading, rctx := errgroup.WithContext(ctx)
	reading.Go(func() (err error) {
		if found, err = c.fetch(rctx, declared); err != nil {
			return unanswered(err, "the cluster's objects could not be read")
		}
		return nil
	})
	reading.Go(func() (err error) {
		if o.Hot, err = c.hotWorkloads(rctx, v.namespaces()); err != nil {
			return unanswered(err, "the pods could not be read")
		}
		return nil
	})
	if err := reading.Wait(); err != nil {
		return Observation{}, err
	}
	var all []*unstructured.Unstructured
	for _, u := range found {
		all = append(all, u)
	}
	lazy, err := c.lazyClasses(ctx, all...)
	if err != nil {
		return Observation{}, unanswered(err, "the cluster's storage classes could not be read")
	}

	restarting, err := c.restarting(ctx, v.namespaces())
	if err != nil {
		return Observation{}, unanswered(err, "the pods could not be read")
	}

	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for _, d := range declared {
		e, known := v.Objects[d.object.ID]
		live := d.judge(found[d.object.ID], e, lazy)
		if live.Ready && restarting[d.object.ID] {
			live.Ready, live.Message = false, "its node was restarted"
		}
		mu.Lock()
		o.Live[d.object.ID] = live
		mu.Unlock()
		if !live.Exists || !known || e.Hash != d.object.Hash || found[d.object.ID] == nil {
			continue // it is applied in any case, or there is nothing to compare
		}
		g.Go(func() error {
			text, err := c.driftOf(ctx, d, found[d.object.ID], e)
			if text != "" {
				mu.Lock()
				defer mu.Unlock()
				live.Drift = text
				o.Live[d.object.ID] = live
			}
			return err
		})
	}
	return o, g.Wait()
}

// readInventories reads the inventory and what other environments own, and meanwhile which kinds the server serves and whether it is the
// right one.
func (c *Cluster) readInventories(ctx context.Context) (v inventory, others map[plan.ID]string, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		err := persist(ctx, readPatience, func(ctx context.Context) error { return c.apis.read(ctx, 0) })
		if err != nil {
			return unanswered(err, "the kinds that the cluster serves could not be read")
		}
		return nil
	})
	g.Go(func() (err error) {
		v, err = c.ledger.fresh(ctx)
		return err
	})
	g.Go(func() (err error) {
		others, err = c.neighbours(ctx, true)
		return err
	})
	if c.uid != "" { // what is read of another cluster would lead to changes
		g.Go(func() error { return c.Verify(ctx) })
	}
	err = g.Wait()
	return v, others, err
}

// declaration is an object of a source, and where the server keeps its like.
type declaration struct {
	object plan.Object
	wanted *unstructured.Unstructured
	api    api
	served bool // false where the server does not serve its kind, such as before its definition is applied
}

// locate finds where every object is kept. For kinds that are missing it has the server asked again, once.
func (c *Cluster) locate(ctx context.Context, sources []plan.Source) ([]declaration, error) {
	var all []declaration
	reread := false
	for _, s := range sources {
		for _, o := range s.Objects {
			u, err := decode(o)
			if err != nil {
				return nil, err
			}
			gvk := u.GroupVersionKind()
			a, reads, ok := c.apis.lookup(gvk.GroupKind(), gvk.Version)
			if !ok && !reread {
				reread = true
				if err := persist(ctx, readPatience, func(ctx context.Context) error { return c.apis.read(ctx, reads) }); err != nil {
					return nil, err
				}
				a, _, ok = c.apis.lookup(gvk.GroupKind(), gvk.Version)
			}
			if ok && a.Namespaced && o.ID.Namespace == "" {
				return nil, withoutNamespace(o)
			}
			all = append(all, declaration{object: o, wanted: u, api: a, served: ok})
		}
	}
	return all, nil
}

// fetch reads the declared objects that exist: by a list where a kind has several in a namespace, one by one otherwise, since
// a list brings all the others too.
func (c *Cluster) fetch(ctx context.Context, declared []declaration) (map[plan.ID]*unstructured.Unstructured, error) {
	type place struct {
		gvr       schema.GroupVersionResource
		namespace string
	}
	wanted := map[place]map[plan.ID]api{}
	for _, d := range declared {
		if !d.served {
			continue
		}
		at := place{gvr: d.api.GVR}
		if d.api.Namespaced {
			at.namespace = d.object.ID.Namespace
		}
		if wanted[at] == nil {
			wanted[at] = map[plan.ID]api{}
		}
		wanted[at][d.object.ID] = d.api
	}

	const few = 2
	var mu sync.Mutex
	found := map[plan.ID]*unstructured.Unstructured{}
	keep := func(id plan.ID, u *unstructured.Unstructured) {
		mu.Lock()
		defer mu.Unlock()
		found[id] = u
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for at, ids := range wanted {
		if len(ids) > few {
			g.Go(func() error { return c.fetchList(ctx, at.gvr, at.namespace, ids, keep) })
			continue
		}
		for id, a := range ids {
			g.Go(func() error {
				return persist(ctx, readPatience, func(ctx context.Context) error {
					u, err := c.resource(a, id).Get(ctx, id.Name, metav1.GetOptions{})
					if apierrors.IsNotFound(err) {
						return nil
					}
					if err == nil {
						keep(id, u)
					}
					return err
				})
			})
		}
	}
	return found, g.Wait()
}

func (c *Cluster) fetchList(
	ctx context.Context, gvr schema.GroupVersionResource, namespace string, ids map[plan.ID]api,
	keep func(plan.ID, *unstructured.Unstructured),
) error {
	byName := make(map[string]plan.ID, len(ids))
	for id := range ids {
		byName[id.Name] = id
	}
	o := metav1.ListOptions{Limit: 1000}
	for {
		var page *unstructured.UnstructuredList
		err := persist(ctx, readPatience, func(ctx context.Context) (err error) {
			page, err = c.dynamic.Resource(gvr).Namespace(namespace).List(ctx, o)
			return err
		})
		if apierrors.IsNotFound(err) {
			return nil // its definition went meanwhile
		}
		if err != nil {
			return fmt.Errorf("list %s: %w", gvr.Resource, err)
		}
		for i := range page.Items {
			if id, ok := byName[page.Items[i].GetName()]; ok {
				keep(id, &page.Items[i])
			}
		}
		if o.Continue = page.GetContinue(); o.Continue == "" {
			return nil
		}
	}
}

// judge says what the server's answer means for a declared object; live is nil where it does not exist.
func (d declaration) judge(live *unstructured.Unstructured, e entry, lazy map[string]bool) plan.Live {
	if live == nil {
		if ttl := number(d.wanted, -1, "spec", "ttlSecondsAfterFinished"); ttl >= 0 && e.Finished && e.Hash == d.object.Hash {
			return plan.Live{Exists: true, Hash: e.Hash, Ready: true, Images: images(d.wanted)} // complete, and gone as declared
		}
		return plan.Live{}
	}
	if live.GetDeletionTimestamp() != nil {
		return plan.Live{Message: "is being deleted"} // as good as gone: applying it waits until it is, and makes it anew
	}
	state := readiness(live, lazy)
	return plan.Live{Exists: true, Hash: e.Hash, Ready: state.Ready || !d.object.Waits, Message: state.Message, Images: images(live)}
}

// driftOf says how an object was changed in the cluster since devenv applied it; empty if no declared field was.
func (c *Cluster) driftOf(ctx context.Context, d declaration, live *unstructured.Unstructured, e entry) (string, error) {
	if e.UID != "" && e.UID != string(live.GetUID()) {
		return "deleted and made again" + c.by(live), nil
	}
	held := holdings(live, c.manager, d.object.Autoscaled)
	if held == e.Holdings {
		return "", nil
	}
	if known, ok := c.undrifted.Load(d.object.ID); ok && known == held {
		return "", nil
	}
	const tries = 3
	for range tries {
		wanted := d.wanted
		if d.object.Autoscaled {
			wanted = withReplicasOf(live, wanted)
		}
		would, err := c.patch(ctx, d.api, d.object.ID, wanted, true)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err != nil {
			return "changed" + c.by(live), nil // something was, and applying it says better than we can why it does not go
		}
		text := sayDrift(drift(live, would, c.manager))
		if text == "" {
			c.undrifted.Store(d.object.ID, held)
			return "", nil
		}
		// A controller may have changed it between our two looks, and that would look like drift.
		again, err := c.resource(d.api, d.object.ID).Get(ctx, d.object.ID.Name, metav1.GetOptions{})
		if err != nil || again.GetResourceVersion() == live.GetResourceVersion() {
			return text, nil
		}
		live = again
	}
	return "changed" + c.by(live), nil
}

// by names who else wrote to the object last: " by kubectl-edit".
func (c *Cluster) by(u *unstructured.Unstructured) string {
	for _, e := range fieldEntries(u) {
		if e.manager != c.manager && e.manager != c.holder() && !e.sub {
			return " by " + e.manager
		}
	}
	return ""
}
