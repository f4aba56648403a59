package history

import (
	"cmp"
	"maps"
	"slices"

	"github.com/devenv-run/devenv/devenv/plan"
)

// Take makes of what is declared the revision of each service that has workloads, by service. Numbers, times and causes are not set.
func Take(d plan.Desired) (map[string]Revision, error) {
	service := map[string]string{}
	for _, i := range d.Images {
		service[i.Ref] = i.Service
	}
	declared := map[plan.ID]Object{}
	for _, s := range d.Sources {
		for _, o := range s.Objects {
			declared[o.ID] = NewObject(s.Name, o)
		}
	}
	taken := map[string]map[plan.ID]Object{} // by service
	images := map[string]map[string]string{}
	for _, w := range declared {
		if !w.IsWorkload() {
			continue
		}
		references, err := References(w.Plan())
		if err != nil {
			return nil, err
		}
		runs := map[string]string{}
		for _, ref := range w.Images {
			if name := service[ref]; name != "" {
				runs[name] = ref
			}
		}
		for name := range runs {
			if taken[name] == nil {
				taken[name], images[name] = map[plan.ID]Object{}, map[string]string{}
			}
			taken[name][w.ID] = w
			maps.Copy(images[name], runs)
			for _, id := range references {
				if o, ok := declared[id]; ok {
					taken[name][id] = o
				}
			}
		}
	}
	revisions := map[string]Revision{}
	for name, objects := range taken {
		r := Revision{Images: images[name], Objects: slices.SortedFunc(maps.Values(objects), inOrder)}
		r.Head = Head{Service: name, Image: images[name][name], Content: content(r.Objects)}
		revisions[name] = r
	}
	return revisions, nil
}

// inOrder has configuration first, then workloads, each by name.
func inOrder(a, b Object) int {
	rank := func(o Object) int {
		if o.IsWorkload() {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.ID.String(), b.ID.String()), cmp.Compare(a.ID.Group, b.ID.Group))
}

// Sources are objects as plan.Compute takes them: by deploy source, in the given order of sources and then, for sources that are no longer
// declared, by name.
func Sources(objects []Object, order []string) []plan.Source {
	bySource := map[string][]plan.Object{}
	for _, o := range slices.SortedFunc(slices.Values(objects), inOrder) {
		bySource[o.Source] = append(bySource[o.Source], o.Plan())
	}
	names := slices.Clone(order)
	for _, name := range slices.Sorted(maps.Keys(bySource)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	var sources []plan.Source
	for _, name := range names {
		if objects := bySource[name]; len(objects) > 0 {
			sources = append(sources, plan.Source{Name: name, Objects: objects})
		}
	}
	return sources
}
