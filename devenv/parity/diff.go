package parity

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// difference is a place at which two normal values differ.
type difference struct {
	path     path
	old, new any // nil where there is none
	shape    shape
}

// path leads from an object to a value in it.
type path []step

// step is one step of a path: to the value of a field, to the item of a list with a key or at a place, or to the order of a list.
type step struct {
	field string
	by    *keyed
	item  string   // with by
	index int      // without field and by
	order []string // of these items; with by
}

// differences finds where two normal values of a shape differ, in the order of the fields' names and the items of b.
func differences(a, b any, s shape) []difference {
	var found []difference
	diff(nil, a, b, s, &found)
	return found
}

func diff(at path, a, b any, s shape, found *[]difference) {
	if a == nil && b == nil || equal(a, b, s) {
		return
	}
	x, y := a, b
	if s.hidesZero() { // then none is an empty one, and what is in the other tells more than the whole of it
		x, y = emptyLike(a, b), emptyLike(b, a)
	}
	switch x := x.(type) {
	case map[string]any:
		if y, ok := y.(map[string]any); ok {
			diffMaps(at, x, y, s, found)
			return
		}
	case []any:
		if y, ok := y.([]any); ok && diffLists(at, x, y, s, found) {
			return
		}
	}
	*found = append(*found, difference{at, a, b, s})
}

// emptyLike is value, or where that is none, an empty map or list if like is one.
func emptyLike(value, like any) any {
	if value != nil {
		return value
	}
	switch like.(type) {
	case map[string]any:
		return map[string]any{}
	case []any:
		return []any{}
	}
	return nil
}

func diffMaps(at path, a, b map[string]any, s shape, found *[]difference) {
	names := slices.Collect(maps.Keys(a))
	for name := range b {
		if _, both := a[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		diff(at.to(step{field: name}), a[name], b[name], s.of(name), found)
	}
}

// diffLists compares items; for lists whose items cannot be told apart it says false, and they differ as a whole.
func diffLists(at path, a, b []any, s shape, found *[]difference) bool {
	by := keysOf(a, b, s)
	if by == nil {
		if len(a) != len(b) || !composed(a) || !composed(b) {
			return false
		}
		for i := range a {
			diff(at.to(step{index: i}), a[i], b[i], s.item(), found)
		}
		return true
	}
	names := by.names(b)
	for _, name := range by.names(a) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		x, _ := by.find(a, name)
		y, _ := by.find(b, name)
		diff(at.to(step{by: by, item: name}), x, y, s.item(), found)
	}
	if by.ordered && !sameOrder(by.names(a), by.names(b)) {
		common := among(by.names(a), by.names(b))
		*found = append(*found, difference{
			path: at.to(step{by: by, order: common}), old: asValue(common), new: asValue(among(by.names(b), by.names(a))),
		})
	}
	return true
}

// composed says that every item has fields or items of its own; lists of texts, such as arguments, are read as a whole.
func composed(list []any) bool {
	for _, item := range list {
		switch item.(type) {
		case map[string]any, []any:
		default:
			return false
		}
	}
	return true
}

func (p path) to(s step) path { return append(slices.Clone(p), s) }

// in is the value at the path in a value; nil if there is none.
func (p path) in(value any) any {
	for _, s := range p {
		switch v := value.(type) {
		case map[string]any:
			if s.field == "" {
				return nil
			}
			value = v[s.field]
		case []any:
			value = s.inList(v)
		default:
			return nil
		}
	}
	return value
}

func (s step) inList(list []any) any {
	switch {
	case s.order != nil:
		return asValue(among(s.by.names(list), s.order))
	case s.by != nil:
		item, _ := s.by.find(list, s.item)
		return item
	case s.field == "" && s.index < len(list):
		return list[s.index]
	}
	return nil
}

// String is the path as people write it: spec.template.spec.containers[grades].image, metadata.annotations["checksum/config"].
func (p path) String() string {
	var b strings.Builder
	for _, s := range p {
		switch {
		case s.order != nil:
			b.WriteString(" (order)")
		case s.by != nil:
			fmt.Fprintf(&b, "[%s]", s.item)
		case s.field == "":
			fmt.Fprintf(&b, "[%d]", s.index)
		case strings.ContainsAny(s.field, `.[]"/ `):
			fmt.Fprintf(&b, "[%s]", strconv.Quote(s.field))
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.field)
		}
	}
	return b.String()
}
