package kube

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// decode makes what a plan carries into what is sent.
//
// What only a server may set is left out, so that an object saved with "kubectl get -o yaml" can be declared. A Secret's
// stringData becomes data, which is what the server would do with it; but under server-side apply a key that is later left out
// of stringData would stay. The rules of a ClusterRole that aggregates others are left out: its controller fills them in, and
// whoever declares them fights it.
func decode(o plan.Object) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(o.JSON); err != nil {
		return nil, &fault.Error{Kind: fault.Config, What: o.ID.String() + " is not a Kubernetes object", Where: o.Origin, Err: err,
			Next: "Give it apiVersion, kind and metadata.name."}
	}
	for _, f := range []string{"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink", "deletionTimestamp"} {
		unstructured.RemoveNestedField(u.Object, "metadata", f)
	}
	switch u.GroupVersionKind().GroupKind() {
	case schema.GroupKind{Kind: "Secret"}:
		if err := plainData(u); err != nil {
			return nil, &fault.Error{Kind: fault.Config, What: o.ID.String() + " is not a valid Secret", Where: o.Origin, Err: err,
				Next: "Write stringData as a map of strings."}
		}
	case schema.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:
		if u.Object["aggregationRule"] != nil {
			delete(u.Object, "rules")
		}
	}
	return u, nil
}

// plainData moves a Secret's stringData into its data, over what is there.
func plainData(u *unstructured.Unstructured) error {
	texts, ok, err := unstructured.NestedStringMap(u.Object, "stringData")
	if err != nil || !ok {
		return err
	}
	data, _, err := unstructured.NestedMap(u.Object, "data")
	if err != nil {
		return err
	}
	if data == nil {
		data = map[string]any{}
	}
	for k, v := range texts {
		data[k] = base64.StdEncoding.EncodeToString([]byte(v))
	}
	delete(u.Object, "stringData")
	u.Object["data"] = data
	return nil
}

// identify is the ID of an object as the server sent it.
func identify(u *unstructured.Unstructured) plan.ID {
	gvk := u.GroupVersionKind()
	return plan.ID{Group: gvk.Group, Kind: gvk.Kind, Namespace: u.GetNamespace(), Name: u.GetName()}
}

// groupKind is the part of an ID by which its API is found.
func groupKind(id plan.ID) schema.GroupKind { return schema.GroupKind{Group: id.Group, Kind: id.Kind} }

// podSpecs are the paths under which the kinds of Kubernetes keep their pod's specification.
var podSpecs = map[schema.GroupKind][]string{
	{Kind: "Pod"}:                        {"spec"},
	{Kind: "ReplicationController"}:      {"spec", "template", "spec"},
	{Group: "apps", Kind: "Deployment"}:  {"spec", "template", "spec"},
	{Group: "apps", Kind: "StatefulSet"}: {"spec", "template", "spec"},
	{Group: "apps", Kind: "DaemonSet"}:   {"spec", "template", "spec"},
	{Group: "apps", Kind: "ReplicaSet"}:  {"spec", "template", "spec"},
	{Group: "batch", Kind: "Job"}:        {"spec", "template", "spec"},
	{Group: "batch", Kind: "CronJob"}:    {"spec", "jobTemplate", "spec", "template", "spec"},
}

// images lists the image references of the object's pod template, each once: init containers, containers, then volumes made
// of images, as a plan.Object has them. Nil for kinds without a pod template.
func images(u *unstructured.Unstructured) []string {
	path, ok := podSpecs[u.GroupVersionKind().GroupKind()]
	if !ok {
		return nil
	}
	spec, _, _ := unstructured.NestedFieldNoCopy(u.Object, path...)
	refs := []string{}
	add := func(at any, path ...string) {
		m, _ := at.(map[string]any)
		if ref, _, _ := unstructured.NestedString(m, path...); ref != "" && !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	pod, _ := spec.(map[string]any)
	for _, field := range []string{"initContainers", "containers", "ephemeralContainers"} {
		containers, _ := pod[field].([]any)
		for _, c := range containers {
			add(c, "image")
		}
	}
	volumes, _ := pod["volumes"].([]any)
	for _, v := range volumes {
		add(v, "image", "reference")
	}
	return refs
}

// holdings is a short hash of the set of fields that manager applied to the object and still holds; empty if it holds none.
//
// Whoever changes the value of a field takes it out of the other managers' sets, so as long as this hash stays as it was
// after applying, every declared field still has its declared value. The replicas of an autoscaled object are not of the set.
func holdings(u *unstructured.Unstructured, manager string, autoscaled bool) string {
	raw, _, _ := unstructured.NestedFieldNoCopy(u.Object, "metadata", "managedFields")
	entries, _ := raw.([]any)
	for _, e := range entries {
		m, _ := e.(map[string]any)
		if m["manager"] != manager || m["operation"] != string(metav1.ManagedFieldsOperationApply) || m["subresource"] != nil {
			continue
		}
		fields, _ := m["fieldsV1"].(map[string]any)
		if autoscaled {
			fields = withoutReplicas(fields)
		}
		text, err := json.Marshal(fields) // sorted keys, so equal sets have equal texts
		if err != nil {
			return ""
		}
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %s", m["apiVersion"], text))
		return hex.EncodeToString(sum[:8])
	}
	return ""
}

// managers lists who else wrote to the object, other than through a subresource such as status.
func managers(u *unstructured.Unstructured, except ...string) []string {
	var names []string
	for _, e := range u.GetManagedFields() {
		if !slices.Contains(except, e.Manager) && e.Subresource == "" {
			names = append(names, e.Manager)
		}
	}
	return names
}
