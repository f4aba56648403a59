package kind_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/devenvtest"
	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/image"
	"github.com/devenv-run/devenv/devenv/kind"
	"github.com/devenv-run/devenv/devenv/plan"
)

// speaker is a static program that says what is in /note and ends; with WAIT in its environment it goes on and says the number of every signal.
var speaker = sync.OnceValues(func() ([]byte, error) {
	return compiled(`package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	heard := make(chan os.Signal, 9)
	signal.Notify(heard, syscall.SIGUSR2, syscall.SIGUSR1)
	note, _ := os.ReadFile("/note")
	fmt.Printf("note=%s;\n", note)
	for os.Getenv("WAIT") != "" {
		fmt.Printf("signal=%d;\n", <-heard)
	}
}
`)
})

// speakerImage puts an image of speaker and an empty /srv into the engine, with nothing else in it, and delivers it to all nodes.
func (r *real) speakerImage(t *testing.T) plan.Image {
	t.Helper()
	binary, err := speaker()
	if err != nil {
		t.Fatal(err)
	}
	i := plan.Image{Ref: newRef()}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, h := range []*tar.Header{
		{Typeflag: tar.TypeDir, Name: "srv/", Mode: 0o755}, {Name: "unique", Mode: 0o644, Size: int64(len(i.Ref))}, {Name: "program", Mode: 0o755, Size: int64(len(binary))},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		switch h.Name {
		case "unique":
			_, _ = w.Write([]byte(i.Ref))
		case "program":
			_, _ = w.Write(binary)
		}
	}
	_ = w.Close()
	cmd := exec.CommandContext(t.Context(), "docker", "import", "--change", `ENTRYPOINT ["/program"]`, "-", i.Ref)
	cmd.Stdin = &archive
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { _, _ = run(context.Background(), "docker", "image", "rm", i.Ref) })
	if _, err := r.Deliver(t.Context(), i, r.resolved.Cluster.Nodes, progress(t)); err != nil {
		t.Fatal(err)
	}
	return i
}

func newRef() string {
	return "registry.example.com/kindtest/image:devenv-" + strings.ToLower(rand.Text())
}

// pod is a pod of one container that waits.
type pod struct {
	*real
	name      string
	container hot.Container
}

func (r *real) waiting(t *testing.T, node, ref string) *pod {
	t.Helper()
	p := &pod{real: r, name: "w-" + strings.ToLower(rand.Text()), container: hot.Container{Node: node}}
	if _, err := r.kubectl(t.Context(), "run", p.name, "--image="+ref, "--image-pull-policy=Never", "--restart=Always", "--env=WAIT=1",
		`--overrides={"spec":{"nodeName":"`+node+`","terminationGracePeriodSeconds":0}}`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.kubectl(context.Background(), "delete", "pod", p.name, "--now", "--wait=false") })
	p.look(t, "")
	return p
}

// look waits until the pod has a container that runs and is another one than before.
func (p *pod) look(t *testing.T, before string) {
	t.Helper()
	eventually(t, p.name+" runs", 60*time.Second, func() bool {
		out, err := p.kubectl(t.Context(), "get", "pod", p.name, "-o", "jsonpath={.status.containerStatuses[0].state.running.startedAt} {.status.containerStatuses[0].containerID}")
		if fields := strings.Fields(out); err == nil && len(fields) == 2 {
			p.container.ID = strings.TrimPrefix(fields[1], "containerd://")
		}
		return p.container.ID != "" && p.container.ID != before
	})
}

// sh runs a script in the pod's node whose $root is the container's root.
func (p *pod) sh(t *testing.T, script string, args ...string) string {
	t.Helper()
	const root = `root=/proc/$(cat /run/containerd/io.containerd.runtime.v2.task/k8s.io/$1/init.pid)/root; shift; `
	return must(t, append([]string{"docker", "exec", "--privileged", p.container.Node, "sh", "-c", root + script, "sh", p.container.ID}, args...)...)
}

func (p *pod) lookAt(t *testing.T, path string) hot.File {
	out := p.sh(t, `at=$root$1; [ -e "$at" ] || [ -L "$at" ] || exit 0; stat -c '%F|%a|' "$at"; if [ -L "$at" ]; then readlink "$at"; elif [ -f "$at" ]; then cat "$at"; fi`, path)
	f := hot.File{To: path}
	head, rest, _ := strings.Cut(out, "|\n")
	what, mode, ok := strings.Cut(head, "|")
	if !ok {
		return f
	}
	if _, err := fmt.Sscanf(mode, "%o", &f.Mode); err != nil {
		t.Fatal(err)
	}
	switch {
	case strings.Contains(what, "directory"):
		f.Kind = digest.Dir
	case strings.Contains(what, "link"):
		f.Kind, f.Link = digest.Link, strings.TrimSuffix(rest, "\n")
	default:
		f.Kind, f.From = digest.File, rest
	}
	return f
}

func (p *pod) logs(t *testing.T) string {
	t.Helper()
	out, err := p.kubectl(t.Context(), "logs", p.name)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRealInside(t *testing.T) {
	r := newReal(t, kind.Spec{Workers: 1})
	r.create(t)
	nodes := r.resolved.Cluster.Nodes
	in := r.Enter()
	t.Cleanup(func() { _ = in.Close() })
	scratch := r.speakerImage(t)

	t.Run("contract", func(t *testing.T) {
		devenvtest.InsideSuite(t, func(t *testing.T) devenvtest.InsideSubject {
			p := r.waiting(t, nodes[1], scratch.Ref)
			return devenvtest.InsideSubject{
				Inside: in, Container: p.container, Look: p.lookAt,
				Heard: func(t *testing.T, signal string) {
					number := map[string]string{"USR2": "signal=12;", "USR1": "signal=10;"}[signal]
					eventually(t, "it heard "+signal, 20*time.Second, func() bool { return strings.Contains(p.logs(t), number) })
				},
				Stop: func(t *testing.T) {
					if _, err := r.kubectl(t.Context(), "delete", "pod", p.name, "--now", "--wait", "--request-timeout=60s"); err != nil {
						t.Fatal(err)
					}
				},
			}
		})
	})

	t.Run("layers on top", func(t *testing.T) {
		devenvtest.TopperSuite(t, func(*testing.T) devenvtest.TopperSubject {
			return devenvtest.TopperSubject{
				Topper: in, Nodes: nodes, Ref: newRef,
				Base: func(t *testing.T) string { return r.speakerImage(t).Ref },
				Note: func(ctx context.Context, node, ref string) (string, error) { return r.note(ctx, node, ref) },
				Known: func(ctx context.Context, node, ref string) (bool, error) {
					out, err := run(ctx, "docker", "exec", node, "ctr", "--namespace=k8s.io", "images", "ls", "--quiet")
					return strings.Contains(out, ref), err
				},
				Lose: func(t *testing.T, node, ref string) {
					must(t, "docker", "exec", node, "ctr", "--namespace=k8s.io", "content", "rm", layersOf(t, plan.Image{Ref: ref})[0])
				},
			}
		})
	})

	t.Run("an image that a container runs is not forgotten, whoever says so", func(t *testing.T) {
		ref := newRef()
		if _, err := in.Top(t.Context(), scratch.Ref, ref, noiseLayer(t, 10), nodes); err != nil {
			t.Fatal(err)
		}
		p := r.waiting(t, nodes[1], ref)
		nobody := func(context.Context) ([]string, error) { return nil, nil }
		if n, err := in.Drop(t.Context(), nodes, []string{ref}, nobody); err != nil || n != 1 { // of the other node
			t.Errorf("%d, %v", n, err)
		}
		if _, err := r.kubectl(t.Context(), "delete", "pod", p.name, "--now", "--wait", "--request-timeout=60s"); err != nil {
			t.Fatal(err)
		}
		if n, err := in.Drop(t.Context(), nodes, []string{ref}, nobody); err != nil || n != 1 {
			t.Errorf("%d, %v", n, err)
		}
	})

	t.Run("what is mounted in a container stays mounted, and what is outside stays as it is", func(t *testing.T) {
		p := r.waiting(t, nodes[1], scratch.Ref)
		src := filepath.Join(t.TempDir(), "src")
		if err := os.WriteFile(src, []byte("new"), 0o600); err != nil {
			t.Fatal(err)
		}
		// /etc/hosts is a file that the kubelet mounts. The node's own /etc must not be reached by any of these.
		p.sh(t, `mkdir -p $root/srv/d; ln -s /etc $root/srv/etc; ln -s ../../../../../../../../etc $root/srv/up; ln -s /proc/1/root/etc $root/srv/magic`)
		before := must(t, "docker", "exec", nodes[1], "sh", "-c", "ls -lA --time-style=full-iso /etc; cat /etc/hosts")
		hosts := hot.File{To: "/etc/hosts", From: src, Kind: digest.File, Mode: 0o644}
		if err := in.Write(t.Context(), p.container, []hot.File{hosts}); err != nil {
			t.Fatal(err)
		}
		if mounted := p.sh(t, `cat $root/etc/hosts; grep -c " /etc/hosts " ${root%/root}/mountinfo`); mounted != "new1\n" {
			t.Errorf("the file and how often it is mounted: %q", mounted)
		}
		if err := in.Write(t.Context(), p.container, []hot.File{{To: "/etc", Gone: true}}); err == nil || !strings.Contains(err.Error(), "/etc/") {
			t.Errorf("removing what something is mounted on: %v", err)
		}
		for _, way := range []string{"etc", "up", "magic"} {
			_ = in.Write(t.Context(), p.container, []hot.File{{To: "/srv/" + way + "/devenv-was-here", From: src, Kind: digest.File, Mode: 0o644}}) // within its root, or not at all
			_ = in.Write(t.Context(), p.container, []hot.File{{To: "/srv/" + way + "/machine-id", Gone: true}})
		}
		if after := must(t, "docker", "exec", nodes[1], "sh", "-c", "ls -lA --time-style=full-iso /etc; cat /etc/hosts"); after != before {
			t.Errorf("the node's /etc was\n%s\nand is\n%s", before, after)
		}
	})

	t.Run("a file system that is full or read-only is said, with the file", func(t *testing.T) {
		p := r.waiting(t, nodes[1], scratch.Ref)
		src := filepath.Join(t.TempDir(), "src")
		if err := os.WriteFile(src, make([]byte, 3<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		// The container's /dev/shm is a tmpfs of 64 MB; most of it is taken first.
		p.sh(t, `head -c 63M /dev/zero >$root/dev/shm/filler`)
		err := in.Write(t.Context(), p.container, []hot.File{{To: "/dev/shm/big", From: src, Kind: digest.File, Mode: 0o644}})
		if fault.Of(err) != fault.Machine || !strings.Contains(err.Error(), "/dev/shm/big") || !strings.Contains(err.Error(), "full") {
			t.Errorf("full: %v", err)
		}
		if left := p.sh(t, `ls -A $root/dev/shm`); strings.TrimSpace(left) != "filler" {
			t.Errorf("what is left there: %q", left)
		}
		const fixed = "/var/run/secrets/kubernetes.io/serviceaccount/x"
		err = in.Write(t.Context(), p.container, []hot.File{{To: fixed, From: src, Kind: digest.File, Mode: 0o644}})
		if err == nil || !strings.Contains(err.Error(), fixed) || !strings.Contains(err.Error(), "Read-only") {
			t.Errorf("read-only: %v", err)
		}
	})

	t.Run("a node whose disk is full is said, and does not know the image", func(t *testing.T) {
		const ingest = "/var/lib/containerd/io.containerd.content.v1.content/ingest"
		must(t, "docker", "exec", nodes[1], "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", ingest)
		full := true
		empty := func() {
			if full {
				must(t, "docker", "exec", nodes[1], "umount", "--lazy", ingest)
				full = false
			}
		}
		defer empty()
		layer, ref := noiseLayer(t, 5<<20), newRef()
		_, err := in.Top(t.Context(), scratch.Ref, ref, layer, nodes)
		if fault.Of(err) != fault.Machine || !errors.Is(err, hot.ErrNoSpace) || !strings.Contains(err.Error(), "the disk of node "+nodes[1]+" is full") {
			t.Errorf("%v", err)
		}
		if out := must(t, "docker", "exec", nodes[1], "ctr", "--namespace=k8s.io", "images", "ls", "--quiet"); strings.Contains(out, ref) {
			t.Error("the node knows the image")
		}
		empty()
		if _, err := in.Top(t.Context(), scratch.Ref, ref, layer, nodes); err != nil {
			t.Errorf("with space: %v", err)
		}
	})

	t.Run("a container that restarts during a write is gone", func(t *testing.T) {
		p := r.waiting(t, nodes[1], scratch.Ref)
		before := p.container
		dir := t.TempDir()
		var files []hot.File
		for n := range 400 {
			from := filepath.Join(dir, fmt.Sprint(n))
			if err := os.WriteFile(from, make([]byte, 1<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			files = append(files, hot.File{To: fmt.Sprintf("/srv/f%d", n%7), From: from, Kind: digest.File, Mode: 0o644})
		}
		result := make(chan error, 1)
		go func() { result <- in.Write(t.Context(), before, files) }()
		eventually(t, "it writes", 20*time.Second, func() bool { return p.lookAt(t, "/srv/f1").Kind == digest.File })
		p.sh(t, `kill -9 $(basename ${root%/root})`)
		if err := <-result; !errors.Is(err, hot.ErrGone) {
			t.Errorf("%v", err)
		}
		p.look(t, before.ID)
		if err := in.Write(t.Context(), p.container, files[:1]); err != nil {
			t.Errorf("the new container: %v", err)
		}
	})

	t.Run("the connections survive the restart of a node", func(t *testing.T) {
		p := r.waiting(t, nodes[1], scratch.Ref)
		src := filepath.Join(t.TempDir(), "src")
		if err := os.WriteFile(src, []byte("new"), 0o600); err != nil {
			t.Fatal(err)
		}
		file := []hot.File{{To: "/srv/a", From: src, Kind: digest.File, Mode: 0o644}}
		if err := in.Write(t.Context(), p.container, file); err != nil {
			t.Fatal(err)
		}
		before := p.container
		must(t, "docker", "restart", "--time=1", nodes[1])
		if err := in.Write(t.Context(), before, file); err == nil {
			t.Error("the container of before the restart was written to")
		}
		p.look(t, before.ID)
		if err := in.Write(t.Context(), p.container, file); err != nil {
			t.Error(err)
		}
		o := r.options
		o.Inside = in
		held, err := kind.New(o).NodeImages(t.Context(), nodes, []string{scratch.Ref})
		if err != nil || !held[nodes[0]][scratch.Ref] || !held[nodes[1]][scratch.Ref] {
			t.Errorf("%v, %v", held, err)
		}
	})

	t.Run("a node that restarts in the midst of a load", func(t *testing.T) {
		o := r.options
		o.Inside = in
		base := newImage(t, 1<<20)
		if _, err := kind.New(o).Deliver(t.Context(), derive(t, base), nodes, progress(t)); err != nil {
			t.Fatal(err)
		}
		i := derive(t, base)
		o.Engine = midway{o.Engine, func() {
			must(t, "docker", "restart", "--time=1", nodes[1])
		}}
		_, err := kind.New(o).Deliver(t.Context(), i, nodes, progress(t))
		t.Logf("with the restart: %v", err)
		held, asked := r.NodeImages(t.Context(), nodes, []string{i.Ref})
		if asked != nil || !held[nodes[0]][i.Ref] || err == nil && !held[nodes[1]][i.Ref] {
			t.Errorf("%v, %v", held, asked)
		}
		o.Engine = r.options.Engine
		if _, err := kind.New(o).Deliver(t.Context(), i, nodes, progress(t)); err != nil {
			t.Fatal(err)
		}
		for _, node := range nodes {
			eventually(t, "it runs on "+node, 60*time.Second, func() bool { return r.runs(t.Context(), node, i) == nil })
		}
	})
}

// noiseLayer is a layer of one file of noise.
func noiseLayer(t *testing.T, bytes int) hot.Layer {
	t.Helper()
	noise := make([]byte, bytes)
	_, _ = rand.Read(noise)
	dir := t.TempDir()
	var archive strings.Builder
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "noise"), noise, 0o600),
		image.WriteLayer(&archive, []image.Entry{{Path: "/noise", From: filepath.Join(dir, "noise"), Mode: 0o644}}),
		os.WriteFile(filepath.Join(dir, "layer"), []byte(archive.String()), 0o600)); err != nil {
		t.Fatal(err)
	}
	return hot.Layer{File: filepath.Join(dir, "layer"), DiffID: image.Digest([]byte(archive.String())), Size: int64(archive.Len())}
}

// note runs a pod of an image of speaker, which may not be pulled, and says what its note holds.
func (r *real) note(ctx context.Context, node, ref string) (string, error) {
	name := "n-" + strings.ToLower(rand.Text())
	defer func() { _, _ = r.kubectl(context.Background(), "delete", "pod", name, "--now", "--wait=false") }()
	if _, err := r.kubectl(ctx, "run", name, "--image="+ref, "--image-pull-policy=Never", "--restart=Never", `--overrides={"spec":{"nodeName":"`+node+`"}}`); err != nil {
		return "", err
	}
	if out, err := r.kubectl(ctx, "wait", "pod", name, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s", "--request-timeout=40s"); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	out, err := r.kubectl(ctx, "logs", name)
	_, note, ok := strings.Cut(out, "note=")
	if err == nil && !ok {
		err = fmt.Errorf("it said %q", out)
	}
	note, _, _ = strings.Cut(note, ";")
	return note, err
}
