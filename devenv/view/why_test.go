package view_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/plan"
	"github.com/devenv-run/devenv/devenv/view"
)

// whys are answers for all that there is to answer, and what is hot. at is a time in them.
func whys(at time.Time) []event.Event {
	apply := plan.Step{Number: 2, Needs: []int{1}, Action: plan.Apply, Subject: "Deployment/academy/grades", Cause: "image changed", Source: "academy"}
	return []event.Event{
		event.Why{
			Subject: "service grades", Answer: "main.go changed since 2026-03-01 12:00:00", Steps: []plan.Step{apply},
			Service: &event.WhyService{
				Name: "grades", Image: "registry.example.com/academy/grades:devenv-3f2a9c0011", Deployed: "registry.example.com/academy/grades:devenv-77bb0022", At: at,
				Changes: []string{"main.go changed", "base image debian:bookworm-slim changed"}, Objects: []string{"Deployment/academy/grades", "Job/academy/migrate"},
			},
			Waiting: []event.Waiting{{
				ID: "Deployment/academy/grades", Message: "0 of 1 replicas ready", Reason: "CrashLoopBackOff: exited", Detail: "one\ntwo", Next: "Correct it.",
			}},
		},
		event.Why{
			Subject: "service web", Answer: "2 pods hot: 3 files synced",
			Service: &event.WhyService{Name: "web", Image: "web:devenv-1", Objects: []string{"Deployment/academy/web"}, Hot: []string{"Deployment/academy/web: 2 pods hot: 3 files synced"}},
			Steps:   []plan.Step{{Number: 1, Action: plan.Restart, Subject: "Deployment/academy/web", Cause: "2 pods hot: 3 files synced"}},
		},
		event.Status{Environment: "academy", Cluster: event.Cluster{Name: "devenv-academy", Status: "running"}, Services: []event.Service{{
			Name: "web", Image: "registry.example.com/web:devenv-1",
			Pods: []event.Pod{
				{Namespace: "academy", Name: "web-1", Node: "a", Phase: "Running", Ready: true, Image: "registry.example.com/web:devenv-1",
					Hot: &event.Hot{Way: "sync", Files: 3, Since: at}},
				{Namespace: "academy", Name: "web-22", Node: "a", Phase: "Running", Ready: true, Restarts: 1, Image: "registry.example.com/web:devenv-hot-0011223344",
					Hot: &event.Hot{Way: "image", Image: "registry.example.com/web:devenv-hot-0011223344", Files: 1, Since: at}},
				{Namespace: "academy", Name: "web-3", Node: "a", Phase: "Pending", Image: "registry.example.com/web:devenv-1"},
			},
		}}},
		event.Why{Subject: "service web", Answer: "nothing to do", Service: &event.WhyService{Name: "web", Image: "web:devenv-1"}},
		event.Why{
			Subject: "Secret/academy/db", Answer: "declaration changed since 2026-03-01 12:00:00",
			Object: &event.WhyObject{
				ID: "Secret/academy/db", Source: "data", Origin: "deploy/data.yaml:3", Exists: true, Applied: at,
				Fields: []event.FieldChange{
					{Path: "data.password", Live: json.RawMessage(`"secret:1a2b3c4d"`), Declared: json.RawMessage(`"secret:5e6f7a8b"`), Manager: "kubectl-edit", At: at},
					{Path: "data.user", Declared: json.RawMessage(`"secret:00112233"`)},
				},
				Writers: []event.Writer{{Manager: "kubectl-edit", At: at}, {Manager: "controller", Subresource: "status"}},
			},
		},
		event.Why{
			Subject: "ConfigMap/academy/c", Answer: "does not exist",
			Object: &event.WhyObject{ID: "ConfigMap/academy/c", Source: "data", Origin: "deploy/data.yaml:9", Refused: "metadata.labels: invalid"},
		},
	}
}

func TestWhyGolden(t *testing.T) {
	// People read their own time, machines UTC.
	for format, at := range map[string]time.Time{
		"human": time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local),
		"json":  time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	} {
		var out bytes.Buffer
		v, err := view.New(format, view.Options{Out: &out, Err: &out, Now: func() time.Time { return time.Unix(0, 0) }})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range whys(at) {
			v.Emit(e)
		}
		v.Close()
		golden(t, "why."+format, out.Bytes())
	}
}
