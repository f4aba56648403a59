package kube

import (
	"context"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/devenv-run/devenv/devenv/plan"
)

// Undeclared is what devenv once made in this environment and that no source declares any more.
type Undeclared struct {
	Objects map[plan.ID]plan.AppliedRef // those that exist: plan.Observed's Applied
	Holds   map[plan.ID][]plan.ID       // plan.Observed's Holds
	Gone    []plan.ID                   // those that somebody else deleted
	Others  map[plan.ID]string          // those that are no longer ours, and why: "somebody deleted it and made another one"
	Unread  map[plan.ID]string          // those of which nobody knows whether they exist, and why; they stay in the inventory
}

func newUndeclared() Undeclared {
	return Undeclared{
		Objects: map[plan.ID]plan.AppliedRef{}, Holds: map[plan.ID][]plan.ID{}, Others: map[plan.ID]string{}, Unread: map[plan.ID]string{},
	}
}

// Undeclared finds what the inventory lists beside what the sources declare: objects, what was kept when it was no longer declared, the claims
// that StatefulSets made which are no longer declared either, and what the hooks of a whole source left once the source is gone. (What a hook of a source left may serve that source
// although the hook is not rendered any more: charts render some of them at the first installation only.) It writes nothing, and where
// everything is declared it asks nothing.
//
// It is to be called after Observe, with the same sources, and with all of them: what a part of them does not declare is no longer wanted
// here.
func (c *Cluster) Undeclared(ctx context.Context, sources []plan.Source) (Undeclared, error) {
	v, err := c.ledger.current(ctx)
	if err != nil {
		return Undeclared{}, err
	}
	found := newUndeclared()
	declared := declaredBy(sources)
	entries := undeclared(v, declared)
	if len(entries) == 0 {
		return found, nil
	}
	others, err := c.neighbours(ctx, false)
	if err != nil {
		return Undeclared{}, err
	}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for id, ref := range entries {
		if env := others[id]; env != "" {
			found.add(Undeclared{Others: map[plan.ID]string{id: "it belongs to the environment " + env}}, &mu)
			continue
		}
		g.Go(func() error {
			one, err := c.lookAt(ctx, id, ref)
			found.add(one, &mu)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return Undeclared{}, unanswered(err, "what is no longer declared could not be read")
	}
	// A claim is found beside its set too; what the sources want by its name is theirs.
	maps.DeleteFunc(found.Objects, func(id plan.ID, _ plan.AppliedRef) bool { return declared.want(id) })
	return found, nil
}

func (u *Undeclared) add(one Undeclared, mu *sync.Mutex) {
	mu.Lock()
	defer mu.Unlock()
	maps.Copy(u.Objects, one.Objects)
	maps.Copy(u.Holds, one.Holds)
	maps.Copy(u.Others, one.Others)
	maps.Copy(u.Unread, one.Unread)
	u.Gone = append(u.Gone, one.Gone...)
}

// undeclared are the entries of the inventory that the sources no longer declare.
func undeclared(v inventory, declared declarations) map[plan.ID]plan.AppliedRef {
	found := map[plan.ID]plan.AppliedRef{}
	for id, h := range v.Hooks {
		if h.Made && !declared.want(id) && !declared.sources[h.Source] {
			found[id] = plan.AppliedRef{Source: h.Source, UID: h.UID}
		}
	}
	for id, k := range v.Kept {
		if !declared.want(id) {
			found[id] = plan.AppliedRef{Source: k.Source, UID: k.UID}
		}
	}
	for id, e := range v.Objects {
		if !declared.want(id) && !e.Adopted { // what was there before devenv is not devenv's to delete
			found[id] = plan.AppliedRef{Source: e.Source, UID: e.UID}
		}
	}
	return found
}

// lookAt says what there is of one entry: an Undeclared of its own.
func (c *Cluster) lookAt(ctx context.Context, id plan.ID, ref plan.AppliedRef) (Undeclared, error) {
	one := newUndeclared()
	a, err := c.apis.find(ctx, groupKind(id), "")
	if meta.IsNoMatchError(err) {
		if silent := c.apis.silent(id.Group); silent != nil {
			one.Unread[id] = "its API does not answer: " + silent.Error()
		} else {
			one.Gone = []plan.ID{id} // with its definition
		}
		return one, nil
	}
	var live *unstructured.Unstructured
	if err == nil {
		live, err = c.read(ctx, readPatience, a, id)
	}
	switch {
	case apierrors.IsNotFound(err):
		one.Gone = []plan.ID{id}
		return one, nil
	case err != nil:
		return one, err
	case !c.same(live, ref.UID):
		one.Others[id] = "somebody deleted devenv's and made another one"
		return one, nil
	}
	one.Objects[id] = ref
	claims, err := c.claims(ctx, id, ref.UID)
	if err != nil {
		return one, err
	}
	for claim, uid := range claims {
		one.Objects[claim] = plan.AppliedRef{Source: ref.Source, UID: uid}
	}
	contents, err := c.contents(ctx, id, live)
	if len(contents) > 0 {
		one.Holds[id] = contents
	}
	return one, err
}

// Tidy writes down what a deployment of all sources changed that no step is about: which source now declares an object, what was kept
// although nobody declares it, what is not there any more, and which sources are gone, so that they are installed when they come back. It writes
// only if there is something to write.
func (c *Cluster) Tidy(ctx context.Context, sources []plan.Source, u Undeclared, kept []plan.ID) error {
	return c.ledger.update(ctx, func(v inventory) {
		for _, id := range slices.AppendSeq(slices.Clone(u.Gone), maps.Keys(u.Others)) {
			v.settle(id, ending{})
		}
		for _, id := range kept {
			if _, applied := v.Objects[id]; applied {
				v.keep(id)
			}
		}
		deployed := map[string]bool{}
		for _, s := range sources {
			deployed[s.Name] = true
			v.Sources[s.Name] = true // also where a run was killed before it could say so, or the source was renamed
			for _, o := range s.Objects {
				if e, ok := v.Objects[o.ID]; ok && e.Source != s.Name {
					e.Source = s.Name
					v.Objects[o.ID] = e
				}
			}
		}
		for name := range v.Sources {
			if !deployed[name] {
				delete(v.Sources, name)
			}
		}
		for id, h := range v.Hooks {
			if !deployed[h.Source] && !h.Made {
				delete(v.Hooks, id)
			}
		}
	})
}
