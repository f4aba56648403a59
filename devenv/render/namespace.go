package render

import (
	"errors"
	"fmt"
	"slices"

	"github.com/devenv-run/devenv/devenv/plan"
)

// place gives every object of a namespaced kind a namespace: the one that it declares, otherwise its source's, as
// "helm --namespace" and "kubectl --namespace" do. Objects of cluster-scoped kinds lose a namespace that they declare, which
// API servers ignore. An object of an unknown kind stays as it is: only the cluster can say, once it serves the kind.
func (r *rendering) place() error {
	var failed []error
	for _, d := range r.drafts {
		namespaced, known := r.namespaced(groupKind{d.id.Group, d.id.Kind})
		if !known {
			continue
		}
		metadata := d.object["metadata"].(map[string]any) // identify has seen it
		switch source := r.in.Sources[d.source]; {
		case !namespaced:
			delete(metadata, "namespace")
			d.id.Namespace = ""
		case d.id.Namespace != "":
		case source.Namespace != "":
			metadata["namespace"] = source.Namespace
			d.id.Namespace = source.Namespace
		default:
			failed = append(failed, config(d.origin, fmt.Sprintf("%s has no namespace, and neither has source %s", d.id, source.Name), nil,
				fmt.Sprintf("Add a namespace to the object's metadata, or \"namespace:\" to source %s.", source.Name)))
		}
	}
	return errors.Join(failed...)
}

// systemNamespaces exist in every cluster.
var systemNamespaces = []string{"default", "kube-system", "kube-public", "kube-node-lease"}

// addNamespaces adds the Namespace of each source that nobody declares, as "helm --create-namespace" does.
func (r *rendering) addNamespaces() error {
	declared := map[string]*draft{}
	for _, d := range r.drafts {
		if d.id.Group == "" && d.id.Kind == "Namespace" && declared[d.id.Name] == nil {
			declared[d.id.Name] = d
		}
	}
	var failed []error
	for i, s := range r.in.Sources {
		if s.Namespace == "" || slices.Contains(systemNamespaces, s.Namespace) {
			continue
		}
		if d := declared[s.Namespace]; d == nil {
			d = namespaceOf(i, s)
			declared[s.Namespace] = d
			r.drafts = append(r.drafts, d)
		} else if d.source > i {
			by := r.in.Sources[d.source].Name
			failed = append(failed, config(s.Pos, fmt.Sprintf("source %s is deployed into the namespace %s, which source %s declares later, in %s",
				s.Name, s.Namespace, by, d.origin), nil, fmt.Sprintf("Move source %s before %s, or the Namespace object into %s.", by, s.Name, s.Name)))
		}
	}
	return errors.Join(failed...)
}

// namespaceOf is the Namespace object for a source. Helm labels those that it creates with their name.
func namespaceOf(i int, s Source) *draft {
	metadata := map[string]any{"name": s.Namespace}
	if s.Helm != nil {
		metadata["labels"] = map[string]any{"name": s.Namespace}
	}
	origin := "namespace of source " + s.Name
	if s.Pos != "" {
		origin = s.Pos + ", " + origin
	}
	return &draft{
		source: i,
		origin: origin,
		object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": metadata},
		id:     plan.ID{Kind: "Namespace", Name: s.Namespace},
		added:  true,
	}
}
