package render

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/devenv-run/devenv/devenv/plan"
)

// draft is an object on its way through the stages.
type draft struct {
	source int    // index in Input.Sources
	origin string // for messages
	object map[string]any
	id     plan.ID // complete after place
	hook   *hook   // nil for an ordinary object
	chart  bool    // its own annotations say whether it is a hook
	added  bool    // by addNamespaces: no source declares it
}

// draft makes drafts of a document of source i: one, or one for each item of a list. It also remembers the kinds that
// a definition adds.
func (r *rendering) draft(i int, d doc) error {
	r.in.Secrets.AddObject(d.value)
	h := d.hook
	if d.chart {
		var unknown string
		if h, unknown = hookOf(d.value); unknown != "" {
			id, _ := identify(d.value)
			r.note(fmt.Sprintf("%s: %s is left out, as Helm leaves it out: there is no hook %s", d.origin, id, unknown))
			return nil
		}
	}
	if items, ok := listItems(d.value); ok {
		var failed []error
		for n, item := range items {
			value, ok := item.(map[string]any)
			if !ok {
				failed = append(failed, config(d.origin, fmt.Sprintf("item %d of the list is %s, not an object", n+1, jsonType(item)), nil, ""))
				continue
			}
			failed = append(failed, r.draft(i, doc{origin: d.origin, value: value, hook: h}))
		}
		return errors.Join(failed...)
	}
	id, err := identify(d.value)
	if err != nil {
		return config(d.origin, "not a Kubernetes object", err, "Every object needs apiVersion, kind and metadata.name.")
	}
	if err := checkStrings(d.value); err != nil {
		return config(d.origin, id.String(), err, "Put the value in quotes.")
	}
	r.drafts = append(r.drafts, &draft{source: i, origin: d.origin, object: d.value, id: id, hook: h, chart: d.chart})
	r.define(d.value, id)
	return nil
}

// checkStrings refuses labels and annotations whose values are no strings: true and 8080 want quotes. An API server would refuse
// them too, but only after everything before them was applied.
func checkStrings(value map[string]any) error {
	metadata := value["metadata"].(map[string]any) // identify has seen it
	for _, field := range []string{"labels", "annotations"} {
		values, _ := metadata[field].(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(values)) {
			switch v := values[key].(type) {
			case string, nil:
			default:
				return fmt.Errorf("metadata.%s: %s is %s, not a string", field, key, jsonType(v))
			}
		}
	}
	return nil
}

// listItems gives the items of a List or a typed list such as ConfigMapList, whose items may leave out what the list's
// own kind says.
func listItems(value map[string]any) ([]any, bool) {
	kind, _ := value["kind"].(string)
	items, ok := value["items"].([]any)
	if !ok || !strings.HasSuffix(kind, "List") {
		return nil, kind == "List" && value["items"] == nil
	}
	if of := strings.TrimSuffix(kind, "List"); of != "" {
		for _, item := range items {
			if m, ok := item.(map[string]any); ok && m["kind"] == nil && m["apiVersion"] == nil {
				m["kind"], m["apiVersion"] = of, value["apiVersion"]
			}
		}
	}
	return items, true
}

// identify reads who an object is. The namespace is the one that it declares, if any.
func identify(value map[string]any) (plan.ID, error) {
	apiVersion, err := stringAt(value, "apiVersion")
	if err != nil {
		return plan.ID{}, err
	}
	kind, err := stringAt(value, "kind")
	if err != nil {
		return plan.ID{}, err
	}
	metadata, ok := value["metadata"].(map[string]any)
	if !ok {
		return plan.ID{}, fmt.Errorf("%s has no metadata", kind)
	}
	if metadata["name"] == nil && metadata["generateName"] != nil {
		return plan.ID{}, fmt.Errorf("%s has only metadata.generateName: a second deployment could not find it again", kind)
	}
	name, err := stringAt(metadata, "name")
	if err != nil {
		return plan.ID{}, fmt.Errorf("metadata of %s: %w", kind, err)
	}
	id := plan.ID{Group: groupOf(apiVersion), Kind: kind, Name: name}
	if metadata["namespace"] != nil && metadata["namespace"] != "" {
		if id.Namespace, err = stringAt(metadata, "namespace"); err != nil {
			return plan.ID{}, fmt.Errorf("metadata of %s %s: %w", kind, name, err)
		}
	}
	return id, nil
}

// stringAt is a field that must be a string with something in it.
func stringAt(m map[string]any, key string) (string, error) {
	switch v := m[key].(type) {
	case string:
		if v == "" {
			return "", fmt.Errorf("%s is empty", key)
		}
		return v, nil
	case nil:
		return "", fmt.Errorf("%s is missing", key)
	default:
		return "", fmt.Errorf("%s is %s, not a string", key, jsonType(v))
	}
}

// groupOf is the group of an apiVersion; core objects have the empty group.
func groupOf(apiVersion string) string {
	group, _, found := strings.Cut(apiVersion, "/")
	if !found {
		return ""
	}
	return group
}

// refuseDuplicates finds objects that are declared twice: the second would silently overwrite the first, and removing one of
// them would remove both. Hooks may repeat an object, as in Helm.
func (r *rendering) refuseDuplicates() error {
	first := map[plan.ID]*draft{}
	var failed []error
	for _, d := range r.drafts {
		if d.hook != nil {
			continue
		}
		if f := first[d.id]; f != nil {
			failed = append(failed, config(d.origin, fmt.Sprintf("%s is declared twice: by source %s in %s and by source %s in %s",
				d.id, r.in.Sources[f.source].Name, f.origin, r.in.Sources[d.source].Name, d.origin), nil,
				"Remove one of the two, or give it another name or namespace."))
			continue
		}
		first[d.id] = d
	}
	return errors.Join(failed...)
}
