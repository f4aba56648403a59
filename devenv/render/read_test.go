package render

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/plan"
)

// What is rendered, written as YAML, and read again is the same, also where every namespace of a source is left out.
func TestReadMatchesNamespaces(t *testing.T) {
	in := shop(t)
	in.Services, in.Present = nil, nil
	rendered, err := Render(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, s := range rendered.Sources {
		for id := range byID(s) {
			want = append(want, id)
		}
	}
	slices.Sort(want)
	text, err := YAML(rendered.Sources)
	if err != nil {
		t.Fatal(err)
	}
	without := strings.ReplaceAll(strings.ReplaceAll(string(text), "  namespace: shop\n", ""), "  namespace: front\n", "")
	for _, given := range []string{string(text), without} {
		read, err := Read("elsewhere.yaml", []byte(given), in, rendered.Sources)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for id := range byID(read[0]) {
			got = append(got, id)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if len(read[0].Hooks) == 0 {
			t.Error("no hook was recognised")
		}
	}
}

// FuzzRead reads any bytes as the output of another tool: objects or an error, and what is read once can be read again.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n---\nkind: List\napiVersion: v1\nitems: [{apiVersion: v1, kind: Secret, metadata: {name: b}}]\n",
		`{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"a","annotations":{"helm.sh/hook":"test"}}}`,
		"apiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: a}\n", "a: b", "- 1", "\ufeff# x\n", "kind: A\napiVersion: b/c/d\nmetadata: {name: 1}",
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}\n", "%YAML 1.1\n---\napiVersion: v1\nkind: Pod\nmetadata: {generateName: x}",
	} {
		f.Add([]byte(seed))
	}
	declared := []plan.Source{{Name: "s", Objects: []plan.Object{{ID: plan.ID{Kind: "ConfigMap", Namespace: "n", Name: "a"}}}}}
	in := Input{Sources: []Source{{Name: "s", Namespace: "n"}}}
	f.Fuzz(func(t *testing.T, data []byte) {
		once, err := Read("f", data, in, declared)
		if err != nil {
			return
		}
		text, err := YAML(once)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Read("f", text, in, declared)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if len(byID(once[0])) != len(byID(again[0])) {
			t.Fatalf("%s", text)
		}
	})
}
