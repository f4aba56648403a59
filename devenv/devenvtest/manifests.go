package devenvtest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/devenv-run/devenv/devenv/plan"
)

// forever is the script of a container that runs until it is stopped, and then stops at once.
const forever = "trap 'exit 0' TERM; while :; do sleep 1; done"

// Object makes a plan.Object of a decoded manifest.
func Object(manifest map[string]any, id plan.ID, waits bool, images ...string) plan.Object {
	body, err := json.Marshal(manifest)
	if err != nil {
		panic(err) // a manifest written in a test
	}
	sum := sha256.Sum256(body)
	return plan.Object{ID: id, JSON: body, Hash: hex.EncodeToString(sum[:]), Images: images, Origin: "test.yaml", Waits: waits}
}

// settings is a ConfigMap with one key.
func (s DeployerSubject) settings(name, key, value string) plan.Object {
	return Object(map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": name, "namespace": s.Namespace},
		"data":     map[string]any{key: value},
	}, plan.ID{Kind: "ConfigMap", Namespace: s.Namespace, Name: name}, false)
}

// claim is a persistent volume claim that nobody uses.
func (s DeployerSubject) claim(name string) plan.Object {
	return Object(map[string]any{
		"apiVersion": "v1", "kind": "PersistentVolumeClaim",
		"metadata": map[string]any{"name": name, "namespace": s.Namespace},
		"spec": map[string]any{
			"accessModes": []any{"ReadWriteOnce"},
			"resources":   map[string]any{"requests": map[string]any{"storage": "1Mi"}},
		},
	}, plan.ID{Kind: "PersistentVolumeClaim", Namespace: s.Namespace, Name: name}, true)
}

// deployment runs one pod whose container runs a script.
func (s DeployerSubject) deployment(name, image, script string) plan.Object {
	labels := map[string]any{"app": name}
	return Object(map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": name, "namespace": s.Namespace},
		"spec": map[string]any{
			"replicas": 1,
			"selector": map[string]any{"matchLabels": labels},
			"template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": podSpec(image, script, "Always")},
		},
	}, plan.ID{Group: "apps", Kind: "Deployment", Namespace: s.Namespace, Name: name}, true, image)
}

// job runs a script once.
func (s DeployerSubject) job(name, script string) plan.Object {
	return Object(map[string]any{
		"apiVersion": "batch/v1", "kind": "Job",
		"metadata": map[string]any{"name": name, "namespace": s.Namespace},
		"spec": map[string]any{
			"backoffLimit": 0,
			"template":     map[string]any{"spec": podSpec(s.Image, script, "Never")},
		},
	}, plan.ID{Group: "batch", Kind: "Job", Namespace: s.Namespace, Name: name}, true, s.Image)
}

func podSpec(image, script, restart string) map[string]any {
	return map[string]any{
		"restartPolicy":                 restart,
		"terminationGracePeriodSeconds": 5,
		"containers": []any{map[string]any{
			"name": "main", "image": image, "imagePullPolicy": "IfNotPresent", "command": []any{"/bin/sh", "-c", script},
		}},
	}
}
