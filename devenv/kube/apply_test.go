package kube

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

func TestApplyNamesWhatCannotBeChanged(t *testing.T) {
	c, ns := realCluster(t)
	deployment := func(label string) plan.Object {
		return declare(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: "+ns+"}, spec: {replicas: 0, selector: {matchLabels: {app: "+label+"}}, template: {metadata: {labels: {app: "+label+"}}, spec: "+sleeper(forever, "")+"}}}")
	}
	set := func(size string) plan.Object {
		return declare(t, "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, namespace: "+ns+"}, spec: {replicas: 0, serviceName: db, selector: {matchLabels: {app: db}}, template: {metadata: {labels: {app: db}}, spec: "+sleeper(forever, "")+
			"}, volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: "+size+"}}}}]}}")
	}
	applyAll(t, c, deployment("web"), set("1Mi"))
	for _, test := range []struct {
		object plan.Object
		want   string
	}{
		{deployment("other"), "field is immutable"},
		{set("2Mi"), "updates to statefulset spec for fields other than"},
		{declare(t, "{apiVersion: v1, kind: Service, metadata: {name: s, namespace: "+ns+"}, spec: {ports: [{port: 99999}]}}"), "spec.ports[0].port"},
		{declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: Not_A_Name, namespace: "+ns+"}}"), "metadata.name"},
		{declare(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: typo, namespace: "+ns+"}, spec: {replica: 1}}"), "spec.replica: field not declared in schema"},
		{declare(t, "{apiVersion: example.com/v1, kind: Nothing, metadata: {name: nothing, namespace: "+ns+"}}"), "Nothing"},
	} {
		if test.object.ID.Kind == "Nothing" && testing.Short() {
			continue // it is waited for
		}
		_, err := c.Apply(t.Context(), "source", test.object)
		var f *fault.Error
		if !errors.As(err, &f) || !strings.Contains(f.Error(), test.want) || f.Next == "" {
			t.Errorf("%s: %v\nlacks %q", test.object.ID, err, test.want)
			continue
		}
		t.Logf("%v\n\t%s", f, f.Next)
	}
}

func TestApplyTellsWarnings(t *testing.T) {
	c, ns := realCluster(t)
	o := declare(t, "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: "+ns+", annotations: {seccomp.security.alpha.kubernetes.io/pod: runtime/default}}, spec: "+
		strings.Replace(sleeper(forever, ""), "{", "{nodeSelector: {beta.kubernetes.io/os: linux}, ", 1)+"}")
	detail, err := c.Apply(t.Context(), "source", o)
	if err != nil || !strings.Contains(detail, "warning: ") {
		t.Errorf("detail %q, %v", detail, err)
	}
	t.Log(detail)
}

// The API server restarts while an object is applied and another one is awaited. DEVENV_E2E_NODE is the container of a kind
// control-plane node.
func TestTheAPIServerRestarts(t *testing.T) {
	node := os.Getenv("DEVENV_E2E_NODE")
	if node == "" {
		t.Skip("needs a control-plane node to disturb: DEVENV_E2E_NODE")
	}
	c, ns := realCluster(t)
	ctx := t.Context()
	web := declare(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: "+ns+"}, spec: {minReadySeconds: 10, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: "+sleeper(forever, "")+"}}}")
	applyAll(t, c, web)
	var lines []string
	waited := make(chan error, 1)
	go func() { waited <- c.Await(ctx, "source", web, func(text string) { lines = append(lines, text) }) }()
	out, err := exec.Command("docker", "exec", node, "sh", "-c", "kill -9 $(pidof kube-apiserver)").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	settings := declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: "+ns+"}}")
	if _, err := c.Apply(ctx, "source", settings); err != nil {
		t.Errorf("applying while the API server restarts: %v", err)
	}
	if err := <-waited; err != nil {
		t.Errorf("waiting while the API server restarts: %v", err)
	}
	t.Logf("progress: %s", strings.Join(lines, " → "))
}

// Killed at any moment between noting and knowing: the next run applies it, and it is devenv's to delete.
func TestApplyAfterItWasKilled(t *testing.T) {
	for name, sent := range map[string]bool{"before the object was sent": false, "after the object was sent": true} {
		t.Run(name, func(t *testing.T) {
			c, ns := realCluster(t)
			ctx := t.Context()
			o := declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: cut-off, namespace: "+ns+"}, data: {key: value}}")
			u, err := decode(o)
			if err != nil {
				t.Fatal(err)
			}
			a, err := c.find(ctx, u)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.begin(ctx, "source", o, a); err != nil {
				t.Fatal(err)
			}
			if sent {
				if _, err := c.patch(ctx, a, o.ID, u, false); err != nil {
					t.Fatal(err)
				}
			}
			options := realOptions(t)
			options.Environment = c.env
			next := reopen(t, options)
			s := plan.Source{Name: "source", Objects: []plan.Object{o}}
			if live := observed(t, next, s).Live[o.ID]; live.Exists != sent || live.Hash != "" {
				t.Errorf("observed as %+v", live)
			}
			applyAll(t, next, o)
			if live := observed(t, next, s).Live[o.ID]; live.Hash != o.Hash || live.Drift != "" {
				t.Errorf("after applying it: %+v", live)
			}
			deleted, kept, err := next.DeleteAll(ctx, DownOptions{}, func(string) {})
			if err != nil || len(deleted) != 1 || len(kept) != 0 {
				t.Errorf("deleted %v, kept %v, %v", deleted, kept, err)
			}
		})
	}
}
