package kube

import (
	"testing"

	"pgregory.net/rapid"
)

const driftLive = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: grades
  resourceVersion: "17"
  generation: 4
  labels: {app: grades}
  managedFields:
  - {manager: devenv, operation: Apply, time: "2026-01-01T10:00:00Z", fieldsV1: {"f:metadata": {"f:labels": {"f:app": {}}}}}
  - {manager: kubectl-edit, operation: Update, time: "2026-01-01T12:00:00Z", fieldsV1: {"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers":
      {'k:{"name":"main"}': {"f:image": {}, "f:args": {}, "f:ports": {'k:{"containerPort":8080,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}}}}}}}}}
  - {manager: kube-controller-manager, operation: Update, subresource: status, time: "2026-01-01T13:00:00Z", fieldsV1: {"f:status": {}}}
spec:
  replicas: 3
  template:
    spec:
      containers:
      - {name: main, image: "grades:9", args: [-v], ports: [{containerPort: 8080, protocol: TCP, name: http}]}
status: {readyReplicas: 3}
`

func TestDrift(t *testing.T) {
	for _, test := range []struct{ name, declared, want string }{
		{"equal but for what servers write", `
metadata: {name: grades, resourceVersion: "18", generation: 5, labels: {app: grades}}
spec: {replicas: 3, template: {spec: {containers: [{name: main, image: "grades:9", args: [-v], ports: [{containerPort: 8080, protocol: TCP, name: http}]}]}}}`, ""},
		{"a number", `
metadata: {name: grades, labels: {app: grades}}
spec: {replicas: 2, template: {spec: {containers: [{name: main, image: "grades:9", args: [-v], ports: [{containerPort: 8080, protocol: TCP, name: http}]}]}}}`,
			"spec.replicas changed by kubectl-edit"},
		{"several", `
metadata: {name: grades, labels: {app: grades}}
spec: {replicas: 2, template: {spec: {containers: [{name: main, image: "grades:8", args: [-q], ports: [{containerPort: 8080, protocol: TCP, name: http}]}]}}}`,
			"spec.replicas changed by kubectl-edit, and 2 more fields"},
		{"an item of a list that is held as a whole", `
metadata: {name: grades, labels: {app: grades}}
spec: {replicas: 3, template: {spec: {containers: [{name: main, image: "grades:9", args: [-q], ports: [{containerPort: 8080, protocol: TCP, name: http}]}]}}}`,
			"spec.template.spec.containers[main].args[0] changed by kubectl-edit"},
		{"a list of another length", `
metadata: {name: grades, labels: {app: grades}}
spec: {replicas: 3, template: {spec: {containers: [{name: main, image: "grades:9", args: [-q, -x], ports: [{containerPort: 8080, protocol: TCP, name: http}]}]}}}`,
			"spec.template.spec.containers[main].args changed by kubectl-edit"},
		{"a container that went", `
metadata: {name: grades, labels: {app: grades}}
spec: {replicas: 3, template: {spec: {containers: [{name: main, image: "grades:9", args: [-v], ports: [{containerPort: 8080, protocol: TCP, name: http}]}, {name: log}]}}}`,
			"spec.template.spec.containers[log] removed"},
		{"a label that went", `
metadata: {name: grades, labels: {app: grades, tier: api}}
spec: {replicas: 3, template: {spec: {containers: [{name: main, image: "grades:9", args: [-v], ports: [{containerPort: 8080, protocol: TCP, name: http}]}]}}}`,
			"metadata.labels.tier removed"},
		{"all annotations", `
metadata: {name: grades, labels: {app: grades}, annotations: {team: academy}}
spec: {replicas: 3, template: {spec: {containers: [{name: main, image: "grades:9", args: [-v], ports: [{containerPort: 8080, protocol: TCP, name: http}]}]}}}`,
			"metadata.annotations.team removed"},
		{"a port", `
metadata: {name: grades, labels: {app: grades}}
spec: {replicas: 3, template: {spec: {containers: [{name: main, image: "grades:9", args: [-v], ports: [{containerPort: 9090, protocol: TCP, name: http}]}]}}}`,
			"spec.template.spec.containers[main].ports[http].containerPort changed by kubectl-edit"},
	} {
		t.Run(test.name, func(t *testing.T) {
			declared := parse(t, "apiVersion: apps/v1\nkind: Deployment"+test.declared)
			if got := sayDrift(drift(parse(t, driftLive), declared, "devenv")); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// drawValue draws what may stand in an object.
func drawValue(t *rapid.T, depth int) any {
	kinds := 3
	if depth > 0 {
		kinds = 6
	}
	switch rapid.IntRange(0, kinds).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Int64Range(0, 9).Draw(t, "number")
	case 2, 3:
		return rapid.StringMatching(`[a-c]{0,2}`).Draw(t, "text")
	case 4:
		var list []any
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			list = append(list, drawValue(t, depth-1))
		}
		return list
	}
	m := map[string]any{}
	for range rapid.IntRange(0, 3).Draw(t, "fields") {
		m[rapid.SampledFrom([]string{"name", "a", "b"}).Draw(t, "field")] = drawValue(t, depth-1)
	}
	return m
}

// Whatever the objects are: an object does not differ from itself, and if it differs from another, that differs from it.
func TestDriftIsADifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		make := func() map[string]any { return map[string]any{"spec": drawValue(t, 4)} }
		a, b := make(), make()
		compare := func(x, y map[string]any) int {
			w := &comparison{}
			w.object(nil, nil, x, y)
			return len(w.found)
		}
		if n := compare(a, a); n != 0 {
			t.Fatalf("%d differences from itself", n)
		}
		if there, back := compare(a, b), compare(b, a); there != back {
			t.Fatalf("%d differences one way, %d the other", there, back)
		}
	})
}
