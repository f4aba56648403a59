package view_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
	"github.com/devenv-run/devenv/devenv/view"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; -update accepts):\n%s", path, diff)
	}
}

// scene is every kind of event once, as an `up` with a broken build and the answers of the other commands would emit them.
func scene() []event.Event {
	grades := &plan.Image{Service: "grades", Ref: "registry.example.com/academy/grades:devenv-3f2a9c0011"}
	build := plan.Step{Number: 1, Action: plan.Build, Subject: "image grades:devenv-3f2a9c", Cause: "services/grades/main.go changed", Image: grades}
	load := plan.Step{Number: 2, Needs: []int{1}, Action: plan.Load, Subject: "nodes a b", Cause: "not on the nodes", Image: grades, Nodes: []string{"a", "b"}}
	apply := plan.Step{Number: 3, Needs: []int{2}, Action: plan.Apply, Subject: "Deployment/academy/grades", Cause: "image changed", Source: "academy"}
	await := plan.Step{Number: 4, Needs: []int{3}, Action: plan.Await, Subject: "Deployment/academy/grades", Cause: "was applied", Source: "academy"}
	p := plan.Plan{Steps: []plan.Step{build, load, apply, await}}
	broken := &fault.Error{
		Kind: fault.Build, What: "build of service web", Where: "services/web/Dockerfile:4",
		Err: errors.New("process \"/bin/sh -c make\" did not complete successfully: exit code: 2"), Detail: "main.c:3: error: expected ';'\nmake: *** [main] Error 1\n",
		Next: "Correct the error and run `devenv up` again. The old version keeps serving.",
	}
	return []event.Event{
		event.Notice{Text: "node image devenv/node:v1.36.3 is used: kind's own cannot be pulled"},
		event.Warning{Text: "cluster has 1 worker, devenv.yaml declares 2"},
		event.PlanComputed{Plan: p, Text: p.String()},
		event.StepStarted{Step: build},
		event.StepProgress{Step: build, Text: "[build 3/5] RUN go build ./..."},
		event.StepDone{Step: build, Took: 4100 * time.Millisecond},
		event.StepStarted{Step: load},
		event.StepDone{Step: load, Took: 900 * time.Millisecond, Detail: "sent 8.1 MB to 2 nodes"},
		event.StepDone{Step: apply, Took: 20 * time.Millisecond},
		event.StepFailed{Step: build, Took: 125 * time.Second, Err: broken},
		event.StepSkipped{Step: await, Because: build},
		event.PlanComputed{Plan: p, Text: p.String(), DryRun: true},
		event.LogLine{Service: "web", Pod: "web-1", Container: "nginx", At: time.Unix(1, 0).UTC(), Text: "GET / <200>"},
		event.Forwarding{Service: "web", Local: "127.0.0.1:8080", Target: "Service/academy/web:80"},
		event.Rendered{YAML: "kind: Namespace\n"},
		event.Status{Environment: "academy", Cluster: event.Cluster{Name: "devenv-academy", Status: "running", Kubernetes: "v1.36.3", Nodes: []event.Node{{Name: "a", Ready: true}}},
			Services: []event.Service{{
				Name: "grades", Image: grades.Ref, Current: true, Endpoints: []string{"http://127.0.0.1:8081"},
				Workloads: []event.Workload{{ID: "Deployment/academy/grades", Ready: 1, Desired: 2, Message: "1 of 2 replicas ready"}},
				Pods:      []event.Pod{{Namespace: "academy", Name: "grades-1", Node: "a", Phase: "Running", Ready: true}},
			}, {Name: "web", Image: "registry.example.com/academy/web:devenv-1"}}},
		event.Version{Version: "v1", Commit: "abc", Go: "go1.26", Platform: "linux/amd64", Kind: "v0.33.0", Helm: "v4", Kubernetes: "v0.37"},
		event.Text{Text: "/state/kubeconfig"},
		event.Returned{Workload: "Deployment/academy/grades", Service: "grades", Revision: 2, Image: grades.Ref, Since: time.Unix(1e9, 0).UTC(), Ready: true},
		event.Returned{Workload: "Deployment/academy/web", Service: "web", Revision: 5, Image: "registry.example.com/academy/web:devenv-1", Since: time.Unix(1e9, 0).UTC(), Shares: "ConfigMap/academy/academy"},
		event.Recorded{Service: "web", Revision: 6, Image: "registry.example.com/academy/web:devenv-1", Cause: "services/web/index.php changed"},
		event.History{Service: "grades", Revisions: []event.Revision{
			{Number: 2, At: time.Unix(1e9, 0).UTC(), Image: grades.Ref, Cause: "services/grades/main.go changed", Current: true},
			{Number: 1, At: time.Unix(1e9-3600, 0).UTC(), Image: "registry.example.com/academy/grades:devenv-77bb000000", Cause: "first deployment"},
		}},
		event.History{Service: "web", Revisions: []event.Revision{}},
		event.Parity{
			Against: "production.yaml", Summary: "5 objects: 1 as in production",
			Counts:      event.ParityCounts{Objects: 5, Same: 1, Automatic: 3, Declared: 1, Undeclared: 3, NotCompared: 1},
			NotCompared: []event.ParityGap{{ID: plan.ID{Kind: "Secret", Namespace: "academy", Name: "token"}, Reason: "forbidden"}},
			Objects: []event.ParityObject{
				{ID: plan.ID{Kind: "Service", Name: "metrics"}, Source: "metrics-server", State: "added", Changes: []event.ParityChange{{Class: "automatic", By: "add-on", Cause: "production has it by other means"}}},
				{ID: plan.ID{Kind: "Deployment", Name: "metrics"}, Source: "metrics-server", State: "added", Changes: []event.ParityChange{{Class: "automatic", By: "add-on", Cause: "production has it by other means"}}},
				{ID: plan.ID{Kind: "Deployment", Namespace: "academy", Name: "grades"}, State: "changed", Changes: []event.ParityChange{
					{Path: "spec.replicas", Old: 3, New: 1, Class: "declared", By: "divergence", Cause: "one node", Where: "devenv.yaml:52:5"},
					{Path: "spec.template.spec.containers[grades].image", Old: "registry.example.com/academy/grades:1.4.2", New: "registry.example.com/academy/grades:devenv-<digest>", Class: "automatic", Cause: "images come from this machine"},
					{Path: "spec.paused", New: true, Class: "undeclared", By: "profile ci", Cause: "no reason"},
					{Path: "data.port", Old: "80", New: "", Class: "undeclared", By: "profile ci", Cause: "no reason"},
				}},
				{ID: plan.ID{Kind: "Job", Namespace: "academy", Name: "old"}, Hook: true, State: "removed", Changes: []event.ParityChange{{Class: "undeclared", Cause: "no reason"}}},
				{ID: plan.ID{Kind: "Service", Namespace: "academy", Name: "web"}, State: "same"},
			},
		},
		event.Deleted{Subject: "Deployment/academy/grades"},
		event.Kept{Subject: "PersistentVolumeClaim/academy/data", Reason: "it holds data"},
		event.Result{ExitCode: 4, Steps: 3, Took: 127 * time.Second, Err: errors.Join(broken, errors.New("unexpected"))},
	}
}

func show(t *testing.T, format string, change func(*view.Options)) []byte {
	t.Helper()
	var out bytes.Buffer
	o := view.Options{Out: &out, Err: &out, Now: func() time.Time { return time.Unix(0, 0).UTC() }}
	if change != nil {
		change(&o)
	}
	v, err := view.New(format, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range scene() {
		v.Emit(e)
	}
	v.Close()
	return out.Bytes()
}

func TestGolden(t *testing.T) {
	for _, format := range []string{"human", "json", "quiet"} {
		t.Run(format, func(t *testing.T) { golden(t, format+".golden", show(t, format, nil)) })
	}
}

func TestEveryJSONLineStandsAlone(t *testing.T) {
	in := bufio.NewScanner(bytes.NewReader(show(t, "json", nil)))
	n := 0
	var last struct {
		V        int
		Time     time.Time
		Type     string
		OK       bool
		ExitCode int
	}
	for ; in.Scan(); n++ {
		if err := json.Unmarshal(in.Bytes(), &last); err != nil || last.V != 1 || last.Type == "" || last.Time.IsZero() {
			t.Errorf("line %q: %+v, %v", in.Text(), last, err)
		}
	}
	if n != len(scene()) || last.Type != "result" {
		t.Errorf("%d lines for %d events, the last %q", n, len(scene()), last.Type)
	}
}

func TestNoColorMeansNoEscapes(t *testing.T) {
	if out := show(t, "human", nil); bytes.ContainsRune(out, '\x1b') {
		t.Errorf("escape sequences without a terminal:\n%q", out)
	}
	if out := show(t, "human", func(o *view.Options) { o.Color = true }); !bytes.Contains(out, []byte("\x1b[32m✓\x1b[0m")) {
		t.Errorf("no colour:\n%q", out)
	}
}

// On a terminal every running step is shown with its time, cut to the width, and gone when the view is closed.
func TestLiveRegion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		v, err := view.New("human", view.Options{Out: &out, Err: io.Discard, Terminal: true, Width: func() int { return 60 }})
		if err != nil {
			t.Fatal(err)
		}
		step := plan.Step{Number: 1, Action: plan.Build, Subject: "image grades:devenv-3f2a9c", Image: &plan.Image{}}
		v.Emit(event.StepStarted{Step: step})
		v.Emit(event.StepProgress{Step: step, Text: "a long line of progress \x1b[2J that does not fit"})
		time.Sleep(2050 * time.Millisecond)
		synctest.Wait()
		frames := strings.Split(out.String(), "\x1b[1A\r\x1b[J")
		last := strings.TrimSuffix(frames[len(frames)-1], "\n")
		if !strings.Contains(last, "building image grades:devenv-3f2a9c 2.0s") || len([]rune(last)) > 59 || strings.ContainsRune(last, '\x1b') {
			t.Errorf("last frame: %q", last)
		}

		v.Emit(event.StepDone{Step: step})
		out.Reset()
		time.Sleep(time.Hour)
		synctest.Wait()
		if out.Len() > 0 {
			t.Errorf("nothing moves, and it is drawn: %q", out.String())
		}
		v.Emit(event.StepStarted{Step: step})
		time.Sleep(3050 * time.Millisecond)
		synctest.Wait()
		if !strings.Contains(out.String(), "3.0s") {
			t.Errorf("it does not move again: %q", out.String())
		}
		v.Close()
		if !strings.HasSuffix(out.String(), "\x1b[1A\r\x1b[J") {
			t.Errorf("the live region is still there: %q", out.String())
		}
	})
}

func TestTheResultIsTheLastEvent(t *testing.T) {
	for format, want := range map[string]string{
		"human": "academy is ready (0.3s)\n",
		"json":  `{"v":1,"time":"1970-01-01T00:00:00Z","type":"result","ok":true,"exitCode":0,"steps":0,"summary":"academy is ready","tookMs":300}` + "\n",
		"quiet": "",
	} {
		var out bytes.Buffer
		v, err := view.New(format, view.Options{Out: &out, Err: &out, Now: func() time.Time { return time.Unix(0, 0) }})
		if err != nil {
			t.Fatal(err)
		}
		v.Emit(event.Result{OK: true, Summary: "academy is ready", Took: 300 * time.Millisecond})
		v.Emit(event.Notice{Text: "too late"})
		v.Close()
		if out.String() != want {
			t.Errorf("%s: %q, want %q", format, out.String(), want)
		}
	}
}

func TestInterruptedTellsWhatHadFailedBefore(t *testing.T) {
	var out bytes.Buffer
	v, _ := view.New("human", view.Options{Out: &out, Err: &out})
	v.Emit(event.Result{ExitCode: 130, Err: errors.Join(
		&fault.Error{Kind: fault.Interrupted, What: "interrupted"},
		&fault.Error{Kind: fault.Build, What: "build of service web", Detail: "main.c:3: error"},
	)})
	v.Close()
	if !strings.HasPrefix(out.String(), "Interrupted.") || !strings.Contains(out.String(), "main.c:3: error") || strings.Contains(out.String(), "Error: interrupted") {
		t.Errorf("%q", out.String())
	}
}

func TestInterruptedIsNotAnError(t *testing.T) {
	var out bytes.Buffer
	v, _ := view.New("human", view.Options{Out: &out, Err: &out})
	v.Emit(event.Result{ExitCode: 130, Err: context.Canceled})
	v.Close()
	if !strings.HasPrefix(out.String(), "Interrupted.") {
		t.Errorf("%q", out.String())
	}
}

func TestUnknownFormat(t *testing.T) {
	if _, err := view.New("xml", view.Options{}); err == nil || !strings.Contains(err.Error(), "json") {
		t.Errorf("error = %v", err)
	}
}
