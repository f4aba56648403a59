package devenvtest

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/devenv-run/devenv/devenv/plan"
)

// testAutoscaled changes a workload again and again: after it was made only others change its replicas, whoever owns them.
func testAutoscaled(t *testing.T, s DeployerSubject) {
	ctx := t.Context()
	workload := func(replicas int, turn string) plan.Object {
		o := s.deployment("scaled", s.Image, forever)
		var manifest map[string]any
		if err := json.Unmarshal(o.JSON, &manifest); err != nil {
			t.Fatal(err)
		}
		spec := maps.Clone(manifest["spec"].(map[string]any))
		spec["replicas"] = replicas
		manifest["spec"] = spec
		manifest["metadata"].(map[string]any)["labels"] = map[string]any{"turn": turn}
		o = Object(manifest, o.ID, true, s.Image)
		o.Autoscaled = true
		return o
	}
	apply := func(o plan.Object, want int) {
		t.Helper()
		if _, err := s.Refresh().Apply(ctx, "source", o); err != nil {
			t.Fatal(err)
		}
		s.requireReplicas(t, o.ID, want)
	}
	apply(workload(2, "made"), 2)
	apply(workload(2, "changed"), 2) // nobody else owns the number yet, and it must not fall to its default
	apply(workload(3, "changed"), 2)
	if err := s.Make(ctx, workload(4, "scaled")); err != nil {
		t.Fatal(err)
	}
	apply(workload(2, "again"), 4)

	declared := workload(1, "alone")
	declared.Autoscaled = false
	apply(declared, 1)
}

// requireReplicas fails the test unless the object has so many replicas.
func (s DeployerSubject) requireReplicas(t *testing.T, id plan.ID, want int) {
	t.Helper()
	body, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var o struct{ Spec struct{ Replicas int } }
	if err := json.Unmarshal(body, &o); err != nil {
		t.Fatal(err)
	}
	if o.Spec.Replicas != want {
		t.Errorf("%s has %d replicas, want %d", id, o.Spec.Replicas, want)
	}
}
