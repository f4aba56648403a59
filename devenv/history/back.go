package history

import (
	"cmp"
	"maps"
	"slices"

	"github.com/devenv-run/devenv/devenv/plan"
)

// Failure is a deployment that failed, as far as it matters for what to return to.
type Failure struct {
	Now     map[string]Revision // what Take made of what is declared
	Newest  map[string]Revision // the newest revision of each service that has any
	Trouble []plan.ID           // workloads whose new version did not become ready, or did not get into the cluster
	There   map[plan.ID]string  // the hash under which each existing object was applied last
}

// Return is what a failed deployment returns to.
type Return struct {
	Objects []Object         // that have to be in the cluster, configuration first
	Of      map[plan.ID]Head // the revision that each of them is from
	Kept    []Kept           // workloads that go on as in a revision, sorted
	Left    []Left           // workloads in trouble that stay as they were applied, sorted
}

// Touches says whether what returns concerns an object of a revision.
func (r Return) Touches(revision Revision) bool {
	return slices.ContainsFunc(revision.Objects, func(o Object) bool { _, returns := r.Of[o.ID]; return returns })
}

// Kept is a workload that goes on as in a revision.
type Kept struct {
	ID       plan.ID
	Revision Head
	// Shares is the object that it has in common with a workload in trouble, for one that returns only because of that; the zero ID
	// for a workload in trouble itself.
	Shares plan.ID
}

// Left is a workload in trouble that has nothing to return to.
type Left struct {
	ID     plan.ID
	Reason string // as a phrase about it: "it has not been ready before"
}

// Back says what the deployment returns to: the newest revision, as a whole, of every service that a workload in trouble runs.
//
// Where a ConfigMap or Secret goes back with that, or a pod that runs several services, so do the other services whose new version came with it:
// what never served together does not begin to. A service that is as in its newest revision stays as it is.
func (f Failure) Back() Return {
	b := returning{Failure: f, shares: map[string]plan.ID{}}
	out := Return{Of: map[plan.ID]Head{}}
	for _, id := range f.Trouble {
		known := false
		for _, service := range b.running(id) {
			b.add(service, plan.ID{})
			_, before := f.Newest[service].Find(id)
			known = known || before
		}
		if !known {
			out.Left = append(out.Left, Left{ID: id, Reason: b.unknown(id)})
		}
	}
	for b.spread() {
	}
	for _, o := range b.objects() {
		inTrouble := slices.Contains(f.Trouble, o.ID)
		if !b.isThere(o.Object) || inTrouble {
			out.Objects = append(out.Objects, o.Object)
			out.Of[o.ID] = o.of
		}
		if o.IsWorkload() && (!b.isThere(o.Object) || inTrouble && b.declared(o.ID) != o.Hash) {
			kept := Kept{ID: o.ID, Revision: o.of}
			if !inTrouble {
				kept.Shares = b.shares[o.of.Service]
			}
			out.Kept = append(out.Kept, kept)
		}
	}
	slices.SortFunc(out.Left, func(x, y Left) int { return cmp.Compare(x.ID.String(), y.ID.String()) })
	slices.SortFunc(out.Kept, func(x, y Kept) int { return cmp.Compare(x.ID.String(), y.ID.String()) })
	return out
}

// returning finds the services that return.
type returning struct {
	Failure
	shares map[string]plan.ID // by service that returns: Kept.Shares
}

// running lists the services that a workload runs, or ran in their newest revision, sorted.
func (b *returning) running(id plan.ID) []string {
	var services []string
	for _, revisions := range []map[string]Revision{b.Now, b.Newest} {
		for service, r := range revisions {
			if _, ok := r.Find(id); ok {
				services = append(services, service)
			}
		}
	}
	slices.Sort(services)
	return slices.Compact(services)
}

// add has a service return, and says whether it did not before.
func (b *returning) add(service string, shares plan.ID) bool {
	_, already := b.shares[service]
	if !already {
		b.shares[service] = shares
	}
	return !already
}

// spread adds the services that cannot stay as they are when those found so far return. It says whether there was any.
func (b *returning) spread() (more bool) {
	for _, service := range slices.Sorted(maps.Keys(b.shares)) {
		for _, o := range b.Newest[service].Objects {
			if b.isThere(o) {
				continue
			}
			for _, other := range b.running(o.ID) {
				if b.moved(other) {
					more = b.add(other, o.ID) || more
				}
			}
		}
	}
	return more
}

// moved says whether a workload of the service is not as in its newest revision.
func (b *returning) moved(service string) bool {
	return slices.ContainsFunc(b.Newest[service].Objects, func(o Object) bool { return o.IsWorkload() && !b.isThere(o) })
}

func (b *returning) isThere(o Object) bool { return b.There[o.ID] == o.Hash }

// declared is the hash of an object as it is declared; empty if it is not.
func (b *returning) declared(id plan.ID) string {
	for _, r := range b.Now {
		if o, ok := r.Find(id); ok {
			return o.Hash
		}
	}
	return ""
}

// unknown says why there is no revision with a workload.
func (b *returning) unknown(id plan.ID) string {
	if len(b.running(id)) == 0 {
		return "it runs no image of a service, so there are no revisions of it"
	}
	return "it has not been ready before"
}

// object is an object with the revision that it is from.
type object struct {
	Object
	of Head
}

// objects lists those of all revisions that are returned to. Of an object that several of them have it is the youngest's.
func (b *returning) objects() []object {
	found := map[plan.ID]object{}
	for _, service := range slices.Sorted(maps.Keys(b.shares)) {
		r := b.Newest[service]
		for _, o := range r.Objects {
			if other, ok := found[o.ID]; !ok || other.of.At.Before(r.At) {
				found[o.ID] = object{Object: o, of: r.Head}
			}
		}
	}
	return slices.SortedFunc(maps.Values(found), func(x, y object) int { return inOrder(x.Object, y.Object) })
}
