package render

import "github.com/devenv-run/devenv/devenv/plan"

// definition is what rendering needs to know of a CustomResourceDefinition.
type definition struct {
	kind       groupKind
	namespaced bool
	apis       []string // group/version and group/version/Kind of every served version
}

// definitionOf reads a CustomResourceDefinition, of v1 or of the v1beta1 that old charts still carry. ok is false for any
// other object, and for a definition too incomplete to be accepted by an API server.
func definitionOf(value map[string]any, id plan.ID) (def definition, ok bool) {
	if id.Group != "apiextensions.k8s.io" || id.Kind != "CustomResourceDefinition" {
		return definition{}, false
	}
	spec, _ := value["spec"].(map[string]any)
	names, _ := spec["names"].(map[string]any)
	group, _ := spec["group"].(string)
	kind, _ := names["kind"].(string)
	if group == "" || kind == "" {
		return definition{}, false
	}
	def = definition{kind: groupKind{group, kind}, namespaced: spec["scope"] != "Cluster"}
	add := func(version any) {
		if v, ok := version.(string); ok && v != "" {
			def.apis = append(def.apis, group+"/"+v, group+"/"+v+"/"+kind)
		}
	}
	versions, _ := spec["versions"].([]any)
	for _, v := range versions {
		if v, ok := v.(map[string]any); ok && v["served"] != false {
			add(v["name"])
		}
	}
	if len(versions) == 0 {
		add(spec["version"])
	}
	return def, true
}

// define remembers the kind that an object defines, if it is a definition: for the namespaces of its objects, and for
// what charts rendered later may ask.
func (r *rendering) define(value map[string]any, id plan.ID) {
	def, ok := definitionOf(value, id)
	if !ok {
		return
	}
	r.scopes[def.kind] = def.namespaced
	r.apis = append(r.apis, def.apis...)
}
