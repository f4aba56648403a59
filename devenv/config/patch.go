package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// This file checks what can be said of a divergence before there are objects to patch. Whether its target exists, and
// whether the patch fits and changes anything, is for package render to say.

// operations of a JSON patch (RFC 6902), with the keys that each needs beside op and path.
var operations = map[string]string{"add": "value", "remove": "", "replace": "value", "move": "from", "copy": "from", "test": "value"}

// operationNames are in the order of the RFC, for messages.
var operationNames = []string{"add", "remove", "replace", "move", "copy", "test"}

// places notes where the values inside n stand, which has no type of the schema.
func (d *decoder) places(n *node, path string) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			at := join(path, key.Value)
			d.at[at] = value.Pos
			if value.Kind != yaml.ScalarNode {
				d.at[at] = key.Pos // messages about the whole point at its name
			}
			d.places(value, at)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			at := fmt.Sprintf("%s[%d]", path, i)
			d.at[at] = item.Pos
			d.places(item, at)
		}
	}
}

// patch checks the form of a patch: a mapping, or a list of JSON patch operations.
func (d *decoder) patch(patch any, at string) {
	switch patch := patch.(type) {
	case nil: // reported as missing
	case map[string]any:
		d.mergePatch(patch, at)
	case []any:
		if len(patch) == 0 {
			d.problem(at, "", "patch has no operation")
		}
		for i, operation := range patch {
			d.operation(operation, fmt.Sprintf("%s[%d]", at, i))
		}
	default:
		d.problem(at, "", "patch must be a mapping or a list of JSON patch operations")
	}
}

// mergePatch checks a strategic merge patch.
func (d *decoder) mergePatch(patch map[string]any, at string) {
	if len(patch) == 0 {
		d.problem(at, "", "patch is empty")
	}
	directive, ok := patch["$patch"]
	if !ok {
		return
	}
	switch directive {
	case "delete":
		for _, key := range slices.Sorted(maps.Keys(patch)) {
			if !slices.Contains([]string{"$patch", "apiVersion", "kind", "metadata"}, key) {
				d.problem(join(at, key), "", "patch deletes the whole object, so its %s has no effect", key)
			}
		}
	case "replace":
	default:
		text, _ := directive.(string)
		d.problem(join(at, "$patch"), nearest(text, []string{"delete", "replace"}), "$patch of a whole object is delete or replace, not %v", directive)
	}
}

// operation checks one operation of a JSON patch.
func (d *decoder) operation(value any, at string) {
	operation, ok := value.(map[string]any)
	if !ok {
		d.problem(at, "", "an operation of a JSON patch is a mapping with op and path")
		return
	}
	name, ok := operation["op"].(string)
	needs, known := operations[name]
	switch {
	case operation["op"] == nil:
		d.problem(at, "", "patch: this operation of a JSON patch has no op")
	case !ok || !known:
		d.problem(join(at, "op"), nearest(name, operationNames), "op is one of %s, not %q", strings.Join(operationNames, ", "), fmt.Sprint(operation["op"]))
	}
	d.pointer(operation, "path", at, true)
	d.pointer(operation, "from", at, needs == "from")
	if _, given := operation["value"]; needs == "value" && !given {
		d.problem(at, "", "the operation %s needs a value", name)
	}
	for _, key := range slices.Sorted(maps.Keys(operation)) {
		if valid := []string{"op", "path", "from", "value"}; !slices.Contains(valid, key) {
			d.problem(join(at, key), nearest(key, valid), "an operation of a JSON patch has the keys %s, not %q", strings.Join(valid, ", "), key)
		}
	}
}

// pointer checks a JSON pointer (RFC 6901) of an operation.
func (d *decoder) pointer(operation map[string]any, key, at string, required bool) {
	value, given := operation[key]
	text, ok := value.(string)
	switch {
	case !given && required:
		d.problem(at, "", "patch: this operation of a JSON patch has no %s", key)
	case !given:
	case !ok:
		d.problem(join(at, key), "", "%s must be text such as /spec/replicas", key)
	case !strings.HasPrefix(text, "/"):
		d.problem(join(at, key), "/"+strings.ReplaceAll(strings.Trim(text, "."), ".", "/"), "%s must begin with /, as in /spec/replicas", key)
	}
}
