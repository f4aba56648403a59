package render

import (
	"maps"
	"slices"

	"github.com/devenv-run/devenv/devenv/plan"
)

// slot is a place in an object that names an image: a container, or a volume made from an image.
type slot struct {
	at     map[string]any
	image  string // key of the reference
	policy string // key of the pull policy
	// exact says that the object is one of Kubernetes' own, so that a pull policy may be added. In a custom object a
	// field that its definition does not know would make the API server refuse it.
	exact bool
}

// ref is the image that the slot names.
func (s slot) ref() string { return s.at[s.image].(string) }

// slots finds every image of an object: init containers, containers, ephemeral containers, then image volumes, each in
// declared order. Objects without pods have none.
func slots(object map[string]any, id plan.ID) []slot {
	if path, ok := podPaths[groupKind{id.Group, id.Kind}]; ok {
		return podSlots(dig(object, path), true)
	}
	if builtin(id.Group) {
		return nil
	}
	return customSlots(object)
}

// podPaths says where Kubernetes' own kinds keep their pod.
var podPaths = map[groupKind][]string{
	{"", "Pod"}:                   {"spec"},
	{"", "PodTemplate"}:           {"template", "spec"},
	{"", "ReplicationController"}: {"spec", "template", "spec"},
	{"apps", "DaemonSet"}:         {"spec", "template", "spec"},
	{"apps", "Deployment"}:        {"spec", "template", "spec"},
	{"apps", "ReplicaSet"}:        {"spec", "template", "spec"},
	{"apps", "StatefulSet"}:       {"spec", "template", "spec"},
	{"batch", "CronJob"}:          {"spec", "jobTemplate", "spec", "template", "spec"},
	{"batch", "Job"}:              {"spec", "template", "spec"},
}

// dig follows keys into nested objects; nil where the path ends early.
func dig(value map[string]any, path []string) map[string]any {
	for _, key := range path {
		value, _ = value[key].(map[string]any)
	}
	return value
}

// podSlots finds the images of a pod specification.
func podSlots(spec map[string]any, exact bool) []slot {
	var found []slot
	for _, key := range []string{"initContainers", "containers", "ephemeralContainers"} {
		for c := range objects(spec[key]) {
			if _, ok := c["image"].(string); ok {
				found = append(found, slot{c, "image", "imagePullPolicy", exact})
			}
		}
	}
	for v := range objects(spec["volumes"]) {
		if source, ok := v["image"].(map[string]any); ok {
			if _, ok := source["reference"].(string); ok {
				found = append(found, slot{source, "reference", "pullPolicy", exact})
			}
		}
	}
	return found
}

// objects iterates over the objects in a list; over nothing if value is no list.
func objects(value any) func(yield func(map[string]any) bool) {
	items, _ := value.([]any)
	return func(yield func(map[string]any) bool) {
		for _, item := range items {
			if m, ok := item.(map[string]any); ok && !yield(m) {
				return
			}
		}
	}
}

// customSlots looks for pod specifications in an object of a kind that we do not know (a Rollout, a Knative Service, an
// operator's cluster): anything with containers that have a name and an image. Keys are visited in order.
func customSlots(value any) []slot {
	var found []slot
	switch v := value.(type) {
	case map[string]any:
		if looksLikePod(v) {
			return podSlots(v, false)
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			found = append(found, customSlots(v[key])...)
		}
	case []any:
		for _, item := range v {
			found = append(found, customSlots(item)...)
		}
	}
	return found
}

// looksLikePod says that m has a list of containers, each with a name or an image as strings.
func looksLikePod(m map[string]any) bool {
	containers, _ := m["containers"].([]any)
	for _, c := range containers {
		c, ok := c.(map[string]any)
		if !ok {
			return false
		}
		_, image := c["image"].(string)
		_, name := c["name"].(string)
		if !image && !name {
			return false
		}
	}
	return len(containers) > 0
}
