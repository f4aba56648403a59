package render

import (
	"errors"

	"github.com/devenv-run/devenv/devenv/plan"
)

// Read decodes manifests that another tool rendered: YAML documents, JSON, Lists; name is how messages call them. Objects with
// Helm's annotations are hooks, as in a chart.
//
// Tools leave out the namespace where whoever applies their output is to say it. Such an object gets that of the source which
// declares the same object. in is what was rendered here, declared what came of it, in the order of in.Sources.
func Read(name string, data []byte, in Input, declared []plan.Source) ([]plan.Source, error) {
	r := &rendering{in: Input{Dir: in.Dir, Sources: []Source{{Name: name, Raw: data}}, Secrets: in.Secrets, Capabilities: in.Capabilities}, scopes: scopes{}}
	docs, err := r.decodeFile(name, data)
	failed := []error{err}
	for _, d := range docs {
		d.chart = true
		failed = append(failed, r.draft(0, d))
	}
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
	taken := map[plan.ID]bool{}
	for _, d := range r.drafts {
		taken[d.id] = true
	}
	for _, d := range r.drafts {
		metadata := d.object["metadata"].(map[string]any) // identify has seen it
		if namespaced, known := r.namespaced(groupKind{d.id.Group, d.id.Kind}); known && !namespaced {
			delete(metadata, "namespace")
			d.id.Namespace = ""
			continue
		}
		if d.id.Namespace != "" {
			continue
		}
		if id, ok := placed(d, in.Sources, declared, taken); ok {
			d.id = id
			taken[id] = true
			if id.Namespace != "" {
				metadata["namespace"] = id.Namespace
			}
		}
	}
	if err := r.refuseDuplicates(); err != nil {
		return nil, err
	}
	return r.seal()
}

// placed finds the declared object that an object without a namespace is: the first of its kind and name that nobody took yet
// and that has its namespace from its source.
func placed(d *draft, sources []Source, declared []plan.Source, taken map[plan.ID]bool) (plan.ID, bool) {
	fits := func(o plan.Object, namespace string) bool {
		return o.ID.Group == d.id.Group && o.ID.Kind == d.id.Kind && o.ID.Name == d.id.Name && o.ID.Namespace == namespace && (d.hook != nil || !taken[o.ID])
	}
	for i, s := range declared {
		namespace := sources[i].Namespace
		for _, o := range s.Objects {
			if d.hook == nil && fits(o, namespace) {
				return o.ID, true
			}
		}
		for _, h := range s.Hooks {
			if d.hook != nil && fits(h.Object, namespace) {
				return h.ID, true
			}
		}
	}
	return plan.ID{}, false
}
