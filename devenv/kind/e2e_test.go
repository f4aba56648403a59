package kind_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/docker"
	"github.com/devenv-run/devenv/devenv/kind"
	"github.com/devenv-run/devenv/devenv/plan"
)

// The tests of this package that need a real engine and a node image. Each cluster has a name of its own, and goes when its test ends.

// needEngine skips the test unless real clusters are wanted.
func needEngine(t *testing.T) *docker.Engine {
	t.Helper()
	if os.Getenv("DEVENV_E2E") != "1" {
		t.Skip("makes real clusters; set DEVENV_E2E=1")
	}
	engine, err := docker.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	return engine
}

// real is a Clusters of a new name with a new state directory, and what it has to make.
type real struct {
	*kind.Clusters
	options  kind.Options
	resolved kind.Resolved
}

func newReal(t *testing.T, spec kind.Spec) *real {
	t.Helper()
	r := &real{options: kind.Options{
		Name: fmt.Sprintf("devenv-kindtest-%d-%s", os.Getpid(), strings.ToLower(rand.Text()[:4])), StateDir: filepath.Join(t.TempDir(), "state"),
		Project: t.TempDir(), Spec: spec, Engine: needEngine(t),
	}}
	r.Clusters = kind.New(r.options)
	var err error
	if r.resolved, err = r.Resolve(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(r.nodeStates())
		}
		if err := r.Delete(context.Background()); err != nil {
			t.Error(err)
		}
		if rest := r.nodeStates(); rest != "" {
			t.Errorf("left behind: %s", rest)
		}
	})
	return r
}

func (r *real) create(t *testing.T) {
	t.Helper()
	begin := time.Now()
	if err := r.Create(t.Context(), r.resolved.Cluster, progress(t)); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d nodes created in %s", len(r.resolved.Cluster.Nodes), time.Since(begin).Round(100*time.Millisecond))
}

// progress logs each line with the time since the first.
func progress(t *testing.T) func(string) {
	begin := time.Now()
	var mu sync.Mutex
	return func(text string) {
		mu.Lock()
		defer mu.Unlock()
		t.Logf("%6.2fs %s", time.Since(begin).Seconds(), text)
	}
}

// nodeStates are the cluster's containers by name and state, one a line.
func (r *real) nodeStates() string {
	out, err := exec.Command("docker", "ps", "--all", "--filter", "label=io.x-k8s.kind.cluster="+r.Name, "--format", "{{.Names}} {{.Status}}").CombinedOutput()
	if err != nil {
		return string(out) + err.Error()
	}
	return strings.TrimSpace(string(out))
}

// run runs a command and returns its output; an error says what it printed.
func run(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

func must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := run(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// kubectl runs kubectl in the control plane.
func (r *real) kubectl(ctx context.Context, args ...string) (string, error) {
	return run(ctx, append([]string{"docker", "exec", r.Name + "-control-plane", "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "--request-timeout=5s"}, args...)...)
}

func (r *real) readyNodes(ctx context.Context) ([]string, error) {
	out, err := r.kubectl(ctx, "get", "nodes", "-o", `jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}`)
	var names []string
	for line := range strings.Lines(out) {
		if name, ok := strings.CutSuffix(strings.TrimSpace(line), "=True"); ok {
			names = append(names, name)
		}
	}
	return names, err
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, limit time.Duration, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %s still not: %s", limit, what)
		}
	}
}

// program is a static program that prints a line and ends, compiled once.
var program = sync.OnceValues(func() ([]byte, error) {
	return compiled("package main\n\nfunc main() { println(\"it runs\") }\n")
})

// compiled is the static program of a source.
func compiled(source string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "program")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", filepath.Join(dir, "program"), filepath.Join(dir, "main.go"))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return os.ReadFile(filepath.Join(dir, "program"))
}

// newImage puts an image into the engine that nobody has: a program and size bytes of noise.
func newImage(t *testing.T, size int) plan.Image {
	t.Helper()
	binary, err := program()
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, size)
	_, _ = rand.Read(noise)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for name, data := range map[string][]byte{"program": binary, "noise": noise} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(data))}); err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(data)
	}
	_ = w.Close()
	i := plan.Image{Ref: "registry.example.com/kindtest/image:devenv-" + strings.ToLower(rand.Text())}
	cmd := exec.CommandContext(t.Context(), "docker", "import", "--change", `ENTRYPOINT ["/program"]`, "-", i.Ref)
	cmd.Stdin = &archive
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { _, _ = run(context.Background(), "docker", "image", "rm", i.Ref) })
	return i
}

// derive puts an image into the engine that has the layers of another and one more, of a few bytes.
func derive(t *testing.T, from plan.Image) plan.Image {
	t.Helper()
	i := plan.Image{Ref: "registry.example.com/kindtest/image:devenv-" + strings.ToLower(rand.Text())}
	name := strings.ToLower("kindtest-" + rand.Text())
	must(t, "docker", "create", "--name", name, from.Ref)
	defer must(t, "docker", "rm", name)
	note := filepath.Join(t.TempDir(), "note")
	if err := os.WriteFile(note, []byte(i.Ref), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "docker", "cp", note, name+":/note")
	must(t, "docker", "commit", name, i.Ref)
	t.Cleanup(func() { _, _ = run(context.Background(), "docker", "image", "rm", i.Ref) })
	return i
}

// layersOf are the diff IDs of an image in the engine.
func layersOf(t *testing.T, i plan.Image) []string {
	t.Helper()
	return strings.Fields(must(t, "docker", "image", "inspect", "--format", `{{join .RootFS.Layers " "}}`, i.Ref))
}

// runs runs a pod of the image on the node, which may not pull it.
func (r *real) runs(ctx context.Context, node string, i plan.Image) error {
	name := "p-" + strings.ToLower(rand.Text())
	defer func() { _, _ = r.kubectl(context.Background(), "delete", "pod", name, "--now", "--wait=false") }()
	if _, err := r.kubectl(ctx, "run", name, "--image="+i.Ref, "--image-pull-policy=Never", "--restart=Never",
		`--overrides={"spec":{"nodeName":"`+node+`"}}`); err != nil {
		return err
	}
	out, err := r.kubectl(ctx, "wait", "pod", name, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s", "--request-timeout=40s")
	if err != nil {
		state, _ := r.kubectl(ctx, "get", "pod", name, "-o", "jsonpath={.status}")
		return fmt.Errorf("%w\n%s\n%s", err, out, state)
	}
	return nil
}
