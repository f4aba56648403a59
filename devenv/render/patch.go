package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/scheme"
)

// patched gives an object as a patch makes it; both are JSON. The patch is a mapping or a list of operations, as in Divergence.
func patched(before []byte, patch any) (after []byte, err error) {
	defer func() { // the libraries look at types late: a patch that has a map where a name belongs makes them panic
		if p := recover(); p != nil {
			after, err = nil, fmt.Errorf("the patch cannot be merged: %v", p)
		}
	}()
	switch patch := patch.(type) {
	case map[string]any:
		return merged(before, patch)
	case []any:
		return operated(before, patch)
	}
	return nil, errors.New("a patch is a mapping or a list of JSON patch operations")
}

// merged applies a strategic merge patch by the tags of the Go types, where lists of containers merge by name; and a JSON merge
// patch where there is no Go type.
func merged(before []byte, patch map[string]any) ([]byte, error) {
	encoded, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	original, err := object(before)
	if err != nil {
		return nil, err
	}
	typed := goType(original)
	if typed == nil {
		if key := directive(patch); key != "" {
			return nil, fmt.Errorf("%s has no meaning for objects of the custom kind %v, which take a JSON merge patch; replace lists as a whole, or use JSON patch operations", key, original["kind"])
		}
		return jsonpatch.MergePatch(before, encoded)
	}
	// Numbers have to have the same type on both sides to be compared with each other.
	change, err := object(encoded)
	if err != nil {
		return nil, err
	}
	result, err := strategicpatch.StrategicMergeMapPatch(original, change, typed)
	if err != nil {
		return nil, err
	}
	return canonicalJSON(result)
}

// goType is an empty value of the Go type of an object, nil for kinds that Kubernetes' client does not know.
func goType(object map[string]any) runtime.Object {
	apiVersion, _ := object["apiVersion"].(string)
	kind, _ := object["kind"].(string)
	version, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return nil
	}
	typed, err := scheme.Scheme.New(version.WithKind(kind))
	if err != nil {
		return nil
	}
	return typed
}

// directive finds a key with which strategic merge patches say how to merge.
func directive(value any) string {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if len(key) > 1 && key[0] == '$' {
				return key
			}
			if found := directive(value[key]); found != "" {
				return found
			}
		}
	case []any:
		for _, item := range value {
			if found := directive(item); found != "" {
				return found
			}
		}
	}
	return ""
}

// operated applies the operations of a JSON patch one by one, so that an error can say which of them does not work.
func operated(before []byte, operations []any) ([]byte, error) {
	after := before
	for i, o := range operations {
		encoded, err := json.Marshal([]any{o})
		if err != nil {
			return nil, err
		}
		patch, err := jsonpatch.DecodePatch(encoded)
		if err == nil {
			after, err = patch.Apply(after)
		}
		if err != nil {
			operation, _ := o.(map[string]any)
			return nil, fmt.Errorf("operation %d, %v %v: %w", i+1, operation["op"], operation["path"], err)
		}
	}
	return after, nil
}

// newMistakes reports what a patch made of an object that its Go type has no place for: unknown fields and wrong types. What
// was so before the patch is not its fault.
func newMistakes(before, after []byte) error {
	known := map[string]bool{}
	for _, m := range mistakes(before) {
		known[m.Error()] = true
	}
	var found []string
	for _, m := range mistakes(after) {
		if !known[m.Error()] {
			found = append(found, m.Error())
		}
	}
	if len(found) == 0 {
		return nil
	}
	return errors.New(strings.Join(found, "; "))
}

// mistakes decodes an object strictly.
func mistakes(encoded []byte) []error {
	decoded, err := object(encoded)
	if err != nil {
		return []error{err}
	}
	if goType(decoded) == nil {
		return nil
	}
	decoder := kjson.NewSerializerWithOptions(kjson.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, kjson.SerializerOptions{Strict: true})
	_, _, err = decoder.Decode(encoded, nil, nil)
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		return strict.Errors()
	}
	if err != nil {
		return []error{err}
	}
	return nil
}
