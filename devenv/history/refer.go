package history

import (
	"encoding/json"
	"fmt"

	"github.com/devenv-run/devenv/devenv/plan"
)

// References lists the ConfigMaps and Secrets that a workload's pods refer to, in order of appearance, each once: as environment
// variables, as volumes, projected ones too, and for pulling images. It is empty for an object without a pod template.
func References(o plan.Object) ([]plan.ID, error) {
	if len(o.Images) == 0 {
		return nil, nil
	}
	var manifest any
	if err := json.Unmarshal(o.JSON, &manifest); err != nil {
		return nil, fmt.Errorf("decode %s: %w", o.ID, err)
	}
	path := []string{"spec", "template", "spec"}
	if o.ID.Kind == "CronJob" {
		path = []string{"spec", "jobTemplate", "spec", "template", "spec"}
	}
	for _, field := range path {
		object, _ := manifest.(map[string]any)
		manifest = object[field]
	}
	s := search{namespace: o.ID.Namespace, seen: map[plan.ID]bool{}}
	s.pod(manifest)
	return s.found, nil
}

// search collects references in a pod's specification.
type search struct {
	namespace string
	found     []plan.ID
	seen      map[plan.ID]bool
}

func (s *search) add(kind string, at any, field string) {
	object, _ := at.(map[string]any)
	name, _ := object[field].(string)
	id := plan.ID{Kind: kind, Namespace: s.namespace, Name: name}
	if name != "" && !s.seen[id] {
		s.seen[id] = true
		s.found = append(s.found, id)
	}
}

func (s *search) pod(spec any) {
	pod, _ := spec.(map[string]any)
	for _, list := range []string{"initContainers", "containers"} {
		for _, container := range items(pod, list) {
			for _, from := range items(container, "envFrom") {
				s.add("ConfigMap", field(from, "configMapRef"), "name")
				s.add("Secret", field(from, "secretRef"), "name")
			}
			for _, variable := range items(container, "env") {
				s.add("ConfigMap", field(variable, "valueFrom", "configMapKeyRef"), "name")
				s.add("Secret", field(variable, "valueFrom", "secretKeyRef"), "name")
			}
		}
	}
	for _, volume := range items(pod, "volumes") {
		s.add("ConfigMap", field(volume, "configMap"), "name")
		s.add("Secret", field(volume, "secret"), "secretName")
		for _, source := range items(field(volume, "projected"), "sources") {
			s.add("ConfigMap", field(source, "configMap"), "name")
			s.add("Secret", field(source, "secret"), "name")
		}
		s.add("Secret", field(volume, "csi", "nodePublishSecretRef"), "name")
	}
	for _, secret := range items(pod, "imagePullSecrets") {
		s.add("Secret", secret, "name")
	}
}

// items are the elements of a list at a field; none where there is no such list.
func items(at any, name string) []any {
	list, _ := field(at, name).([]any)
	return list
}

// field is what is at a path; nil where there is nothing.
func field(at any, path ...string) any {
	for _, name := range path {
		object, _ := at.(map[string]any)
		at = object[name]
	}
	return at
}
