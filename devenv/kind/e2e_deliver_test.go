package kind_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/devenvtest"
	"github.com/devenv-run/devenv/devenv/docker"
	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/image"
	"github.com/devenv-run/devenv/devenv/kind"
	"github.com/devenv-run/devenv/devenv/plan"
)

// midway is an engine that does something before it gives out an image's layers.
type midway struct {
	kind.Engine
	do func()
}

func (m midway) Fetch(ctx context.Context, w image.Want) (*image.Image, error) {
	m.do()
	return m.Engine.Fetch(ctx, w)
}

// hasty is an engine that gives out the layers that are wanted early. With an error it begins with something else and breaks off; without one, nothing is left in the spool, so that a
// node which did not take a layer early cannot get it.
type hasty struct {
	kind.Engine
	err error
}

func (h hasty) Fetch(ctx context.Context, w image.Want) (*image.Image, error) {
	i, err := h.Engine.Fetch(ctx, w)
	if err != nil || w.Early == nil {
		return i, errors.Join(err, errors.New("nobody wants anything early"))
	}
	for _, l := range i.Layers {
		if !w.Wants(l.DiffID) {
			continue
		}
		data, err := os.ReadFile(l.File)
		if err != nil {
			return nil, err
		}
		early := w.Early()
		if h.err != nil {
			data = slices.Repeat([]byte("x"), 3<<20)
		} else if err := os.Truncate(l.File, 0); err != nil {
			return nil, err
		}
		_, _ = early.Write(data)
		early.Done(l, h.err)
	}
	return i, nil
}

// watched is an engine of which is noted whether the layers that it gave out last were never compressed.
type watched struct {
	kind.Engine
	plain bool
}

func (w *watched) Fetch(ctx context.Context, want image.Want) (*image.Image, error) {
	i, err := w.Engine.Fetch(ctx, want)
	w.plain = err == nil && !slices.ContainsFunc(i.Layers, func(l image.Layer) bool { return l.File != "" && (l.Pushed != "" || l.Format != image.Plain) })
	return i, err
}

// built builds an image of another one and two layers, as devenv does it.
func built(t *testing.T, engine kind.Engine, from plan.Image) plan.Image {
	t.Helper()
	builder, ok := engine.(*docker.Engine)
	if !ok {
		t.Fatalf("%T", engine)
	}
	i := plan.Image{Service: "built", Ref: "registry.example.com/kindtest/image:devenv-" + strings.ToLower(rand.Text())}
	dir := t.TempDir()
	noise := make([]byte, 2<<20)
	_, _ = rand.Read(noise)
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "noise"), noise, 0o600), os.WriteFile(filepath.Join(dir, "note"), []byte(i.Ref), 0o600)); err != nil {
		t.Fatal(err)
	}
	err := builder.Build(t.Context(), docker.Build{
		Service: i.Service, Ref: i.Ref, Context: dir, DockerfileName: "Dockerfile",
		Dockerfile: []byte("FROM " + from.Ref + "\nCOPY --chown=1234:33 noise /data/noise\nCOPY note /note\n"),
	}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = run(context.Background(), "docker", "image", "rm", i.Ref) })
	return i
}

// deliverySubject is what DeliverySuite tests, with connections of its own if in is nil.
func (r *real) deliverySubject(in *kind.Inside) devenvtest.DeliverySubject {
	o := r.options
	o.Inside = in
	return devenvtest.DeliverySubject{
		Delivery: kind.New(o),
		Nodes:    r.resolved.Cluster.Nodes,
		NewImage: func(t *testing.T) plan.Image { return newImage(t, 5<<20) },
		Derive:   derive,
		Lose: func(t *testing.T, node string, i plan.Image) {
			must(t, "docker", "exec", node, "ctr", "--namespace=k8s.io", "content", "rm", layersOf(t, i)[0])
		},
		Runs: r.runs,
		Known: func(ctx context.Context, node string, i plan.Image) (bool, error) {
			out, err := run(ctx, "docker", "exec", node, "ctr", "--namespace=k8s.io", "images", "ls", "--quiet")
			return strings.Contains(out, i.Ref), err
		},
		Break: func(t *testing.T, node string) func() {
			// Without Perl nobody gets into the node, and without ctr nothing can be asked there.
			must(t, "docker", "exec", node, "mv", "/usr/bin/perl", "/usr/local/bin/ctr", "/mnt")
			return func() {
				must(t, "docker", "exec", node, "mv", "/mnt/perl", "/usr/bin/perl")
				must(t, "docker", "exec", node, "mv", "/mnt/ctr", "/usr/local/bin/ctr")
			}
		},
		Midway: func(_ *testing.T, do func()) engine.Delivery {
			o := o
			o.Engine = midway{o.Engine, do}
			return kind.New(o)
		},
	}
}

func TestRealDelivery(t *testing.T) {
	r := newReal(t, kind.Spec{Workers: 2})
	r.create(t)
	nodes := r.resolved.Cluster.Nodes

	closed := r.Enter()
	_ = closed.Close()
	for name, way := range map[string]*kind.Inside{"contract": nil, "contract without connections": closed} {
		t.Run(name, func(t *testing.T) {
			devenvtest.DeliverySuite(t, func(*testing.T) devenvtest.DeliverySubject { return r.deliverySubject(way) })
		})
	}

	for name, broken := range map[string]error{"layers come early": nil, "layers that break off leave nothing behind": errors.New("the engine broke off")} {
		t.Run(name, func(t *testing.T) {
			base := newImage(t, 3<<20)
			i := derive(t, base)
			o := r.options
			o.Engine = hasty{o.Engine, broken}
			k := kind.New(o)
			for _, i := range []plan.Image{base, i} {
				if detail, err := k.Deliver(t.Context(), i, nodes, progress(t)); err != nil || strings.Contains(detail, "all of") {
					t.Fatalf("%q, %v", detail, err)
				}
			}
			for _, node := range nodes {
				if err := r.runs(t.Context(), node, i); err != nil {
					t.Error(err)
				}
				if left := must(t, "docker", "exec", node, "sh", "-ec", "ctr --namespace=k8s.io content active; ctr --namespace=k8s.io leases ls --quiet"); strings.Contains(left, "devenv-") {
					t.Errorf("%s still has %s", node, left)
				}
			}
		})
	}

	t.Run("layers that were built here come as they are", func(t *testing.T) {
		base := newImage(t, 3<<20)
		i := built(t, r.options.Engine, base)
		o := r.options
		w := &watched{Engine: o.Engine}
		o.Engine = w
		k := kind.New(o)
		for _, i := range []plan.Image{base, i} {
			detail, err := k.Deliver(t.Context(), i, nodes, progress(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Log(detail)
		}
		info, err := r.options.Engine.(*docker.Engine).Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !w.plain && info.StorageDriver == "overlay2" && !info.Rootless && !info.UserNamespace {
			t.Error("the engine was made to compress them")
		}
		for _, node := range nodes {
			if err := r.runs(t.Context(), node, i); err != nil {
				t.Error(err)
			}
		}
	})

	t.Run("an image counts only while it is complete and unpacked", func(t *testing.T) {
		i := newImage(t, 1<<20)
		if _, err := r.Deliver(t.Context(), i, nodes, progress(t)); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		held, err := r.NodeImages(t.Context(), nodes, []string{i.Ref, "registry.example.com/absent:1"})
		t.Logf("asked %d nodes in %s", len(nodes), time.Since(begin).Round(time.Millisecond))
		for _, node := range nodes {
			if err != nil || !held[node][i.Ref] || held[node]["registry.example.com/absent:1"] {
				t.Fatalf("%v, %v", held, err)
			}
		}
		must(t, "docker", "exec", nodes[1], "sh", "-ec", `exec 2>/dev/null
			manifest=$(ctr -n k8s.io images ls "name==`+i.Ref+`" | awk 'NR == 2 { print $3 }')
			ctr -n k8s.io content rm $(ctr -n k8s.io content get "$manifest" | jq -r '.layers[0].digest')`)
		held, err = r.NodeImages(t.Context(), nodes, []string{i.Ref})
		if err != nil || held[nodes[1]][i.Ref] || !held[nodes[0]][i.Ref] {
			t.Fatalf("without its content: %v, %v", held, err)
		}
		if _, err := r.Deliver(t.Context(), i, nodes[1:2], progress(t)); err != nil {
			t.Fatal(err)
		}
		if err := r.runs(t.Context(), nodes[1], i); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("a full disk is said, and nothing stays of the image", func(t *testing.T) {
		const store = "/var/lib/containerd/io.containerd.content.v1.content"
		must(t, "docker", "exec", nodes[1], "sh", "-ec", "mount -t tmpfs -o size=2m tmpfs "+store+" && mkdir -p "+store+"/ingest "+store+"/blobs/sha256")
		full := true
		empty := func() {
			if full {
				must(t, "docker", "exec", nodes[1], "umount", "--lazy", store)
				full = false
			}
		}
		defer empty()
		i := newImage(t, 20<<20)
		_, err := r.Deliver(t.Context(), i, nodes, progress(t))
		f := (*fault.Error)(nil)
		if !errors.As(err, &f) || f.Kind != fault.Machine || !strings.Contains(err.Error(), "the disk of node "+nodes[1]+" is full") {
			t.Fatalf("%v\n%+v", err, f)
		}
		out := must(t, "docker", "exec", nodes[1], "ctr", "--namespace=k8s.io", "images", "ls", "--quiet")
		if strings.Contains(out, i.Ref) {
			t.Error("the node still knows the image")
		}
		if err := r.runs(t.Context(), nodes[2], i); err != nil {
			t.Errorf("the other nodes should have it: %v", err)
		}
		empty()
		if _, err := r.Deliver(t.Context(), i, nodes, progress(t)); err != nil {
			t.Fatalf("with space: %v", err)
		}
		if err := r.runs(t.Context(), nodes[1], i); err != nil {
			t.Error(err)
		}
	})

	t.Run("a node that takes nothing does not hold up the others", func(t *testing.T) {
		i := newImage(t, 60<<20)
		signal := func(name string) {
			must(t, "docker", "exec", nodes[2], "sh", "-ec", "kill -"+name+" $(pidof containerd)")
		}
		o := r.options
		o.Engine = midway{o.Engine, func() { signal("STOP") }}
		k := kind.New(o)
		k.Hurry(5 * time.Second)
		begin := time.Now()
		_, err := k.Deliver(t.Context(), i, nodes, progress(t))
		signal("CONT")
		if fault.Of(err) != fault.Machine || !strings.Contains(err.Error(), nodes[2]) || strings.Contains(err.Error(), nodes[0]) {
			t.Errorf("%v", err)
		}
		t.Logf("after %s: %v", time.Since(begin).Round(100*time.Millisecond), err)
		if err := r.runs(t.Context(), nodes[1], i); err != nil {
			t.Error(err)
		}
	})

	t.Run("a node that is paused is said to be", func(t *testing.T) {
		i := newImage(t, 1<<20)
		must(t, "docker", "pause", nodes[2])
		_, err := r.Deliver(t.Context(), i, nodes, progress(t))
		if s := mustStatus(t, r.Clusters); s.Status != plan.Stopped {
			t.Errorf("%+v", s)
		}
		if err := r.Start(t.Context(), r.resolved.Cluster, progress(t)); err != nil {
			t.Error(err)
		}
		if fault.Of(err) != fault.Machine || !strings.Contains(err.Error(), nodes[2]+": the node does not run") {
			t.Errorf("%v", err)
		}
	})

	t.Run("a big image", func(t *testing.T) {
		i := newImage(t, 340<<20)
		begin := time.Now()
		detail, err := r.Deliver(t.Context(), i, nodes, progress(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s in %s", detail, time.Since(begin).Round(100*time.Millisecond))
	})
}
