package parity

import (
	"maps"
	"slices"
)

// Live makes a stage of what a cluster holds: of every object only the fields that production or devenv declares, because servers
// and controllers add theirs. The number of replicas of a workload that an autoscaler moves is taken as production declares it.
func Live(live, production, here []Object) []Object {
	declared := map[string][]Object{}
	scaled := map[target]bool{}
	for _, objects := range [][]Object{production, here} {
		for i, key := range keysIn(objects) {
			declared[key] = append(declared[key], objects[i])
			if t, ok := autoscaled(objects[i]); ok {
				scaled[t] = true
			}
		}
	}
	var stage []Object
	for i, key := range keysIn(live) {
		o := live[i]
		var values []any
		for _, d := range declared[key] {
			values = append(values, d.Value)
		}
		value, _ := project(o.Value, values, shapeOf(o.Value)).(map[string]any)
		if scaled[target{o.ID.Namespace, o.ID.Kind, o.ID.Name}] || scaledByController(o.Value) {
			value = withReplicas(value, production, key)
		}
		o.Value = value
		if len(declared[key]) > 0 {
			o.Source, o.Origin = declared[key][0].Source, declared[key][0].Origin
		}
		stage = append(stage, o)
	}
	return stage
}

// project is what value has of the fields that one of declared has.
func project(value any, declared []any, s shape) any {
	switch v := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for name, field := range v {
			var of []any
			found := false
			for _, d := range declared {
				if m, ok := d.(map[string]any); ok {
					if f, ok := m[name]; ok {
						of, found = append(of, f), true
					}
				}
			}
			if found {
				kept[name] = project(field, of, s.of(name))
			}
		}
		return kept
	case []any:
		return projectList(v, declared, s)
	}
	return value
}

func projectList(list []any, declared []any, s shape) any {
	var lists [][]any
	for _, d := range declared {
		if l, ok := d.([]any); ok {
			lists = append(lists, l)
		}
	}
	all := slices.Concat(append([][]any{list}, lists...)...)
	if !composed(all) || len(lists) == 0 {
		return list
	}
	// Matched with each declared list by the key that fits both.
	matches := make([][]any, len(list))
	keep := make([]bool, len(list))
	for _, l := range lists {
		by := keysOf(list, l, s)
		for i, item := range list {
			switch {
			case by != nil:
				if match, ok := by.find(l, by.of(item)); ok {
					matches[i], keep[i] = append(matches[i], match), true
				}
			case len(l) == len(list):
				matches[i], keep[i] = append(matches[i], l[i]), true
			default:
				matches[i], keep[i] = append(matches[i], item), true // as a whole
			}
		}
	}
	kept := []any{}
	for i, item := range list {
		if keep[i] {
			kept = append(kept, project(item, matches[i], s.item()))
		}
	}
	return kept
}

// target is a workload as an autoscaler names it.
type target struct{ namespace, kind, name string }

// autoscaled is the workload that an autoscaler moves.
func autoscaled(o Object) (target, bool) {
	if o.ID.Group != "autoscaling" || o.ID.Kind != "HorizontalPodAutoscaler" {
		return target{}, false
	}
	spec, _ := o.Value["spec"].(map[string]any)
	ref, _ := spec["scaleTargetRef"].(map[string]any)
	kind, _ := ref["kind"].(string)
	name, _ := ref["name"].(string)
	return target{o.ID.Namespace, kind, name}, name != ""
}

// scaledByController says that a controller, and no person, set the number of replicas last: an autoscaler that is not declared here.
func scaledByController(value map[string]any) bool {
	metadata, _ := value["metadata"].(map[string]any)
	entries, _ := metadata["managedFields"].([]any)
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		fields, _ := entry["fieldsV1"].(map[string]any)
		spec, _ := fields["f:spec"].(map[string]any)
		if _, ok := spec["f:replicas"]; ok && entry["manager"] == "kube-controller-manager" && entry["subresource"] == "scale" {
			return true
		}
	}
	return false
}

// withReplicas is a workload with the number of replicas that production declares, or without any if it declares none.
func withReplicas(value map[string]any, production []Object, key string) map[string]any {
	spec, ok := value["spec"].(map[string]any)
	if !ok {
		return value
	}
	value, spec = maps.Clone(value), maps.Clone(spec)
	delete(spec, "replicas")
	if i := slices.Index(keysIn(production), key); i >= 0 {
		if declared, ok := production[i].Value["spec"].(map[string]any); ok && declared["replicas"] != nil {
			spec["replicas"] = declared["replicas"]
		}
	}
	value["spec"] = spec
	return value
}
