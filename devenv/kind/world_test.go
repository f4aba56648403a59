package kind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/plan"
)

// world is an engine, its docker client, kind's library and the clusters' API servers, in memory: as much of each as this package
// uses, so that a whole life of a cluster, crashes included, is a unit test.
type world struct {
	mu         sync.Mutex
	containers []*node
	images     map[string]string   // reference → ID
	layers     map[string][]string // reference → what its layers hold; see content
	labelled   []nodeImage         // node images that were built for devenv
	registry   map[string]bool     // references that the registry answers for
	made       int                 // containers so far
	calls      []string            // docker commands, for tests that look
	hook       func(call string) error
	unwell     map[string]string // node → what every docker exec in it says
	probe      string            // what the probing container prints
	deaf       bool              // API servers do not answer
	uids       map[string]string // cluster → UID
	refusal    error             // of API servers, to tell their cluster's UID
}

// node is a container of the world.
type node struct {
	container
	cluster string
	held    map[string]bool   // images, by canonical reference
	content map[string]string // layers: diff ID → what it holds
}

func newWorld() *world {
	return &world{
		images:   map[string]string{testImage: "sha256:1"},
		layers:   map[string][]string{},
		registry: map[string]bool{},
		unwell:   map[string]string{},
		uids:     map[string]string{testName: "uid-1"},
		probe:    "CapBnd:\t000001ffffffffff\ncgroup cgroup2fs\nkubernetes v1.36.3\n",
	}
}

const (
	testName  = "devenv-x"
	testImage = "example.com/node:v1.36.3"
)

// clusters is a Clusters in this world with the given state directory.
func (w *world) clusters(dir string, spec Spec) *Clusters {
	k := New(Options{Name: testName, StateDir: dir, Project: "/project", Spec: spec, Engine: w})
	k.docker = w
	k.provision = w.provision
	k.connect = w.connect
	k.wait = patience{
		poll: time.Millisecond, ready: 2 * time.Second, answer: 5 * time.Millisecond, boot: 0,
		ask: time.Second, undo: time.Second, strays: 0, node: 50 * time.Millisecond, load: limits{stall: 2 * time.Second, finish: 2 * time.Second},
	}
	return k
}

func (w *world) Images(_ context.Context, refs []string) (map[string]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	held := map[string]string{}
	for _, ref := range refs {
		if id := w.images[ref]; id != "" {
			held[ref] = id
		}
	}
	return held, nil
}

func (w *world) Resolve(_ context.Context, ref string) (string, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.registry[ref] {
		return "", false, errors.New("no such host")
	}
	return "sha256:2", false, nil
}

func (w *world) Pull(_ context.Context, ref string, report func(string)) error {
	if _, _, err := w.Resolve(context.Background(), ref); err != nil {
		return err
	}
	report("pulled " + ref)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.images[ref] = "sha256:3"
	return nil
}

func (w *world) Environ() []string { return nil }

// call notes a call and lets the test's hook fail it.
func (w *world) call(text string) error {
	w.mu.Lock()
	w.calls = append(w.calls, text)
	hook := w.hook
	w.mu.Unlock()
	if hook != nil {
		return hook(text)
	}
	return nil
}

// provision is kind's library: it makes containers one after the other, fails when they vanish under it, and writes a kubeconfig.
func (w *world) provision(c *v1alpha4.Cluster, kubeconfig string, report engine.Report) error {
	var ids []string
	for i, name := range namesOf(c) {
		report("preparing " + name)
		if err := w.call("kind " + name); err != nil {
			return err
		}
		ids = append(ids, w.add(c.Name, name, i).ID)
	}
	for _, step := range []string{"starting control-plane", "installing CNI", "joining worker nodes"} {
		report(step)
		if err := w.call("kind " + step); err != nil {
			return err
		}
		w.mu.Lock()
		for _, id := range ids {
			if w.find(id) == nil {
				w.mu.Unlock()
				return errors.New("no such container")
			}
		}
		w.mu.Unlock()
	}
	if err := w.call("kind kubeconfig"); err != nil {
		return err
	}
	admin, err := relabel(adminConf, "kind-"+c.Name, "https://127.0.0.1:40000")
	if err != nil {
		return err
	}
	return os.WriteFile(kubeconfig, admin, 0o600)
}

// add makes a running container.
func (w *world) add(cluster, name string, i int) *node {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.made++
	role := worker
	if strings.Contains(name, controlPlane) {
		role = controlPlane
	}
	n := &node{cluster: cluster, held: map[string]bool{}, content: map[string]string{}, container: container{
		ID: fmt.Sprintf("id-%d", w.made), Name: name, Role: role, State: "running",
		Created: time.Now(), Started: time.Now(), IP: fmt.Sprintf("172.18.0.%d", i+2),
	}}
	if role == controlPlane {
		n.Endpoint = "127.0.0.1:40000"
	}
	w.containers = append(w.containers, n)
	return n
}

// find needs the lock.
func (w *world) find(nameOrID string) *node {
	for _, n := range w.containers {
		if n.ID == nameOrID || n.Name == nameOrID {
			return n
		}
	}
	return nil
}

// each changes every container of the cluster.
func (w *world) each(change func(n *node)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.containers {
		change(n)
	}
}

func (w *world) names() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for _, n := range w.containers {
		names = append(names, n.Name)
	}
	return names
}

// resolve is Resolve in a test.
func resolve(t interface{ Fatal(...any) }, k *Clusters) plan.Cluster {
	r, err := k.Resolve(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return r.Cluster
}

// testSpec needs nothing of the registry.
func testSpec(workers int) Spec { return Spec{Workers: workers, NodeImage: testImage} }

func silent(string) {}

func requireMode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != want {
		t.Errorf("%s has mode %o, want %o", filepath.Base(path), got, want)
	}
}
