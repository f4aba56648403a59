package render

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzPatch applies any patch to any object: what comes out is an object or an error.
func FuzzPatch(f *testing.F) {
	const deployment = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","namespace":"n"},"spec":{"replicas":2,"template":{"spec":{"containers":[{"name":"a","ports":[{"containerPort":80}],"env":[{"name":"A","value":"a"}]}]}}}}`
	const custom = `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"a"},"spec":{"list":[1,"a",null]}}`
	for _, patch := range []string{
		`{"spec":{"replicas":1}}`, `{"$patch":"delete"}`, `{"$patch":"replace"}`, `{"spec":null}`, `{"spec":{"template":{"spec":{"containers":[{"name":"a","$patch":"delete"}]}}}}`,
		`{"spec":{"template":{"spec":{"containers":[{"name":{"a":1}}]}}}}`, `{"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"a"}],"containers":[{"$patch":"replace"},{"name":"b"}]}}}}`,
		`{"spec":{"template":{"spec":{"$deleteFromPrimitiveList/finalizers":["a"],"$retainKeys":["containers"]}}}}`,
		`[{"op":"replace","path":"/spec/replicas","value":1}]`, `[{"op":"move","from":"/spec","path":"/spec/a"}]`, `[{"op":"copy","from":"","path":"/spec/a"}]`,
		`[{"op":"remove","path":"/spec/template/spec/containers/-1"}]`, `[{"op":"add","path":"/spec/template/spec/containers/-","value":{"name":"b"}}]`, `[{"op":1}]`, `[null]`, `{"spec":{"list":[2]}}`,
	} {
		f.Add(deployment, patch)
		f.Add(custom, patch)
	}
	f.Fuzz(func(t *testing.T, before, patch string) {
		value, err := object([]byte(before))
		if err != nil || value == nil {
			return
		}
		if _, err := identify(value); err != nil {
			return
		}
		var change any
		if json.Unmarshal([]byte(patch), &change) != nil {
			return
		}
		canonical, err := canonicalJSON(value)
		if err != nil {
			t.Fatal(err)
		}
		r := &rendering{in: Input{Sources: []Source{{Name: "a"}}, Divergences: []Divergence{{Patch: change}}}, scopes: scopes{}}
		if err := r.draft(0, doc{origin: "a", value: value}); err != nil {
			return
		}
		if err := r.diverge(func() error { return nil }); err != nil {
			unchanged, _ := canonicalJSON(r.drafts[0].object)
			if diff := cmp.Diff(string(canonical), string(unchanged)); diff != "" {
				t.Errorf("a patch that fails changed the object: %s", diff)
			}
			return
		}
		if _, err := r.seal(); err != nil {
			t.Fatal(err)
		}
	})
}

// Stages hold the same objects at different moments; the last one is what Render gives.
func TestInStages(t *testing.T) {
	in := shop(t)
	in.Divergences = []Divergence{
		{Target: Target{Kind: "Deployment"}, Patch: map[string]any{"metadata": map[string]any{"labels": map[string]any{"a": "1"}}}, Reason: "one"},
		{Target: Target{Kind: "Namespace", Name: "front"}, Patch: map[string]any{"$patch": "delete"}, Reason: "two"},
	}
	got, err := InStages(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Render(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Result); diff != "" {
		t.Error(diff)
	}
	plain := shop(t)
	plain.Services, plain.Present = nil, nil
	production, err := Render(t.Context(), plain)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(production.Sources, got.Declared); diff != "" {
		t.Errorf("what is declared is not what production renders: %s", diff)
	}
	if len(got.Diverged) != 2 {
		t.Fatalf("%d stages", len(got.Diverged))
	}
	for i, sources := range append(got.Diverged, got.Result.Sources) {
		labelled, namespace := 0, false
		for _, s := range sources {
			for _, o := range s.Objects {
				var head struct {
					Metadata struct{ Labels map[string]string }
				}
				if err := json.Unmarshal(o.JSON, &head); err != nil {
					t.Fatal(err)
				}
				if o.ID.Kind == "Deployment" && head.Metadata.Labels["a"] == "1" {
					labelled++
				}
				namespace = namespace || o.ID.Kind == "Namespace" && o.ID.Name == "front"
			}
		}
		if labelled == 0 || namespace != (i == 0) {
			t.Errorf("stage %d: %d labelled, namespace there: %v", i, labelled, namespace)
		}
	}
}
