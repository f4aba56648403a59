package render

import (
	"testing"

	"github.com/devenv-run/devenv/devenv/plan"
)

// Only what declares a number of replicas, and is the target of something that scales it in its namespace, is autoscaled.
func TestAutoscaled(t *testing.T) {
	const scaler = "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: h}, spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}"
	const deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 2}}"
	for _, tt := range []struct {
		name, workload, scaler string
		want                   bool
	}{
		{"a target", deployment, scaler, true},
		{"nothing that scales", deployment, "", false},
		{"no number declared", "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {paused: false}}", scaler, false},
		{"none wanted", "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 0}}", scaler, false},
		{"another kind", "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: web}, spec: {replicas: 2}}", scaler, false},
		{"another group", "{apiVersion: example.com/v1, kind: Deployment, metadata: {name: web, namespace: app}, spec: {replicas: 2}}", scaler, false},
		{"another namespace", "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: other}, spec: {replicas: 2}}", scaler, false},
		{"a scaler that leaves out the kind", deployment, "{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: s, namespace: app}, spec: {scaleTargetRef: {name: web}}}", true},
		{"a scaler that only advises", deployment, "{apiVersion: autoscaling.k8s.io/v1, kind: VerticalPodAutoscaler, metadata: {name: v, namespace: app}, spec: {targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := Input{Dir: t.TempDir(), Sources: []Source{{Name: "workloads", Namespace: "app", Raw: []byte(tt.workload)}}}
			alone, err := Render(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if tt.scaler != "" { // in a source of its own
				in.Sources = append(in.Sources, Source{Name: "scaling", Namespace: "app", Raw: []byte(tt.scaler)})
			}
			got, err := Render(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			before, after := workloadIn(t, alone), workloadIn(t, got)
			if after.Autoscaled != tt.want {
				t.Errorf("autoscaled: %v, want %v", after.Autoscaled, tt.want)
			}
			if (before.Hash != after.Hash) != tt.want || string(before.JSON) != string(after.JSON) {
				t.Error("the hash is to tell whether it is autoscaled, and nothing else")
			}
		})
	}
}

// workloadIn is the one workload of the first source.
func workloadIn(t *testing.T, r *Result) plan.Object {
	t.Helper()
	for _, o := range r.Sources[0].Objects {
		if o.ID.Kind != "Namespace" {
			return o
		}
	}
	t.Fatal("there is no workload")
	return plan.Object{}
}
