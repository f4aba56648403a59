package kube

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/devenv-run/devenv/devenv/plan"
)

// deviation is a field whose value is not the declared one.
type deviation struct {
	Path    string // as people write it: spec.template.spec.containers[grades].image
	Manager string // who holds the field now; empty where nobody does
	Removed bool   // it is declared, and there is none

	Live, Declared any // nil where there is none
}

// drift compares an object with what the server says it would be if it were applied again (a dry run), and says who changed
// what. Both come from the server, so defaults and quantities are written alike. What the server itself keeps is not
// compared. An empty result means that nothing declared was changed, whatever else was.
func drift(live, declared *unstructured.Unstructured, manager string) []deviation {
	w := &comparison{manager: manager}
	for _, e := range fieldEntries(live) {
		if e.manager != manager {
			w.others = append(w.others, e)
		}
	}
	w.object(nil, nil, content(live), content(declared))
	return w.found
}

// sayDrift is a deviation list as a phrase: "spec.replicas changed by kubectl-edit, and 2 more fields".
func sayDrift(found []deviation) string {
	if len(found) == 0 {
		return ""
	}
	s := found[0].Path + " changed"
	if found[0].Removed {
		s = found[0].Path + " removed"
	}
	if m := found[0].Manager; m != "" {
		s += " by " + m
	}
	if more := len(found) - 1; more > 0 {
		s += ", and " + plan.Count(more, "more field")
	}
	return s
}

// content is the object without what servers write by themselves.
func content(u *unstructured.Unstructured) map[string]any {
	o := maps.Clone(u.Object)
	delete(o, "status")
	if m, ok := o["metadata"].(map[string]any); ok {
		m = maps.Clone(m)
		for _, f := range []string{"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink"} {
			delete(m, f)
		}
		o["metadata"] = m
	}
	return o
}

// comparison walks two objects at once. path is how people write where it is, route how managedFields do.
type comparison struct {
	manager string
	others  []fieldEntry
	found   []deviation
}

func (w *comparison) object(path []string, route []step, live, declared map[string]any) {
	keys := slices.Collect(maps.Keys(live))
	for k := range declared {
		if _, ok := live[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		w.value(append(slices.Clone(path), k), append(slices.Clone(route), step{field: k}), live[k], declared[k])
	}
}

func (w *comparison) value(path []string, route []step, live, declared any) {
	if reflect.DeepEqual(live, declared) {
		return
	}
	// No object at all is one without fields: what counts is which of them are missing.
	a, isObject := live.(map[string]any)
	b, toObject := declared.(map[string]any)
	if (isObject || live == nil) && (toObject || declared == nil) {
		w.object(path, route, a, b)
		return
	}
	if a, ok := live.([]any); ok {
		if b, ok := declared.([]any); ok && w.list(path, route, a, b) {
			return
		}
	}
	w.found = append(w.found, deviation{Path: joinPath(path), Manager: w.holder(route), Removed: live == nil, Live: live, Declared: declared})
}

// list compares two lists whose items have names, or that are equally long, item by item. For others it says false.
func (w *comparison) list(path []string, route []step, live, declared []any) bool {
	byName := func(list []any) map[string]map[string]any {
		m := map[string]map[string]any{}
		for _, item := range list {
			o, _ := item.(map[string]any)
			name, _ := o["name"].(string)
			if name == "" || m[name] != nil {
				return nil
			}
			m[name] = o
		}
		return m
	}
	a, b := byName(live), byName(declared)
	if a == nil || b == nil {
		if len(live) != len(declared) {
			return false
		}
		for i := range live {
			w.value(append(slices.Clone(path), fmt.Sprintf("[%d]", i)), append(slices.Clone(route), step{item: live[i]}), live[i], declared[i])
		}
		return true
	}
	names := slices.Collect(maps.Keys(a))
	for name := range b {
		if a[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		at, via := append(slices.Clone(path), "["+name+"]"), append(slices.Clone(route), step{item: anyOf(a[name], b[name])})
		if a[name] == nil || b[name] == nil {
			d := deviation{Path: joinPath(at), Manager: w.holder(via), Removed: a[name] == nil}
			if a[name] != nil {
				d.Live = a[name]
			} else {
				d.Declared = b[name]
			}
			w.found = append(w.found, d)
			continue
		}
		w.object(at, via, a[name], b[name])
	}
	return true
}

func anyOf(a, b map[string]any) any {
	if a != nil {
		return a
	}
	return b
}

func joinPath(path []string) string {
	var b strings.Builder
	for i, p := range path {
		if i > 0 && !strings.HasPrefix(p, "[") {
			b.WriteByte('.')
		}
		b.WriteString(p)
	}
	return b.String()
}

// step is one step of a way through managedFields: a field of an object, or an item of a list.
type step struct {
	field string
	item  any
}

// fieldEntry is one writer's set of fields.
type fieldEntry struct {
	manager string
	time    string
	sub     bool // through a subresource such as status or scale
	applied bool // by server-side apply
	fields  map[string]any
}

// fieldEntries lists who wrote to the object, the latest first.
func fieldEntries(u *unstructured.Unstructured) []fieldEntry {
	raw, _, _ := unstructured.NestedFieldNoCopy(u.Object, "metadata", "managedFields")
	list, _ := raw.([]any)
	var entries []fieldEntry
	for _, e := range list {
		m, _ := e.(map[string]any)
		f := fieldEntry{}
		f.manager, _ = m["manager"].(string)
		f.time, _ = m["time"].(string) // RFC 3339 in UTC: sorts as text
		f.fields, _ = m["fieldsV1"].(map[string]any)
		f.sub = m["subresource"] != nil
		f.applied = m["operation"] == string(metav1.ManagedFieldsOperationApply)
		entries = append(entries, f)
	}
	slices.SortStableFunc(entries, func(a, b fieldEntry) int { return strings.Compare(b.time, a.time) })
	return entries
}

// holder is the other manager that holds the field at the end of route most exactly: the one that comes furthest along it.
func (w *comparison) holder(route []step) string {
	best, name := 0, ""
	for _, e := range w.others {
		if d := depth(e.fields, route); d > best {
			best, name = d, e.manager
		}
	}
	if best < len(route) {
		return "" // somebody holds a parent, but nobody this field: it was removed
	}
	return name
}

// depth is how many steps of the route a field set has.
func depth(fields map[string]any, route []step) int {
	for i, s := range route {
		if i > 0 && len(fields) == 0 {
			return len(route) // held as a whole, such as a list of arguments: with all that is in it
		}
		next, ok := child(fields, s)
		if !ok {
			return i
		}
		fields = next
	}
	return len(route)
}

// child finds the step in a field set. Keys there are "f:name" for a field, `k:{"name":"grades"}` for an item by its keys and
// "v:…" for an item by its value.
func child(fields map[string]any, s step) (map[string]any, bool) {
	if s.item == nil {
		next, ok := fields["f:"+s.field]
		m, _ := next.(map[string]any)
		return m, ok
	}
	for k, v := range fields {
		m, _ := v.(map[string]any)
		switch {
		case strings.HasPrefix(k, "k:"):
			var keys map[string]any
			if json.Unmarshal([]byte(k[2:]), &keys) == nil && hasAll(s.item, keys) {
				return m, true
			}
		case strings.HasPrefix(k, "v:"):
			var value any
			if json.Unmarshal([]byte(k[2:]), &value) == nil && fmt.Sprint(value) == fmt.Sprint(s.item) {
				return m, true
			}
		}
	}
	return nil, false
}

func hasAll(item any, keys map[string]any) bool {
	o, ok := item.(map[string]any)
	if !ok {
		return false
	}
	for k, v := range keys {
		if fmt.Sprint(o[k]) != fmt.Sprint(v) { // numbers are int64 in an object and float64 in a key
			return false
		}
	}
	return len(keys) > 0
}
