package render

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/devenv-run/devenv/devenv/plan"
)

// project writes files (a txtar) and gives an Input with one source.
func project(t testing.TB, s Source, files string) Input {
	t.Helper()
	in, _ := unpack(t, txtar.Parse([]byte(files)))
	if s.Name == "" {
		s.Name, s.Namespace = "app", "app"
	}
	in.Sources = []Source{s}
	return in
}

// A chart that draws a password says so, as every deployment would change it. One that only could does not.
func TestHelmNotesUnstableTemplates(t *testing.T) {
	in := project(t, Source{Helm: &Helm{Chart: "chart"}}, `
-- chart/Chart.yaml --
apiVersion: v2
name: dice
version: 1.0.0
-- chart/templates/NOTES.txt --
{{ randAlphaNum 5 }}
-- chart/templates/secret.yaml --
apiVersion: v1
kind: Secret
metadata: {name: dice}
stringData: {password: "{{ randAlphaNum 20 }}"}
-- chart/templates/never.yaml --
{{- if .Values.roll }}
apiVersion: v1
kind: Secret
metadata: {name: "{{ uuidv4 }}"}
{{- end }}
`)
	got, err := Render(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Notes) != 1 || !strings.HasPrefix(got.Notes[0], "chart/templates/secret.yaml renders differently each time") {
		t.Errorf("notes are %q", got.Notes)
	}
}

// Whole numbers are set as with "helm --set", not as the floating point that files give.
func TestHelmSetKeepsTypes(t *testing.T) {
	in := project(t, Source{Helm: &Helm{Chart: "chart", Set: map[string]any{
		"whole": 100_000_000, "big": uint64(1 << 60), "negative": int64(-7), "part": 0.5,
		"text": "a,b=c {d}", "digits": "0012", "flag": true, "nothing": nil,
		"deep": map[string]any{"a": 1}, "deep.b": []any{"x", 2}, "list[1].k": "v",
	}}}, `
-- chart/Chart.yaml --
apiVersion: v2
name: c
version: 1.0.0
-- chart/values.yaml --
nothing: something
list: [{k: first}]
-- chart/templates/a.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data: {all: "{{ range list "whole" "big" "negative" "part" "text" "digits" "flag" "deep" "list" }}{{ . }}={{ index $.Values . }};{{ end }}{{ hasKey .Values "nothing" }}"}
`)
	got, err := Render(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	const want = `whole=100000000;big=1152921504606846976;negative=-7;part=0.5;text=a,b=c {d};digits=0012;flag=true;deep=map[a:1 b:[x 2]];list=[<nil> map[k:v]];false`
	if o := find(t, got, plan.ID{Kind: "ConfigMap", Namespace: "app", Name: "a"}); !strings.Contains(string(o.JSON), `"`+want+`"`) {
		t.Errorf("got  %s\nwant %s", o.JSON, want)
	}
}

func TestHelmArchive(t *testing.T) {
	in := project(t, Source{Helm: &Helm{Chart: "charts/c-1.0.0.tgz"}}, `
-- charts/c-1.0.0.tgz/c/Chart.yaml --
apiVersion: v2
name: c
version: 1.0.0
-- charts/c-1.0.0.tgz/c/templates/a.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
`)
	got, err := Render(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if o := find(t, got, plan.ID{Kind: "ConfigMap", Namespace: "app", Name: "a"}); o.Origin != "charts/c-1.0.0.tgz/templates/a.yaml" {
		t.Errorf("origin is %q", o.Origin)
	}
}

// pack makes a gzipped tar of files.
func pack(t testing.TB, files []txtar.File) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range files {
		if err := w.WriteHeader(&tar.Header{Name: e.Name, Mode: 0o644, Size: int64(len(e.Data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Without given API versions charts see Helm's own list; with them, only those.
func TestHelmCapabilities(t *testing.T) {
	in := project(t, Source{Helm: &Helm{Chart: "chart"}}, `
-- chart/Chart.yaml --
apiVersion: v2
name: c
version: 1.0.0
-- chart/templates/a.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data: {apps: "{{ .Capabilities.APIVersions.Has "apps/v1" }}", mine: "{{ .Capabilities.APIVersions.Has "example.com/v1/Mine" }}"}
`)
	for _, tt := range []struct {
		given []string
		want  string
	}{
		{nil, `{"apps":"true","mine":"false"}`},
		{[]string{"v1", "example.com/v1/Mine"}, `{"apps":"false","mine":"true"}`},
	} {
		in.Capabilities.APIVersions = tt.given
		got, err := Render(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if o := find(t, got, plan.ID{Kind: "ConfigMap", Namespace: "app", Name: "a"}); !strings.Contains(string(o.JSON), tt.want) {
			t.Errorf("given %q: got %s, want %s", tt.given, o.JSON, tt.want)
		}
	}
}
