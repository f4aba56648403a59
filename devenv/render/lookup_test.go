package render

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// holding is a cluster that holds the objects of some manifests.
func holding(t testing.TB, manifests string) Lookup {
	t.Helper()
	type object = map[string]any
	var all []object
	for _, text := range split([]byte(manifests), yamlMarker) {
		value, _, err := decode(text.data)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, value)
	}
	return func(_ context.Context, apiVersion, kind, namespace, name string) (map[string]any, error) {
		items := []any{}
		for _, o := range all {
			id, err := identify(o)
			if err != nil {
				return nil, err
			}
			if o["apiVersion"] != apiVersion || id.Kind != kind || namespace != "" && id.Namespace != namespace {
				continue
			}
			if name == "" {
				items = append(items, o)
			} else if id.Name == name {
				return o, nil
			}
		}
		if name != "" {
			return nil, nil
		}
		return object{"apiVersion": apiVersion, "kind": kind + "List", "items": items}, nil
	}
}

// drawing is a chart that keeps the password that it drew once.
const drawing = `
-- chart/Chart.yaml --
apiVersion: v2
name: c
version: 1.0.0
-- chart/templates/secret.yaml --
{{- $old := lookup "v1" "Secret" .Release.Namespace "db" }}
apiVersion: v1
kind: Secret
metadata: {name: db}
data: {password: {{ if $old }}{{ $old.data.password }}{{ else }}{{ randAlphaNum 12 | b64enc }}{{ end }}}
`

// What the first deployment draws the second one finds; neither calls the chart unstable.
func TestLookupKeepsWhatWasDrawn(t *testing.T) {
	in := project(t, Source{Helm: &Helm{Chart: "chart"}}, drawing)
	in.Capabilities.Lookup = holding(t, "")
	first, err := Render(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	secret := find(t, first, plan.ID{Kind: "Secret", Namespace: "app", Name: "db"})

	in.Capabilities.Lookup = holding(t, string(secret.JSON))
	in.Sources[0].Upgrade = true
	second, err := Render(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if again := find(t, second, secret.ID); again.Hash != secret.Hash {
		t.Errorf("it was %s and is %s", secret.JSON, again.JSON)
	}
	if notes := append(first.Notes, second.Notes...); len(notes) > 0 {
		t.Errorf("notes: %q", notes)
	}
}

// One that was deployed before and still finds nothing draws again at every deployment.
func TestLookupThatNeverFinds(t *testing.T) {
	in := project(t, Source{Helm: &Helm{Chart: "chart"}, Upgrade: true, Name: "app", Namespace: "app"}, drawing)
	got, err := Render(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Notes) != 1 || !strings.Contains(got.Notes[0], "renders differently each time") {
		t.Errorf("notes: %q", got.Notes)
	}
}

// A chart may change what it found, and finds the same again; the cluster is asked once.
func TestLookupAsksOnce(t *testing.T) {
	in := project(t, Source{Helm: &Helm{Chart: "chart"}}, `
-- chart/Chart.yaml --
apiVersion: v2
name: c
version: 1.0.0
-- chart/templates/a.yaml --
{{- $o := lookup "v1" "ConfigMap" "app" "a" }}
{{- $_ := set $o.data "k" "changed" }}
apiVersion: v1
kind: ConfigMap
metadata: {name: b}
data: {k: {{ (lookup "v1" "ConfigMap" "app" "a").data.k }}, drawn: {{ randAlphaNum 3 | len | quote }}}
`)
	asked := 0
	read := holding(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: app}, data: {k: v}}")
	in.Capabilities.Lookup = func(ctx context.Context, apiVersion, kind, namespace, name string) (map[string]any, error) {
		asked++
		return read(ctx, apiVersion, kind, namespace, name)
	}
	got, err := Render(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if o := find(t, got, plan.ID{Kind: "ConfigMap", Namespace: "app", Name: "b"}); !strings.Contains(string(o.JSON), `"k":"v"`) || asked != 1 {
		t.Errorf("asked %d times, got %s", asked, o.JSON)
	}
}

// A kind that an earlier source defines has no objects yet, and the cluster need not serve it.
func TestLookupOfWhatIsAboutToBeDefined(t *testing.T) {
	in := project(t, Source{Helm: &Helm{Chart: "chart"}}, `
-- chart/Chart.yaml --
apiVersion: v2
name: c
version: 1.0.0
-- chart/templates/a.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data: {fleets: "{{ (lookup "example.com/v1" "Fleet" "" "").items | len }}"}
`)
	in.Sources = append([]Source{{Name: "definitions", Raw: []byte(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: fleets.example.com}
spec: {group: example.com, scope: Namespaced, names: {kind: Fleet}, versions: [{name: v1, served: true}]}
`)}}, in.Sources...)
	in.Capabilities.APIVersions = []string{"v1"}
	in.Capabilities.Lookup = func(context.Context, string, string, string, string) (map[string]any, error) {
		return nil, errors.New("the cluster was asked")
	}
	got, err := Render(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if o := find(t, got, plan.ID{Kind: "ConfigMap", Namespace: "app", Name: "a"}); !strings.Contains(string(o.JSON), `"fleets":"0"`) {
		t.Errorf("got %s", o.JSON)
	}
}

// What goes wrong while a chart looks something up fails it, with the place in the chart and the kind of the cause.
func TestLookupFails(t *testing.T) {
	in := project(t, Source{Helm: &Helm{Chart: "chart"}}, drawing)
	in.Capabilities.Lookup = func(context.Context, string, string, string, string) (map[string]any, error) {
		return nil, &fault.Error{Kind: fault.Machine, What: "Secret/app/db could not be read", Err: errors.New("connection refused"), Next: "Start it."}
	}
	_, err := Render(t.Context(), in)
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Fatalf("error is %v", err)
	}
	const want = "chart/templates/secret.yaml:1:12: chart c of source app does not render: lookup of Secret/app/db: Secret/app/db could not be read: connection refused"
	if f.Error() != want || f.Kind != fault.Machine || f.Next != "Start it." {
		t.Errorf("got  %v (kind %d, next %q)\nwant %s", f, f.Kind, f.Next, want)
	}
}

// A cluster that does not answer holds a render up no longer than its context allows.
func TestLookupStops(t *testing.T) {
	in := project(t, Source{Helm: &Helm{Chart: "chart"}}, drawing)
	in.Capabilities.Lookup = func(ctx context.Context, _, _, _, _ string) (map[string]any, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := Render(ctx, in); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
}
