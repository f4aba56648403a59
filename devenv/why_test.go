package devenv

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

func TestFindSubject(t *testing.T) {
	object := func(kind, namespace, name string) subject {
		return subject{id: plan.ID{Kind: kind, Namespace: namespace, Name: name}}
	}
	all := []subject{
		{service: "grades"}, {service: "web"},
		object("ConfigMap", "academy", "settings"), object("ConfigMap", "other", "settings"), object("Deployment", "academy", "grades"),
		object("Deployment", "academy", "web-api"), object("Service", "academy", "web-api"), object("Namespace", "", "academy"),
	}
	for name, want := range map[string]string{
		"grades":                   "grades", // the service, though a Deployment has the name too
		"Deployment/grades":        "Deployment/academy/grades",
		"deployment/grades":        "Deployment/academy/grades",
		"ConfigMap/other/settings": "ConfigMap/other/settings",
		"academy":                  "Namespace/academy",
		"namespace/academy":        "Namespace/academy",
		"web-api":                  "error: web-api may be one of 2 objects: Deployment/academy/web-api, Service/academy/web-api",
		"ConfigMap/settings":       "error: ConfigMap/settings may be one of 2 objects: ConfigMap/academy/settings, ConfigMap/other/settings",
		"gradse":                   `error: there is no service and no object "gradse" Did you mean grades?`,
		"Deploymnet/grades":        `error: there is no service and no object "Deploymnet/grades" Did you mean Deployment/grades?`,
		"something else":           `error: there is no service and no object "something else"`,
		"":                         `error: there is no service and no object ""`,
		"a/b/c/d":                  `error: there is no service and no object "a/b/c/d"`,
	} {
		found, err := findSubject(name, all)
		got := found.String()
		if f := (*fault.Error)(nil); errors.As(err, &f) {
			got = "error: " + f.Error()
			if like, _, ok := strings.Cut(f.Next, "? "); ok {
				got += " " + like + "?"
			}
			if f.Kind != fault.Config {
				t.Errorf("%q: kind %v", name, f.Kind)
			}
		}
		if got != want {
			t.Errorf("%q:\n got %s\nwant %s", name, got, want)
		}
	}
}

func TestAnswers(t *testing.T) {
	since := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	apply := plan.Step{Number: 1, Action: plan.Apply, Subject: "Deployment/academy/web", Cause: "image changed"}
	await := plan.Step{Number: 2, Action: plan.Await, Subject: "Deployment/academy/web", Cause: "was applied"}
	needed := plan.Step{Number: 3, Action: plan.Apply, Subject: "ConfigMap/academy/c", Cause: "declaration changed"}
	load := plan.Step{Number: 4, Action: plan.Load, Subject: "node a", Cause: "not on the node", Image: &plan.Image{Service: "web"}}
	restart := plan.Step{Number: 5, Action: plan.Restart, Subject: "Deployment/academy/web", Cause: "2 pods hot: 3 files synced"}
	hot := &event.WhyService{Name: "web", Hot: []string{"Deployment/academy/web: 2 pods hot: 3 files synced"}}
	waiting := []event.Waiting{{ID: "Deployment/academy/web", Message: "0 of 1 replicas ready"}}
	hopeless := []event.Waiting{{ID: "Deployment/academy/web", Message: "x", Reason: "CrashLoopBackOff: web exited"}}
	for _, c := range []struct {
		cause string
		since time.Time
		w     event.Why
		want  string
	}{
		{"", since, event.Why{Subject: "Deployment/academy/web"}, "unchanged since 2026-03-01 12:00:00"},
		{"", time.Time{}, event.Why{}, "nothing to do"},
		{"main.go changed", since, event.Why{}, "main.go changed since 2026-03-01 12:00:00"},
		{"", since, event.Why{Subject: "Deployment/academy/web", Steps: []plan.Step{needed, apply, await}}, "image changed"},
		{"", since, event.Why{Subject: "Deployment/academy/web", Steps: []plan.Step{await}, Waiting: waiting},
			"unchanged since 2026-03-01 12:00:00; Deployment/academy/web is not ready: 0 of 1 replicas ready"},
		{"", since, event.Why{Waiting: hopeless}, "unchanged since 2026-03-01 12:00:00; Deployment/academy/web will not become ready: CrashLoopBackOff: web exited"},
		{"", since, event.Why{Service: &event.WhyService{Name: "web"}, Steps: []plan.Step{load, await}}, "not on the node"},
		{"", since, event.Why{Service: hot, Steps: []plan.Step{restart, await}}, "2 pods hot: 3 files synced"},
		{"main.go changed", since, event.Why{Service: hot, Steps: []plan.Step{apply, await}},
			"main.go changed since 2026-03-01 12:00:00; Deployment/academy/web: 2 pods hot: 3 files synced"},
	} {
		if got := answerFor(c.cause, c.since, c.w); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// What was deployed last is remembered with its time, and what an older devenv remembered is still understood.
func TestWhatWasDeployedIsRecalled(t *testing.T) {
	p := Project{state: state{dir: t.TempDir()}}
	if _, ok := p.recall("web"); ok {
		t.Error("something is recalled of nothing")
	}
	web, grades := image{ref: "r/web:devenv-1"}, image{ref: "r/grades:devenv-2"}
	web.service.Name, grades.service.Name = "web", "grades"
	web.inputs = digest.Inputs{Target: "a"}.Summary()
	before := time.Now().Add(-time.Second)
	p.remember([]image{web, grades}, []string{"web"})
	got, ok := p.recall("web")
	if !ok || got.Ref != web.ref || got.At.Before(before) || got.Digest != web.inputs.Digest || got.Target != "a" {
		t.Errorf("recalled %+v, %v", got, ok)
	}
	if _, ok := p.recall("grades"); ok {
		t.Error("a service that was not deployed is remembered")
	}
	if cause, unchanged := p.cause("web", web.inputs); cause != "" || !unchanged {
		t.Errorf("cause = %q, %v", cause, unchanged)
	}
	if cause, _ := p.cause("web", digest.Inputs{Target: "b"}.Summary()); cause != "target changed from a to b" {
		t.Errorf("cause = %q", cause)
	}

	old, err := json.Marshal(web.inputs)
	if err != nil {
		t.Fatal(err)
	}
	file := p.inputsFile("old")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, old, 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	if err := os.Chtimes(file, at, at); err != nil {
		t.Fatal(err)
	}
	if got, ok := p.recall("old"); !ok || !got.At.Equal(at) || got.Digest != web.inputs.Digest {
		t.Errorf("recalled %+v, %v", got, ok)
	}
}
