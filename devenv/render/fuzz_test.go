package render

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/devenv-run/devenv/devenv/fault"
)

// Whatever stands in the files: Render does not panic, it refuses what it cannot render with faults of the configuration that say
// where, and what it does render is the same the second time.

func FuzzManifest(f *testing.F) {
	seed(f, func(name string) bool { return strings.HasPrefix(filepath.Base(filepath.Dir(name)), "m") })
	f.Add([]byte("apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}, 1]\n---\n{}\n"))
	f.Add([]byte(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"image": "a"}]}} {}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		holds(t, Source{Name: "app", Namespace: "app", Manifests: []string{"m.yaml"}}, map[string]string{"m.yaml": string(data)})
	})
}

func FuzzKustomization(f *testing.F) {
	seed(f, func(name string) bool { return strings.HasPrefix(filepath.Base(name), "kustomization") })
	f.Fuzz(func(t *testing.T, data []byte) {
		holds(t, Source{Name: "app", Namespace: "app", Kustomize: "."}, map[string]string{
			"kustomization.yaml":      string(data),
			"map.yaml":                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\ndata: {a: b}\n",
			"web.yaml":                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: web, image: web}]}}}\n",
			"a.txt":                   "text\n",
			"base/kustomization.yaml": "resources: [../map.yaml]\n",
		})
	})
}

func FuzzValues(f *testing.F) {
	seed(f, func(name string) bool { return strings.Contains(filepath.Base(name), "values") })
	f.Fuzz(func(t *testing.T, data []byte) {
		holds(t, Source{Name: "app", Namespace: "app", Helm: &Helm{Chart: "chart", Values: []string{"values.yaml"}}}, map[string]string{
			"values.yaml":                  string(data),
			"chart/Chart.yaml":             "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies: [{name: sub, version: 1.0.0, condition: sub.enabled, tags: [t], import-values: [data, {child: a, parent: b}]}]\n",
			"chart/values.yaml":            "a: {b: [1, {c: d}]}\nsub: {a: {x: 1}}\n",
			"chart/values.schema.json":     `{"type": "object", "properties": {"port": {"type": "integer", "minimum": 1}}}`,
			"chart/templates/a.yaml":       "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {all: {{ .Values | toJson | quote }}}\n",
			"chart/charts/sub/Chart.yaml":  "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
			"chart/charts/sub/values.yaml": "exports: {data: {x: y}}\n",
		})
	})
}

// endless are functions by which a few characters ask for more memory or time than there is. That they do is no finding.
var endless = regexp.MustCompile(`repeat|until|seq|indent|gen|derive|htpasswd|bcrypt|rand|uuid|shuffle|now|date|ago|pad|wrap|printf|pow|mul|unixEpoch`)

func FuzzTemplate(f *testing.F) {
	seed(f, func(name string) bool { return strings.Contains(name, "templates/") })
	f.Fuzz(func(t *testing.T, data []byte) {
		if endless.Match(data) || strings.Count(string(data), "range") > 2 || strings.Contains(string(data), "tpl") {
			t.Skip()
		}
		holds(t, Source{Name: "app", Namespace: "app", Helm: &Helm{Chart: "chart"}}, map[string]string{
			"chart/Chart.yaml":           "apiVersion: v2\nname: c\nversion: 1.0.0\n",
			"chart/values.yaml":          "a: {b: [1, {c: d}]}\nname: web\nport: 80\n",
			"chart/templates/_names.tpl": `{{ define "name" }}{{ .Values.name }}{{ end }}`,
			"chart/templates/a.yaml":     string(data),
		})
	})
}

// FuzzChart feeds the files that describe a chart.
func FuzzChart(f *testing.F) {
	f.Add([]byte("apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies: [{name: sub, version: 1.x, alias: other, condition: other.on}]\n"), []byte("digest: x\ndependencies: [{name: sub, version: 1.0.0}]\n"))
	f.Add([]byte("apiVersion: v1\nname: c\nversion: 1.0.0\nkubeVersion: '>=1.20'\ntype: library\n"), []byte("dependencies: [~]\n"))
	f.Add([]byte("apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies: [~, {name: sub}]\n"), []byte{})
	f.Fuzz(func(t *testing.T, chart, lock []byte) {
		files := map[string]string{
			"chart/Chart.yaml":                 string(chart),
			"chart/charts/sub/Chart.yaml":      "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
			"chart/charts/sub/templates/a.yml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Chart.Name }}}\n",
		}
		if len(lock) > 0 {
			files["chart/Chart.lock"] = string(lock)
		}
		holds(t, Source{Name: "app", Namespace: "app", Helm: &Helm{Chart: "chart"}}, files)
	})
}

// seed adds the files of all cases that match, in a corpus of inputs that once meant something.
func seed(f *testing.F, match func(name string) bool) {
	f.Helper()
	for _, folder := range []string{"cases", "bad"} {
		files, err := filepath.Glob(filepath.Join("testdata", folder, "*.txtar"))
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				f.Fatal(err)
			}
			for _, a := range archive.Files {
				if match(a.Name) && a.Name != "want" {
					f.Add(a.Data)
				}
			}
		}
	}
}

// holds renders a project of one source and checks what is to hold for any.
func holds(t *testing.T, s Source, files map[string]string) {
	t.Helper()
	s.Pos = "devenv.yaml:3:5"
	in := Input{Dir: t.TempDir(), Sources: []Source{s}, Capabilities: Capabilities{Lookup: EmptyCluster}}
	for name, data := range files {
		write(t, filepath.Join(in.Dir, name), []byte(data))
	}
	first, err := Render(t.Context(), in)
	for _, err := range fault.All(err) {
		f, ok := err.(*fault.Error)
		if !ok || f.Kind != fault.Config || f.Where == "" {
			t.Errorf("not a fault of the configuration with a place: %v", err)
		}
		if strings.Contains(err.Error(), in.Dir) {
			t.Errorf("the project's absolute path is part of the message: %v", err)
		}
	}
	if err != nil {
		return
	}
	second, err := Render(t.Context(), in)
	if err != nil {
		t.Fatalf("it renders only once: %v", err)
	}
	for i, a := range first.Sources {
		if len(a.Objects) != len(second.Sources[i].Objects) {
			t.Fatal("the second time there are other objects")
		}
		for n, o := range a.Objects {
			if again := second.Sources[i].Objects[n]; o.ID != again.ID || o.Hash != again.Hash {
				t.Errorf("%s is different the second time", o.ID)
			}
		}
	}
	if _, err := YAML(first.Sources); err != nil {
		t.Error(err)
	}
}
