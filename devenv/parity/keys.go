package parity

import (
	"encoding/json"
	"fmt"
	"slices"
)

// keyed says how the items of a list are told apart.
type keyed struct {
	field string // of the items: name, containerPort; metadata.name is for claim templates
	// ordered says that the order of the items means something too.
	ordered bool
}

// claimName is where claim templates have their name.
const claimName = "metadata.name"

// keysOf finds how the items of two lists can be matched: by the merge key of their type, else by a name that each has to itself.
// Nil where there is no such key: then an item is told by its place.
func keysOf(a, b []any, s shape) *keyed {
	if s.key != "" {
		// Variables are expanded from those before them, and init containers run one after the other.
		k := &keyed{field: s.key, ordered: s.name == "env" || s.name == "initContainers"}
		if k.unique(a) && k.unique(b) {
			return k
		}
		return nil
	}
	for _, field := range []string{"name", claimName} {
		if k := (&keyed{field: field, ordered: true}); k.unique(a) && k.unique(b) {
			return k
		}
	}
	return nil
}

// unique says that every item has a key, and no other item has it.
func (k *keyed) unique(list []any) bool {
	seen := map[string]bool{}
	for _, item := range list {
		name := k.of(item)
		if name == "" || seen[name] {
			return false
		}
		seen[name] = true
	}
	return true
}

// of is an item's key as text; empty for none. Ports of different protocols are different ports.
func (k *keyed) of(item any) string {
	m, _ := item.(map[string]any)
	if k.field == claimName {
		m, _ = m["metadata"].(map[string]any)
		name, _ := m["name"].(string)
		return name
	}
	text := ""
	switch v := m[k.field].(type) {
	case string:
		text = v
	case json.Number:
		text = v.String()
	}
	if protocol, ok := m["protocol"].(string); ok && protocol != "TCP" && text != "" {
		text += "/" + protocol
	}
	return text
}

func (k *keyed) names(list []any) []string {
	names := make([]string, len(list))
	for i, item := range list {
		names[i] = k.of(item)
	}
	return names
}

// index is where each key is.
func (k *keyed) index(list []any) map[string]int {
	at := make(map[string]int, len(list))
	for i, item := range list {
		at[k.of(item)] = i
	}
	return at
}

// find is the item with a key.
func (k *keyed) find(list []any, name string) (any, bool) {
	i := slices.IndexFunc(list, func(item any) bool { return k.of(item) == name })
	if i < 0 {
		return nil, false
	}
	return list[i], true
}

// sameOrder says that the names that both lists have are in the same order.
func sameOrder(a, b []string) bool {
	return slices.Equal(among(a, b), among(b, a))
}

// among are the names that are in others too.
func among(names, others []string) []string {
	var common []string
	for _, n := range names {
		if slices.Contains(others, n) {
			common = append(common, n)
		}
	}
	return common
}

// asValue makes names a JSON value.
func asValue(names []string) []any {
	list := make([]any, len(names))
	for i, n := range names {
		list[i] = fmt.Sprint(n)
	}
	return list
}
