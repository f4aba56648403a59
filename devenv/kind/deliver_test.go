package kind

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/devenvtest"
	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/image"
	"github.com/devenv-run/devenv/devenv/plan"
)

func TestDeliveryContract(t *testing.T) {
	devenvtest.DeliverySuite(t, func(t *testing.T) devenvtest.DeliverySubject {
		w := newWorld()
		k := w.clusters(t.TempDir(), testSpec(2))
		mustCreate(t, k)
		made := 0
		known := func(ctx context.Context, node string, i plan.Image) (bool, error) {
			held, err := k.NodeImages(ctx, []string{node}, []string{i.Ref})
			return held[node][i.Ref], err
		}
		return devenvtest.DeliverySubject{
			Delivery: k,
			Nodes:    []string{"devenv-x-control-plane", "devenv-x-worker", "devenv-x-worker2"},
			NewImage: func(*testing.T) plan.Image {
				made++
				ref := fmt.Sprintf("registry.example.com/devenvtest/image:devenv-%d", made)
				w.images[ref] = "sha256:5"
				return plan.Image{Ref: ref}
			},
			Derive: func(_ *testing.T, i plan.Image) plan.Image {
				made++
				ref := fmt.Sprintf("registry.example.com/devenvtest/image:devenv-%d", made)
				w.derive(ref, i.Ref)
				return plan.Image{Ref: ref}
			},
			Lose: func(_ *testing.T, name string, i plan.Image) {
				w.each(func(n *node) {
					if n.Name == name {
						delete(n.content, digestOf(w.layers[i.Ref][0]))
					}
				})
			},
			Runs: func(ctx context.Context, node string, i plan.Image) error {
				if ok, err := known(ctx, node, i); !ok {
					return errors.Join(errors.New("the node does not hold it"), err)
				}
				return nil
			},
			Known: known,
			Break: func(_ *testing.T, name string) func() {
				w.each(func(n *node) {
					if n.Name == name {
						n.State = "exited"
					}
				})
				return func() { w.each(func(n *node) { n.State = "running" }) }
			},
			Midway: func(_ *testing.T, do func()) engine.Delivery {
				w.hook = func(call string) error {
					if strings.HasPrefix(call, "fetch ") {
						do()
					}
					return nil
				}
				return k
			},
		}
	})
}

func TestDeliverSaysWhatANodeSuffersFrom(t *testing.T) {
	tests := []struct{ name, says, want, next string }{
		{"full", "ctr: failed to copy: write /var/lib/containerd/x: no space left on device\n", "the disk of node devenv-x-worker is full", "docker system df"},
		{"gone", "Error: No such container: devenv-x-worker\n", "the node is gone", "devenv down --cluster"},
		{"stopped", "Error response from daemon: Container abc is not running\n", "the node does not run", "devenv up"},
		{"paused", "Error response from daemon: Container abc is paused, unpause the container before exec\n", "the node does not run", "devenv up"},
		{"other", "progress\nctr: containerd is away\n", "containerd is away", "devenv up"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			k := w.clusters(t.TempDir(), testSpec(1))
			mustCreate(t, k)
			w.images["app:1"] = "sha256:5"
			w.unwell["devenv-x-worker"] = tt.says
			_, err := k.Deliver(t.Context(), plan.Image{Ref: "app:1"}, []string{"devenv-x-control-plane", "devenv-x-worker"}, silent)
			requireKind(t, err, fault.Machine)
			f := (*fault.Error)(nil)
			if !errors.As(err, &f) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(f.Next, tt.next) {
				t.Errorf("%v\nnext: %s", err, f.Next)
			}
			_, err = k.NodeImages(t.Context(), []string{"devenv-x-worker"}, []string{"app:1"})
			requireKind(t, err, fault.Machine)
		})
	}
}

func TestDeliverBringsWhatAnotherDeliveryDidNot(t *testing.T) {
	w := newWorld()
	k := w.clusters(t.TempDir(), testSpec(1))
	mustCreate(t, k)
	w.images["base:1"] = "sha256:5"
	w.derive("first:1", "base:1")
	w.derive("second:1", "base:1")
	nodes := []string{"devenv-x-control-plane", "devenv-x-worker"}
	claimed, waits := make(chan struct{}), make(chan struct{})
	firstCtx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	var fetched []string
	w.hook = func(call string) error {
		mu.Lock()
		defer mu.Unlock()
		if strings.HasPrefix(call, "fetch ") {
			fetched = append(fetched, call)
		}
		if call == "fetch first:1 2" {
			close(claimed)
			mu.Unlock()
			<-waits
			mu.Lock()
			stop()
		}
		return nil
	}
	failed := make(chan error)
	go func() {
		_, err := k.Deliver(firstCtx, plan.Image{Ref: "first:1"}, nodes, silent)
		failed <- err
	}()
	<-claimed
	detail, err := k.Deliver(t.Context(), plan.Image{Ref: "second:1"}, nodes, func(text string) {
		if strings.HasPrefix(text, "waiting for layers") {
			close(waits)
		}
	})
	if firstErr := <-failed; !errors.Is(firstErr, context.Canceled) {
		t.Errorf("the first, which was stopped: %v", firstErr)
	}
	if err != nil || !strings.HasSuffix(detail, "to 2 nodes") {
		t.Errorf("%q, %v", detail, err)
	}
	if want := []string{"fetch first:1 2", "fetch second:1 1", "fetch second:1 2"}; !slices.Equal(fetched, want) {
		t.Errorf("fetched %q, want %q", fetched, want)
	}
}

func TestDeliverFallsBackToThePlatformOfTheNode(t *testing.T) {
	w := newWorld()
	k := w.clusters(t.TempDir(), testSpec(1))
	mustCreate(t, k)
	w.images["app:1"] = "sha256:5"
	w.unwell["devenv-x-worker"] = "import:all-platforms" // as ctr fails on the archive of an engine with a containerd store
	nodes := []string{"devenv-x-control-plane", "devenv-x-worker"}
	detail, err := k.Deliver(t.Context(), plan.Image{Ref: "app:1"}, nodes, silent)
	if err != nil || detail != "sent 12 B to 6.3 MB to 2 nodes" {
		t.Fatalf("%q, %v", detail, err)
	}
	held, err := k.NodeImages(t.Context(), nodes, []string{"app:1", "docker.io/library/app:1", "other:1"})
	want := map[string]bool{"app:1": true, "docker.io/library/app:1": true, "other:1": false}
	if err != nil || fmt.Sprint(held[nodes[0]]) != fmt.Sprint(want) || fmt.Sprint(held[nodes[1]]) != fmt.Sprint(want) {
		t.Errorf("%v, %v", held, err)
	}
}

func TestNodeImagesWaitsForANodeThatHasJustStarted(t *testing.T) {
	w := newWorld()
	k := w.clusters(t.TempDir(), testSpec(0))
	mustCreate(t, k)
	k.wait.boot = time.Minute
	const node = "devenv-x-control-plane"
	w.unwell[node] = "ctr: cannot access socket /run/containerd/containerd.sock: stat /run/containerd/containerd.sock: no such file or directory\n"
	asked := 0
	w.hook = func(call string) error {
		if asked++; asked > 2 {
			w.mu.Lock()
			delete(w.unwell, node)
			w.mu.Unlock()
		}
		return nil
	}
	if _, err := k.NodeImages(t.Context(), []string{node}, []string{"app:1"}); err != nil || asked < 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
}

func TestNodeImagesDoesNotWaitForeverForANode(t *testing.T) {
	w := newWorld()
	k := w.clusters(t.TempDir(), testSpec(1))
	mustCreate(t, k)
	w.unwell["devenv-x-worker"] = "hangs"
	_, err := k.NodeImages(t.Context(), []string{"devenv-x-control-plane", "devenv-x-worker"}, []string{"app:1"})
	requireKind(t, err, fault.Machine)
	if !strings.Contains(err.Error(), "devenv-x-worker for its images: the node did not answer") {
		t.Errorf("got %v", err)
	}
}

func TestNodeImagesWithoutReferencesAsksNobody(t *testing.T) {
	w := newWorld()
	held, err := w.clusters(t.TempDir(), testSpec(0)).NodeImages(t.Context(), []string{"a", "b"}, nil)
	if err != nil || len(held) != 2 || len(w.calls) > 0 {
		t.Errorf("%v, %v after %v", held, err, w.calls)
	}
}

func TestCanonical(t *testing.T) {
	for ref, want := range map[string]string{
		"redis":                             "docker.io/library/redis:latest",
		"redis:7":                           "docker.io/library/redis:7",
		"team/app:1":                        "docker.io/team/app:1",
		"registry.example.com/a/b:devenv-1": "registry.example.com/a/b:devenv-1",
		"localhost:5000/a:1":                "localhost:5000/a:1",
	} {
		if got, err := canonical(ref); err != nil || got != want {
			t.Errorf("canonical(%q) = %q, %v, want %q", ref, got, err, want)
		}
	}
	_, err := canonical("Not A Reference")
	requireKind(t, err, fault.Config)
}

func FuzzCanonical(f *testing.F) {
	f.Add("redis:7")
	f.Add("a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
	f.Fuzz(func(t *testing.T, ref string) {
		name, err := canonical(ref)
		if err != nil {
			return
		}
		if again, err := canonical(name); err != nil || again != name {
			t.Errorf("canonical(%q) = %q, of which it makes %q, %v", ref, name, again, err)
		}
		// It becomes part of a filter in quotes, and an argument of a shell.
		if strings.ContainsAny(name, "\"\\ \n") || strings.HasPrefix(name, "-") {
			t.Errorf("canonical(%q) = %q is not safe in a filter", ref, name)
		}
	})
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 8_123_456: "8.1 MB", 999_949: "999.9 kB", 999_960: "1.0 MB", 2_500_000_000: "2.5 GB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestCommandRunsTheScriptInTheNode(t *testing.T) {
	got := command("node-1", "echo\n", []string{"ref", "--flag"}, true)
	want := []string{"exec", "--interactive", "--privileged", "node-1", "/bin/sh", "-c", scriptLib + "echo\n", "sh", "ref", "--flag"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestWantSaysWhatIsToComeAndHowMuchOfIt(t *testing.T) {
	d := &delivery{layers: []string{"base", "middle", "top", "base"}, bytes: 100}
	plain := image.Layer{DiffID: "base", Digest: "base", Size: 60}
	packed := image.Layer{DiffID: "base", Digest: "packed", Size: 20, Format: image.Gzip}
	middle := image.Layer{DiffID: "middle", Digest: "middle", Size: 30}
	w := d.want(map[string]image.Holding{"a": {"base": plain, "middle": middle}, "b": {"base": packed}}, []string{"middle", "top"})
	if got := fmt.Sprint(w.Wanted, w.Held, w.Size, w.Bytes); got != "[middle top] map[base:base packed:base] 100 40" {
		t.Error(got)
	}
}

func TestALayerThatTheEngineKnowsByAnotherDigestIsNotSentAgain(t *testing.T) {
	d := &delivery{layers: []string{"a", "b"}}
	w := d.want(map[string]image.Holding{"node": {"a": {DiffID: "a", Digest: "a", Size: 1, Pushed: "packed"}}}, []string{"b"})
	for _, digest := range []string{"a", "packed"} {
		if l, ok := w.Named(digest); !ok || l.DiffID != "a" {
			t.Errorf("%s stands for %+v, %v", digest, l, ok)
		}
	}
	if _, ok := w.Named("b"); ok {
		t.Error("what lacks is named")
	}
}
