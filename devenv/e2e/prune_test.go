package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// The pause image is on every node.
const prunedSet = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: main, image: "registry.k8s.io/pause:3.10", imagePullPolicy: IfNotPresent, volumeMounts: [{name: data, mountPath: /data}]}]}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}]
`

const prunedDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
`

// TestPrune takes declarations away, one sort after the other.
func TestPrune(t *testing.T) {
	parallel(t, 100*time.Second)
	const settings, widget = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: NS}\n", "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w, namespace: NS}\n"
	in := func(namespace, manifest string) string { return strings.ReplaceAll(manifest, "NS", namespace) }
	namespace := func(name string) string { return "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + "}\n" }
	p := newPlace(t, "e2e-prune", map[string]string{
		"stays.yaml": in("app", settings), "set.yaml": prunedSet, "definition.yaml": prunedDefinition,
		"extra.yaml": namespace("extra"), "settings.yaml": in("extra", settings), "widget.yaml": in("extra", widget),
		"shared.yaml": namespace("shared"),
	})
	step := func(name string, f func(t *testing.T)) {
		t.Helper()
		if !t.Run(name, f) {
			t.FailNow()
		}
	}
	nothingToDo := func(t *testing.T) run {
		t.Helper()
		r := p.devenv(t, "up").must(t, 0)
		if n := r.steps(t); n != 0 {
			t.Errorf("%d steps\n%s", n, r.summary())
		}
		return r
	}
	p.devenv(t, "up").must(t, 0)
	nothingToDo(t)

	step("content goes before its namespace, an instance before its definition; data is kept and said", func(t *testing.T) {
		p.must(t, "create", "configmap", "theirs", "-n", "shared")
		for _, file := range []string{"set.yaml", "definition.yaml", "extra.yaml", "settings.yaml", "widget.yaml", "shared.yaml"} {
			p.remove(t, file)
		}
		want := []string{
			"Widget/extra/w", "StatefulSet/app/db", "ConfigMap/extra/settings", "CustomResourceDefinition/widgets.example.com", "Namespace/extra",
		}
		planned := p.devenv(t, "plan").must(t, 0)
		if n := planned.steps(t); n != len(want) {
			t.Errorf("%d steps planned\n%s", n, planned.summary())
		}
		kept := []string{
			"Namespace/shared: no longer declared, but it holds ConfigMap/theirs",
			"PersistentVolumeClaim/app/data-db-0: no longer declared, but it holds data",
		}
		if got := planned.kept(); !slices.Equal(got, kept) {
			t.Errorf("plan says kept: %q", got)
		}
		r := p.devenv(t, "up").must(t, 0)
		if got := r.subjects("object.deleted"); !slices.Equal(got, want) {
			t.Errorf("deleted %q, want %q", got, want)
		}
		if got := r.kept(); !slices.Equal(got, kept) {
			t.Errorf("kept %q", got)
		}
		for _, gone := range []string{"namespace/extra", "crd/widgets.example.com"} {
			if out, err := p.kubectl("get", gone); err == nil || !strings.Contains(out, "NotFound") {
				t.Errorf("%s is left: %s", gone, out)
			}
		}
		p.must(t, "get", "pvc/data-db-0", "configmap/settings", "-n", "app")
	})

	step("what is kept is no step, and is said again", func(t *testing.T) {
		if got := nothingToDo(t).kept(); len(got) != 2 {
			t.Errorf("kept %q", got)
		}
	})

	step("a namespace that is empty now goes", func(t *testing.T) {
		p.must(t, "delete", "configmap", "theirs", "-n", "shared")
		r := p.devenv(t, "up").must(t, 0)
		if got := r.subjects("object.deleted"); !slices.Equal(got, []string{"Namespace/shared"}) {
			t.Errorf("deleted %q\n%s", got, r.summary())
		}
	})

	step("a claim whose set is declared again is in use, not kept, and --data leaves it", func(t *testing.T) {
		claim := func() string { return p.must(t, "get", "pvc/data-db-0", "-n", "app", "-o", "jsonpath={.metadata.uid}") }
		before := claim()
		inUse := func(r run) {
			t.Helper()
			if got := r.kept(); len(got) != 0 {
				t.Errorf("kept %q", got)
			}
			if got := claim(); got != before {
				t.Errorf("the claim was %s and is %s\n%s", before, got, r.summary())
			}
		}
		nothingGoes := func() {
			t.Helper()
			r := p.devenv(t, "up", "--data").must(t, 0)
			if n := r.steps(t); n != 0 {
				t.Errorf("%d steps\n%s", n, r.summary())
			}
			inUse(r)
		}
		p.write(t, "app/set.yaml", prunedSet)
		inUse(p.devenv(t, "up").must(t, 0))
		nothingGoes()
		p.devenv(t, "down").must(t, 0)
		inUse(p.devenv(t, "up").must(t, 0))
		nothingGoes()

		p.remove(t, "set.yaml")
		if got := p.devenv(t, "up").must(t, 0).kept(); !slices.Equal(got, []string{"PersistentVolumeClaim/app/data-db-0: no longer declared, but it holds data"}) {
			t.Errorf("kept once it is removed again: %q", got)
		}
	})

	step("a run for some services removes nothing, and does not take --data", func(t *testing.T) {
		p.devenv(t, "up", "--data", "web").must(t, 2)
	})

	step("with --data the claim goes too", func(t *testing.T) {
		r := p.devenv(t, "up", "--data").must(t, 0)
		if got := r.subjects("object.deleted"); !slices.Equal(got, []string{"PersistentVolumeClaim/app/data-db-0"}) {
			t.Errorf("deleted %q\n%s", got, r.summary())
		}
		if got := nothingToDo(t).kept(); len(got) != 0 {
			t.Errorf("kept %q", got)
		}
	})

	step("what somebody deleted and made again is not deleted", func(t *testing.T) {
		p.write(t, "app/more.yaml", in("app", strings.ReplaceAll(settings, "settings", "more")))
		p.devenv(t, "up").must(t, 0)
		p.must(t, "delete", "configmap", "more", "-n", "app")
		p.must(t, "create", "configmap", "more", "-n", "app")
		p.remove(t, "more.yaml")
		if got := nothingToDo(t).kept(); len(got) != 1 || !strings.Contains(got[0], "made another one") {
			t.Errorf("kept %q", got)
		}
		if got := nothingToDo(t).kept(); len(got) != 0 {
			t.Errorf("it is said again, though it is not devenv's any more: %q", got)
		}
		p.must(t, "get", "configmap/more", "-n", "app")
	})

	step("a source by another name, and an object that another source declares now, are no change", func(t *testing.T) {
		p.write(t, "devenv.yaml", "apiVersion: devenv/v1\nname: "+p.name+"\ndeploy:\n  - {name: renamed, namespace: app, manifests: [app]}\n")
		nothingToDo(t)
		nothingToDo(t)
	})

	step("an object that changes its namespace is made there and goes here", func(t *testing.T) {
		p.write(t, "app/stays.yaml", namespace("extra")+"---\n"+in("extra", settings))
		r := p.devenv(t, "up").must(t, 0)
		if got := r.subjects("object.deleted"); !slices.Equal(got, []string{"ConfigMap/app/settings"}) {
			t.Errorf("deleted %q\n%s", got, r.summary())
		}
	})

	step("a whole source is removed, with its namespace", func(t *testing.T) {
		p.write(t, "other/only.yaml", in("app", settings))
		p.write(t, "devenv.yaml", "apiVersion: devenv/v1\nname: "+p.name+"\ndeploy:\n  - {name: other, namespace: app, manifests: [other]}\n")
		r := p.devenv(t, "up").must(t, 0)
		if got := r.subjects("object.deleted"); !slices.Equal(got, []string{"ConfigMap/extra/settings", "Namespace/extra"}) {
			t.Errorf("deleted %q\n%s", got, r.summary())
		}
		nothingToDo(t)
	})
}
