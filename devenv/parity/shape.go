package parity

import (
	"encoding/json"
	"reflect"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/scheme"
)

// shape is what is known of a value by the Go type that Kubernetes has for it. The zero shape is for what has none: custom kinds,
// and fields that a type does not have.
type shape struct {
	t reflect.Type
	// key is the field by which the items of a list merge.
	key string
	// name is the field of a struct that has the value; empty for items of lists and maps.
	name string
}

var (
	quantityType    = reflect.TypeFor[resource.Quantity]()
	intOrStringType = reflect.TypeFor[intstr.IntOrString]()
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
)

// shapeOf is the shape of an object. Every object has Kubernetes' own metadata.
func shapeOf(object map[string]any) shape {
	apiVersion, _ := object["apiVersion"].(string)
	kind, _ := object["kind"].(string)
	if version, err := schema.ParseGroupVersion(apiVersion); err == nil {
		if typed, err := scheme.Scheme.New(version.WithKind(kind)); err == nil {
			return shape{t: reflect.TypeOf(typed).Elem()}
		}
	}
	return shape{t: reflect.TypeFor[metav1.PartialObjectMetadata]()}
}

// direct is the type without its pointer.
func (s shape) direct() reflect.Type {
	if s.t != nil && s.t.Kind() == reflect.Pointer {
		return s.t.Elem()
	}
	return s.t
}

// isStruct says that the fields of the value are known. A type that decodes itself looks like a struct and is none.
func (s shape) isStruct() bool {
	t := s.direct()
	return t != nil && t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(unmarshaler)
}

// of is the shape of the value of a key.
func (s shape) of(name string) shape {
	t := s.direct()
	switch {
	case t == nil:
		return shape{}
	case t.Kind() == reflect.Map:
		return shape{t: t.Elem()}
	case !s.isStruct():
		return shape{}
	}
	found, meta, err := strategicpatch.PatchMetaFromStruct{T: t}.LookupPatchMetadataForStruct(name)
	if err != nil {
		return shape{}
	}
	typed, _ := found.(strategicpatch.PatchMetaFromStruct)
	return shape{t: typed.T, key: meta.GetPatchMergeKey(), name: name}
}

// item is the shape of a list's items.
func (s shape) item() shape {
	if t := s.direct(); t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		return shape{t: t.Elem()}
	}
	return shape{}
}

// hidesZero says that Go cannot tell the zero value from none: the value is a field without a pointer.
func (s shape) hidesZero() bool { return s.name != "" && s.t != nil && s.t.Kind() != reflect.Pointer }
