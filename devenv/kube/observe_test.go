package kube

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/devenv-run/devenv/devenv/plan"
)

// requests counts what a client asks, by method, and lists what would change something.
type requests struct {
	next http.RoundTripper

	mu     sync.Mutex
	count  int
	writes []string
	dry    []string
}

func (r *requests) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.count++
	switch what := req.Method + " " + req.URL.Path; {
	case strings.Contains(req.URL.RawQuery, "dryRun=All"):
		r.dry = append(r.dry, what)
	case req.Method != http.MethodGet:
		r.writes = append(r.writes, what)
	}
	r.mu.Unlock()
	return r.next.RoundTrip(req)
}

// WrappedRoundTripper lets Close find the connections.
func (r *requests) WrappedRoundTripper() http.RoundTripper { return r.next }

// watched opens the environment again with all its requests counted.
func watched(t *testing.T, c *Cluster) (*Cluster, *requests) {
	t.Helper()
	o := realOptions(t)
	config, err := clientcmd.BuildConfigFromFlags("", o.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	counted := &requests{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { counted.next = next; return counted })
	o.Environment = c.env
	w, err := open(config, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w, counted
}

const web = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NS, annotations: {team: academy}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: nginx, image: "nginx:1.22", env: [{name: MODE, value: fast}], resources: {requests: {cpu: 0.1}}}
`

func applyAll(t *testing.T, c *Cluster, objects ...plan.Object) plan.Source {
	t.Helper()
	for _, o := range objects {
		if _, err := c.Apply(t.Context(), "source", o); err != nil {
			t.Fatal(err)
		}
	}
	return plan.Source{Name: "source", Objects: objects}
}

func observed(t *testing.T, c *Cluster, s plan.Source) Observation {
	t.Helper()
	o, err := c.Observe(t.Context(), []plan.Source{s})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestObserveTellsDriftFromWhatNobodyDeclared(t *testing.T) {
	keepSystemNamespace(t)
	patch := func(t *testing.T, c *Cluster, id plan.ID, who, body string, sub ...string) {
		t.Helper()
		a, err := c.apis.find(t.Context(), groupKind(id), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.resource(a, id).Patch(t.Context(), id.Name, types.MergePatchType, []byte(body), metav1.PatchOptions{FieldManager: who}, sub...); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name   string
		change func(t *testing.T, c *Cluster, o plan.Object)
		want   string
	}{
		{"nothing", func(*testing.T, *Cluster, plan.Object) {}, ""},
		{"the autoscaler scales what declares no replicas", func(t *testing.T, c *Cluster, o plan.Object) {
			patch(t, c, o.ID, "horizontal-pod-autoscaler", `{"spec":{"replicas":3}}`, "scale")
		}, ""},
		{"somebody adds an annotation", func(t *testing.T, c *Cluster, o plan.Object) {
			patch(t, c, o.ID, "kubectl-annotate", `{"metadata":{"annotations":{"note":"hello"}}}`)
		}, ""},
		{"somebody changes a declared annotation", func(t *testing.T, c *Cluster, o plan.Object) {
			patch(t, c, o.ID, "kubectl-annotate", `{"metadata":{"annotations":{"team":"other"}}}`)
		}, "metadata.annotations.team changed by kubectl-annotate"},
		{"somebody changes it and back", func(t *testing.T, c *Cluster, o plan.Object) {
			patch(t, c, o.ID, "kubectl-annotate", `{"metadata":{"annotations":{"team":"other"}}}`)
			patch(t, c, o.ID, "kubectl-annotate", `{"metadata":{"annotations":{"team":"academy"}}}`)
		}, ""},
		{"somebody removes it", func(t *testing.T, c *Cluster, o plan.Object) {
			patch(t, c, o.ID, "kubectl-annotate", `{"metadata":{"annotations":{"team":null}}}`)
		}, "metadata.annotations.team removed"},
		{"somebody changes an image and a variable", func(t *testing.T, c *Cluster, o plan.Object) {
			patch(t, c, o.ID, "kubectl-edit", `{"spec":{"template":{"spec":{"containers":[{"name":"nginx","image":"nginx:1.23","env":[{"name":"MODE","value":"slow"}],"resources":{"requests":{"cpu":"100m"}}}]}}}}`)
		}, "spec.template.spec.containers[nginx].env[MODE].value changed by kubectl-edit, and 1 more field"},
		{"somebody deletes it and makes another one", func(t *testing.T, c *Cluster, o plan.Object) {
			if err := deleteAs(t.Context(), c, o.ID); err != nil {
				t.Fatal(err)
			}
			if err := sendAs(t.Context(), c, "kubectl-create", o); err != nil {
				t.Fatal(err)
			}
		}, "deleted and made again by kubectl-create"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, ns := realCluster(t)
			o := declare(t, strings.ReplaceAll(web, "NS", ns))
			s := applyAll(t, c, o)
			test.change(t, c, o)
			w, counted := watched(t, c)
			live := observed(t, w, s).Live[o.ID]
			if !live.Exists || live.Hash != o.Hash {
				t.Errorf("observed as %+v", live)
			}
			if live.Drift != test.want {
				t.Errorf("drift %q, want %q", live.Drift, test.want)
			}
			if len(counted.writes) > 0 {
				t.Errorf("observing wrote: %v", counted.writes)
			}
			if test.want != "" {
				if _, err := w.Apply(t.Context(), "source", o); err != nil {
					t.Fatal(err)
				}
				if live := observed(t, w, s).Live[o.ID]; live.Drift != "" || live.Hash != o.Hash {
					t.Errorf("after applying it again: %+v", live)
				}
			}
		})
	}
}

func TestObserveSecretShowsNoValue(t *testing.T) {
	c, ns := realCluster(t)
	o := declare(t, "{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: "+ns+"}, stringData: {password: hunter2, user: me}}")
	s := applyAll(t, c, o)
	if live := observed(t, c, s).Live[o.ID]; live.Drift != "" || live.Hash != o.Hash {
		t.Fatalf("just applied: %+v", live)
	}
	if err := sendAs(t.Context(), c, "kubectl-edit", declare(t, "{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: "+ns+"}, stringData: {password: letmein, user: me}}")); err != nil {
		t.Fatal(err)
	}
	if live := observed(t, c, s).Live[o.ID]; live.Drift != "data.password changed by kubectl-edit" {
		t.Errorf("drift %q", live.Drift)
	}
	applyAll(t, c, o) // and takes it back
	// A key that is no longer declared goes.
	o = declare(t, "{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: "+ns+"}, stringData: {user: me}}")
	applyAll(t, c, o)
	u, err := getAs(t.Context(), c, o.ID)
	if err != nil {
		t.Fatal(err)
	}
	if data, _ := u.Object["data"].(map[string]any); len(data) != 1 {
		t.Errorf("keys left: %d", len(data))
	}
	text, packed, err := c.ledger.state.encode()
	if err != nil || strings.Contains(text[plainKey], "hunter") || strings.Contains(text[plainKey], "aHVudGVyMg") || packed != nil {
		t.Errorf("the inventory holds a secret value: %s %v", text, err)
	}
}

func TestDefinitionsAndTheirObjects(t *testing.T) {
	c, ns := realCluster(t)
	group := ns + ".example.com"
	crd := declare(t, `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.`+group+`}
spec:
  group: `+group+`
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}}]
`)
	widget := declare(t, "{apiVersion: "+group+"/v1, kind: Widget, metadata: {name: w, namespace: "+ns+"}, spec: {size: 3}}")
	s := plan.Source{Name: "source", Objects: []plan.Object{crd, widget}}
	if o := observed(t, c, s); o.Live[crd.ID].Exists || o.Live[widget.ID].Exists {
		t.Fatalf("before anything was applied: %+v", o.Live)
	}
	if _, known := c.Namespaced(group, "Widget"); known {
		t.Error("the kind is known before its definition")
	}
	// Applied without waiting in between: Apply itself waits for the kind to be served.
	applyAll(t, c, crd, widget)
	if err := c.Await(t.Context(), "source", crd, func(string) {}); err != nil {
		t.Fatal(err)
	}
	for id, live := range observed(t, c, s).Live {
		if !live.Exists || !live.Ready || live.Drift != "" || live.Hash == "" {
			t.Errorf("%s: %+v", id, live)
		}
	}

	bad := declare(t, "{apiVersion: "+group+"/v1, kind: Widget, metadata: {name: w, namespace: "+ns+"}, spec: {size: many}}")
	_, err := c.Apply(t.Context(), "source", bad)
	if err == nil || !strings.Contains(err.Error(), "size") {
		t.Errorf("a wrong type: %v", err)
	}
	t.Logf("a wrong type: %v", err)

	// Both go, the instance first, though the definition is deleted in the same call.
	deleted, kept, err := c.DeleteAll(t.Context(), DownOptions{}, func(string) {})
	if err != nil || len(kept) != 0 || len(deleted) != 2 || deleted[0] != widget.ID {
		t.Errorf("deleted %v, kept %v, %v", deleted, kept, err)
	}
}

func TestObserveManyWithNothingToDo(t *testing.T) {
	c, ns := realCluster(t)
	var objects []plan.Object
	for i := range 50 {
		name := fmt.Sprintf("app-%02d", i)
		labels := "{app: " + name + "}"
		objects = append(objects,
			declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: "+name+", namespace: "+ns+"}, data: {key: value}}"),
			declare(t, "{apiVersion: v1, kind: Service, metadata: {name: "+name+", namespace: "+ns+"}, spec: {selector: "+labels+", ports: [{port: 80}]}}"),
			declare(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: "+name+", namespace: "+ns+"}, spec: {replicas: 0, selector: {matchLabels: "+labels+
				"}, template: {metadata: {labels: "+labels+"}, spec: {containers: [{name: main, image: \"nginx:1.22\", ports: [{containerPort: 80}]}]}}}}"))
	}
	began := time.Now()
	s := applyAll(t, c, objects...)
	t.Logf("applying %d objects one after the other: %s", len(objects), time.Since(began))

	w, counted := watched(t, c)
	for _, round := range []string{"first look of a process", "second look"} {
		counted.count = 0
		began = time.Now()
		o := observed(t, w, s)
		t.Logf("%s at %d objects: %s, %d requests", round, len(objects), time.Since(began), counted.count)
		for id, live := range o.Live {
			if live.Hash == "" || live.Drift != "" {
				t.Errorf("%s: %+v", id, live)
			}
		}
		if counted.count > 10 || len(counted.writes) > 0 {
			t.Errorf("%d requests, writes %v", counted.count, counted.writes)
		}
	}
}

func TestApplyManyAtOnceSharesWrites(t *testing.T) {
	c, ns := realCluster(t)
	w, counted := watched(t, c)
	const many = 100
	var group sync.WaitGroup
	began := time.Now()
	slots := make(chan struct{}, 16)
	for i := range many {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			o := declare(t, fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: c-%d, namespace: %s}, data: {key: value}}", i, ns))
			if _, err := w.Apply(context.WithoutCancel(t.Context()), "source", o); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	inventory := 0
	for _, write := range counted.writes {
		if strings.Contains(write, systemNamespace) {
			inventory++
		}
	}
	t.Logf("%d objects in %s: %d requests, of which %d writes of the inventory", many, time.Since(began), counted.count, inventory)
	if inventory > many/2 {
		t.Errorf("%d objects cost %d writes of the inventory", many, inventory)
	}
}

// DEVENV_E2E_NODE is the container of a kind control-plane node, the only node of its cluster.
func TestObserveAfterTheNodeWasRestarted(t *testing.T) {
	node := os.Getenv("DEVENV_E2E_NODE")
	if node == "" {
		t.Skip("needs a node to restart: DEVENV_E2E_NODE")
	}
	c, ns := realCluster(t)
	ctx := t.Context()
	o := declare(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: "+ns+"}, spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: "+sleeper(forever, "")+"}}}")
	s := applyAll(t, c, o)
	if err := c.Await(ctx, "source", o, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("docker", "restart", "-t", "2", node).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command("docker", "inspect", "-f", "{{.State.StartedAt}}", node).Output()
	if err != nil {
		t.Fatal(err)
	}
	start, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	options := realOptions(t)
	options.Environment, options.NodeStarts = c.env, map[string]time.Time{node: start}
	again := reopen(t, options)
	var first Observation
	until(t, "the API server answers", func(ctx context.Context) bool {
		first, err = again.Observe(ctx, []plan.Source{s})
		return err == nil
	})
	t.Logf("first seen %s after the restart as %+v", time.Since(start), first.Live[o.ID])
	if first.Live[o.ID].Drift != "" || first.Live[o.ID].Hash != o.Hash {
		t.Errorf("observed as %+v", first.Live[o.ID])
	}
	if err := again.Await(ctx, "source", o, func(text string) { t.Log(text) }); err != nil {
		t.Fatal(err)
	}
	pods, err := again.Pods(ctx, Services{"web": {repositoryOf(testImage())}})
	if err != nil || len(pods) != 1 || !pods[0].Ready || pods[0].Restarts == 0 {
		t.Errorf("awaited, but %+v, %v", pods, err)
	}
}
