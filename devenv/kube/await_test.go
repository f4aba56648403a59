package kube

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// sleeper is a pod specification whose container forever a script.
func sleeper(script string, more string) string {
	return `{terminationGracePeriodSeconds: 1, containers: [{name: main, image: "` + testImage() + `", imagePullPolicy: IfNotPresent, command: [/bin/sh, -c, "` + script + `"]` + more + `}]}`
}

const forever = "trap 'exit 0' TERM; while :; do sleep 1; done"

func TestAwaitGivesUpOnWhatCannotHeal(t *testing.T) {
	keepSystemNamespace(t)
	deployment := func(ns, spec string) string {
		return "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: " + ns + "}, spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: " + spec + "}}}"
	}
	for _, test := range []struct {
		name     string
		manifest func(ns string) string
		err      string // in the fault's one-line form
		detail   string // in its detail
		within   time.Duration
	}{
		{"no node is big enough", func(ns string) string { return deployment(ns, sleeper(forever, ", resources: {requests: {cpu: 900}}")) },
			"Insufficient cpu", "FailedScheduling", time.Minute},
		{"a ConfigMap is missing", func(ns string) string {
			return deployment(ns, sleeper(forever, ", envFrom: [{configMapRef: {name: absent}}]"))
		},
			`configmap "absent" not found`, "Failed", time.Minute},
		{"no such program", func(ns string) string {
			return deployment(ns, strings.Replace(sleeper(forever, ""), "/bin/sh", "/bin/absent", 1))
		}, "/bin/absent", "Failed", 2 * time.Minute},
		{"a claim of an unknown class", func(ns string) string {
			return "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, namespace: " + ns + "}, spec: {storageClassName: absent, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}"
		}, `"absent" not found`, "ProvisioningFailed", time.Minute},
		{"a set whose account is missing", func(ns string) string {
			return "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, namespace: " + ns + "}, spec: {serviceName: db, selector: {matchLabels: {app: db}}, template: {metadata: {labels: {app: db}}, spec: " +
				strings.Replace(sleeper(forever, ""), "{", "{serviceAccountName: absent, ", 1) + "}}}"
		}, `"absent" not found`, "FailedCreate", time.Minute},
		{"a bare pod that fails", func(ns string) string {
			return "{apiVersion: v1, kind: Pod, metadata: {name: once, namespace: " + ns + "}, spec: " + strings.Replace(sleeper("echo out of cheese; exit 7", ""), "{", "{restartPolicy: Never, ", 1) + "}"
		}, "Failed", "once/main | out of cheese", time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, ns := realCluster(t)
			o := declare(t, test.manifest(ns))
			applyAll(t, c, o)
			began := time.Now()
			var said []string
			err := c.Await(t.Context(), "source", o, func(text string) { said = append(said, text) })
			took := time.Since(began)
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind != fault.Deploy {
				t.Fatalf("got %v", err)
			}
			t.Logf("%s\n%s\n%s\nprogress: %s", f.Error(), f.Detail, f.Next, strings.Join(said, " → "))
			if !strings.Contains(f.Error(), test.err) || !strings.Contains(f.Detail, test.detail) || f.Next == "" {
				t.Errorf("lacks %q or %q", test.err, test.detail)
			}
			if took > test.within {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestAwaitClaimThatWaitsForItsPod(t *testing.T) {
	c, ns := realCluster(t)
	claim := declare(t, "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, namespace: "+ns+"}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}")
	s := applyAll(t, c, claim)
	if err := c.Await(t.Context(), "source", claim, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if live := observed(t, c, s).Live[claim.ID]; !live.Ready {
		t.Errorf("observed as %+v", live)
	}
}

func TestJobThatRemovesItselfIsNotMissed(t *testing.T) {
	c, ns := realCluster(t)
	job := declare(t, "{apiVersion: batch/v1, kind: Job, metadata: {name: load, namespace: "+ns+"}, spec: {ttlSecondsAfterFinished: 0, template: {spec: "+
		strings.Replace(sleeper("true", ""), "{", "{restartPolicy: Never, ", 1)+"}}}")
	s := applyAll(t, c, job)
	if err := c.Await(t.Context(), "source", job, func(string) {}); err != nil {
		t.Fatal(err)
	}
	until(t, "the job is gone", func(ctx context.Context) bool {
		u, err := getAs(ctx, c, job.ID)
		return err == nil && u == nil
	})
	if live := observed(t, c, s).Live[job.ID]; !live.Exists || !live.Ready || live.Hash != job.Hash {
		t.Errorf("observed as %+v", live)
	}
}

func TestAwaitJudgesTheNewRevisionOnly(t *testing.T) {
	c, ns := realCluster(t)
	manifest := func(script string) plan.Object {
		return declare(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: "+ns+"}, spec: {replicas: 1, minReadySeconds: 5, strategy: {rollingUpdate: {maxUnavailable: 0}}, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: "+sleeper(script, "")+"}}}")
	}
	good, bad := manifest(forever), manifest("echo broken on purpose; exit 1")
	applyAll(t, c, good)
	if err := c.Await(t.Context(), "source", good, func(string) {}); err != nil {
		t.Fatal(err)
	}
	applyAll(t, c, bad)
	err := c.Await(t.Context(), "source", bad, func(string) {})
	var f *fault.Error
	if !errors.As(err, &f) || !strings.Contains(f.Detail, "broken on purpose") {
		t.Fatalf("got %v", err)
	}
	pods, err := c.Pods(t.Context(), Services{"web": {repositoryOf(testImage())}})
	if err != nil {
		t.Fatal(err)
	}
	ready := 0
	for _, p := range pods {
		if p.Ready && p.Phase == "Running" {
			ready++
		}
	}
	if ready != 1 {
		t.Errorf("the old version does not serve: %+v", pods)
	}
	// The broken pods are still there when the next version comes.
	next := manifest("echo next; " + forever)
	applyAll(t, c, next)
	if err := c.Await(t.Context(), "source", next, func(string) {}); err != nil {
		t.Errorf("the next version: %v", err)
	}
}

// until waits for a condition.
func until(t *testing.T, what string, holds func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !holds(ctx) {
		if sleep(ctx, 50*time.Millisecond) != nil {
			t.Fatalf("it did not come to pass that %s", what)
		}
	}
}
