package history_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/devenv-run/devenv/devenv/history"
	"github.com/devenv-run/devenv/devenv/plan"
)

// object makes an object of a notation: "Deployment/web@2 runs web nginx uses settings" is version 2 of the Deployment, whose pods run the
// images web:2 and nginx:2 and refer to the ConfigMap settings. "redis:7" stays as it is.
func object(t testing.TB, text string) plan.Object {
	t.Helper()
	words := strings.Fields(text)
	kind, rest, _ := strings.Cut(words[0], "/")
	name, version, _ := strings.Cut(rest, "@")
	o := plan.Object{ID: plan.ID{Kind: kind, Namespace: "academy", Name: name}, Hash: version, Origin: "test.yaml"}
	if kind == "Deployment" {
		o.ID.Group, o.Waits = "apps", true
	}
	var containers, variables []any
	where := ""
	for _, word := range words[1:] {
		switch {
		case word == "runs", word == "uses":
			where = word
		case where == "runs":
			if !strings.Contains(word, ":") {
				word += ":" + version
			}
			o.Images = append(o.Images, word)
			containers = append(containers, map[string]any{"image": word})
		case where == "uses":
			variables = append(variables, map[string]any{"configMapRef": map[string]any{"name": word}})
		}
	}
	containers = append(containers, map[string]any{"envFrom": variables})
	body, err := json.Marshal(map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": containers}}}})
	if err != nil {
		t.Fatal(err)
	}
	o.JSON = body
	return o
}

// desired is a deployment of such objects in one source. Images whose tag is a version are those of the services of their names.
func desired(t testing.TB, lines ...string) plan.Desired {
	t.Helper()
	d := plan.Desired{Sources: []plan.Source{{Name: "academy"}}}
	for _, line := range lines {
		o := object(t, line)
		d.Sources[0].Objects = append(d.Sources[0].Objects, o)
		for _, ref := range o.Images {
			service, _, _ := strings.Cut(ref, ":")
			if service == "redis" {
				service = ""
			}
			d.Images = append(d.Images, plan.Image{Service: service, Ref: ref})
		}
	}
	return d
}

func take(t testing.TB, lines ...string) map[string]history.Revision {
	t.Helper()
	revisions, err := history.Take(desired(t, lines...))
	if err != nil {
		t.Fatal(err)
	}
	return revisions
}

// show is a revision in one line.
func show(r history.Revision) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %v:", r.Service, r.Image, r.Images)
	for _, o := range r.Objects {
		fmt.Fprintf(&b, " %s@%s", strings.Replace(o.ID.String(), "/academy", "", 1), o.Hash)
	}
	return b.String()
}

func TestTake(t *testing.T) {
	revisions := take(t,
		"ConfigMap/settings@1", "ConfigMap/unused@1",
		"Deployment/web@2 runs web nginx redis:7 uses settings elsewhere",
		"Deployment/worker@3 runs web:2 uses settings",
		"Deployment/cache@1 runs redis:7 uses settings",
	)
	var got []string
	for _, service := range slices.Sorted(maps.Keys(revisions)) {
		got = append(got, show(revisions[service]))
	}
	want := []string{
		"nginx nginx:2 map[nginx:nginx:2 web:web:2]: ConfigMap/settings@1 Deployment/web@2",
		"web web:2 map[nginx:nginx:2 web:web:2]: ConfigMap/settings@1 Deployment/web@2 Deployment/worker@3",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("revisions (-want +got):\n%s", diff)
	}
}

func TestContentIsWhatItConsistsOf(t *testing.T) {
	base := take(t, "ConfigMap/settings@1", "Deployment/web@1 runs web uses settings")["web"].Content
	for name, same := range map[string]struct {
		lines []string
		equal bool
	}{
		"the same in another order":      {[]string{"Deployment/web@1 runs web uses settings", "ConfigMap/settings@1"}, true},
		"something else beside it":       {[]string{"ConfigMap/settings@1", "ConfigMap/other@2", "Deployment/web@1 runs web uses settings"}, true},
		"other configuration":            {[]string{"ConfigMap/settings@2", "Deployment/web@1 runs web uses settings"}, false},
		"another workload":               {[]string{"ConfigMap/settings@1", "Deployment/web@2 runs web uses settings"}, false},
		"one workload more":              {[]string{"ConfigMap/settings@1", "Deployment/web@1 runs web uses settings", "Deployment/worker@1 runs web"}, false},
		"configuration it does not have": {[]string{"Deployment/web@1 runs web uses settings"}, false},
	} {
		if got := take(t, same.lines...)["web"].Content; (got == base) != same.equal {
			t.Errorf("%s: equal is %v", name, got == base)
		}
	}
}

// Whatever a plan knows of an object, it knows again when it goes back to it.
func TestAnObjectKeepsEverything(t *testing.T) {
	o := plan.Object{
		ID: plan.ID{Group: "apps", Kind: "Deployment", Namespace: "academy", Name: "web"}, JSON: []byte(`{"a":"<ü>"}`), Hash: "1",
		Images: []string{"web:1"}, Origin: "chart/web.yaml", Waits: true, Autoscaled: true,
	}
	for i, v := 0, reflect.ValueOf(o); i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Fatalf("plan.Object has a field %s: give it a value here, and a place in history.Object", v.Type().Field(i).Name)
		}
	}
	packed, err := history.Encode(history.Revision{Objects: []history.Object{history.NewObject("academy", o)}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := history.Decode(packed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(o, r.Objects[0].Plan()); diff != "" || r.Objects[0].Source != "academy" {
		t.Errorf("of source %s (-kept +found):\n%s", r.Objects[0].Source, diff)
	}
}

func TestSourcesAreInOrder(t *testing.T) {
	revision := take(t, "Deployment/web@1 runs web uses settings", "ConfigMap/settings@1")["web"]
	revision.Objects[0].Source = "config"
	var got []string
	for _, s := range history.Sources(revision.Objects, []string{"gone", "config"}) {
		for _, o := range s.Objects {
			got = append(got, s.Name+" "+o.ID.String())
		}
	}
	if want := []string{"config ConfigMap/academy/settings", "academy Deployment/academy/web"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestReplaceIsWhatRunsAfterAnotherServiceReturned(t *testing.T) {
	old := take(t, "ConfigMap/settings@1", "Deployment/web@1 runs web nginx uses settings", "Deployment/edge@1 runs nginx")
	now := take(t, "ConfigMap/settings@2", "Deployment/web@2 runs web nginx uses settings", "Deployment/edge@2 runs nginx")
	got := now["nginx"].Replace(old["web"].Objects, old["web"].Images)
	want := "nginx nginx:1 map[nginx:nginx:1 web:web:1]: ConfigMap/settings@1 Deployment/edge@2 Deployment/web@1"
	if diff := cmp.Diff(want, show(got)); diff != "" {
		t.Errorf("revision (-want +got):\n%s", diff)
	}
	if got.Content == now["nginx"].Content || show(now["nginx"]) != "nginx nginx:2 map[nginx:nginx:2 web:web:2]: ConfigMap/settings@2 Deployment/edge@2 Deployment/web@2" {
		t.Errorf("the old one was changed, or the new one has its content: %s", show(now["nginx"]))
	}
}

func TestCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := history.Revision{Head: history.Head{
			Service: rapid.String().Draw(t, "service"), Number: rapid.Int().Draw(t, "number"), Content: rapid.String().Draw(t, "content"),
			At: time.Unix(rapid.Int64Range(0, 1e10).Draw(t, "at"), 0).UTC(),
		}}
		for range rapid.IntRange(0, 3).Draw(t, "objects") {
			body, _ := json.Marshal(map[string]string{"data": rapid.String().Draw(t, "data")})
			r.Objects = append(r.Objects, history.Object{ID: plan.ID{Kind: "Secret", Name: rapid.String().Draw(t, "name")}, JSON: body})
		}
		packed, err := history.Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := history.Decode(packed)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, got); diff != "" {
			t.Fatalf("(-encoded +decoded):\n%s", diff)
		}
	})
}

func FuzzDecode(f *testing.F) {
	packed, err := history.Encode(history.Revision{Head: history.Head{Service: "web", Number: 1}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := history.Decode(data)
		if err != nil {
			return
		}
		if _, err := history.Encode(r); err != nil {
			t.Errorf("what was decoded cannot be encoded: %v", err)
		}
	})
}
