package parity

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/devenv-run/devenv/devenv/plan"
)

// value draws a JSON value, mostly with the fields of a pod, so that the types of Kubernetes are met.
func value(depth int) *rapid.Generator[any] {
	scalars := rapid.SampledFrom([]any{nil, "", "a", "1", "1000m", "1Gi", true, false, json.Number("0"), json.Number("1"), json.Number("1.0"), json.Number("8080")})
	if depth == 0 {
		return scalars
	}
	names := rapid.SampledFrom([]string{"spec", "template", "containers", "initContainers", "env", "ports", "name", "value", "containerPort", "protocol", "resources", "requests", "cpu", "args", "metadata", "labels", "x"})
	maps := rapid.Custom(func(t *rapid.T) any {
		m := map[string]any{}
		for _, n := range rapid.SliceOfN(names, 0, 4).Draw(t, "names") {
			m[n] = value(depth-1).Draw(t, n)
		}
		return m
	})
	lists := rapid.Custom(func(t *rapid.T) any { return rapid.SliceOfN(value(depth-1), 0, 3).Draw(t, "items") })
	return rapid.OneOf(scalars, maps, maps, lists)
}

func object(t *rapid.T, label string) Object {
	of := rapid.SampledFrom([][2]string{{"v1", "Pod"}, {"apps/v1", "Deployment"}, {"example.com/v1", "Widget"}}).Draw(t, label+" kind")
	o := Object{ID: plan.ID{Kind: of[1], Name: fmt.Sprint("o", rapid.IntRange(0, 2).Draw(t, label+" name"))}}
	o.Value = map[string]any{"apiVersion": of[0], "kind": of[1], "spec": value(5).Draw(t, label+" spec")}
	return o
}

func objects(t *rapid.T, label string) []Object {
	var all []Object
	for i := range rapid.IntRange(0, 3).Draw(t, label) {
		o := object(t, fmt.Sprint(label, i))
		if !slices.ContainsFunc(all, func(other Object) bool { return other.ID == o.ID }) {
			all = append(all, o)
		}
	}
	return all
}

// What is compared with itself does not differ, in whatever order its objects are.
func TestEqualInputsDoNotDiffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := objects(t, "objects")
		turned := slices.Clone(all)
		slices.Reverse(turned)
		for _, other := range [][]Object{all, turned} {
			if c := Compare([]Stage{{Objects: all}, {Objects: other}}, Options{}).Counts(); c.Same != len(all) || c.Undeclared > 0 {
				t.Fatalf("%+v", c)
			}
		}
	})
}

// Every difference has exactly one class, that of a stage; and the differences do not depend on which stages lie between the first and
// the last, nor on the order of the objects.
func TestEveryDifferenceHasACause(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stages := []Stage{{Objects: objects(t, "first")}}
		for i := range rapid.IntRange(1, 4).Draw(t, "stages") {
			stages = append(stages, Stage{
				Objects: objects(t, fmt.Sprint("stage", i)),
				Cause:   Cause{Class: rapid.SampledFrom([]Class{Automatic, Declared, Undeclared}).Draw(t, "class"), Text: fmt.Sprint(i)},
				Holds:   rapid.Bool().Draw(t, "holds"), Rendered: rapid.Bool().Draw(t, "rendered"),
			})
		}
		whole := Compare(stages, Options{Again: objects(t, "again")})
		ends := Compare([]Stage{stages[0], stages[len(stages)-1]}, Options{})
		if len(whole.Objects) != len(ends.Objects) {
			t.Fatalf("%d objects, %d without the stages between", len(whole.Objects), len(ends.Objects))
		}
		for i, o := range whole.Objects {
			if o.State != ends.Objects[i].State || len(o.Changes) != len(ends.Objects[i].Changes) || (o.State == Same) != (len(o.Changes) == 0) {
				t.Fatalf("%+v\n%+v", o, ends.Objects[i])
			}
			seen := map[string]bool{}
			for j, c := range o.Changes {
				if c.Path != ends.Objects[i].Changes[j].Path || seen[c.Path] {
					t.Fatalf("%s\n%s", whole, ends)
				}
				seen[c.Path] = true
				if c.Cause != unstable && !slices.ContainsFunc(stages[1:], func(s Stage) bool { return s.Cause == c.Cause }) {
					t.Fatalf("%s has a cause that no stage is: %+v", c.Path, c.Cause)
				}
			}
		}
	})
}

// A live object with more fields than are declared does not differ; without one of them it does.
func TestLiveIgnoresWhatServersAdd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		declared := Object{ID: plan.ID{Kind: "Pod", Name: "a"}, Value: map[string]any{"apiVersion": "v1", "kind": "Pod", "spec": map[string]any{
			"containers": []any{map[string]any{"name": "a", "image": "x", "args": []any{"b"}}},
		}}}
		added := map[string]any{"apiVersion": "v1", "kind": "Pod", "status": value(2).Draw(t, "status"), "spec": map[string]any{
			"nodeName":   value(1).Draw(t, "field"),
			"containers": []any{map[string]any{"name": "injected"}, map[string]any{"name": "a", "image": "x", "args": []any{"b"}, "imagePullPolicy": "Always"}},
		}}
		live := Live([]Object{{ID: declared.ID, Value: added}}, []Object{declared}, nil)
		if r := Compare([]Stage{{Objects: live}, {Objects: []Object{declared}}}, Options{}); r.Counts().Same != 1 {
			t.Fatal(r)
		}
	})
}

// FuzzCompare compares any two objects: it does not panic, and says nothing of equal ones.
func FuzzCompare(f *testing.F) {
	f.Add(`{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"a","resources":{"requests":{"cpu":"1e99999"}}}]}}`, `{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"a","resources":{"requests":{"cpu":1}}}]}}`)
	f.Add(`{"apiVersion":"apps/v1","kind":"Deployment","spec":{"replicas":1,"template":{"spec":{"volumes":[{"name":"a","emptyDir":{}}]}}}}`, `{"apiVersion":"apps/v1","kind":"Deployment"}`)
	f.Fuzz(func(t *testing.T, a, b string) {
		read := func(text string) (o Object, ok bool) {
			d := json.NewDecoder(strings.NewReader(text))
			d.UseNumber()
			return o, d.Decode(&o.Value) == nil && o.Value != nil
		}
		x, ok1 := read(a)
		y, ok2 := read(b)
		if !ok1 || !ok2 {
			return
		}
		Compare([]Stage{{Objects: []Object{x}}, {Objects: []Object{y}}}, Options{Again: []Object{x}})
		if c := Compare([]Stage{{Objects: []Object{x}}, {Objects: []Object{x}}}, Options{}).Counts(); c.Same != 1 {
			t.Fatalf("%s differs from itself", a)
		}
		Live([]Object{x}, []Object{y}, []Object{x})
	})
}
