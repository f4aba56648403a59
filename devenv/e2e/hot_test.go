package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestHot has changes of running services take the short ways, disturbs them, and settles.
func TestHot(t *testing.T) {
	checkout(t)
	parallel(t, 120*time.Second)
	p := newHotPlace(t, "e2e-hot")
	w := p.dev(t, "--settle-after", "1h")
	step := func(name string, f func(t *testing.T)) {
		t.Helper()
		if !t.Run(name, f) {
			t.FailNow()
		}
	}
	// change edits a file, waits until the service answers with what it now says, and until dev tells which way that took.
	change := func(t *testing.T, service, way, file, old, replacement, path, want string) devEvent {
		t.Helper()
		from, began := w.now(), time.Now()
		p.edit(t, file, old, replacement)
		p.served(t, service, path, want)
		took := time.Since(began)
		done := w.wait(from, "dev.shortcut.done", func(e devEvent) bool { return e.Service == service })
		if !done.OK || done.Way != way {
			t.Errorf("%s: %+v\n%s", file, done, w.since(from))
		}
		t.Logf("%s: %s, served after %.3f s, %s", file, done.Way, took.Seconds(), done.Reason)
		return done
	}

	step("a synced file is served at once, in an image with a shell and in one without", func(t *testing.T) {
		change(t, "py", "sync", "py/static/x.txt", "one", "two", "/x.txt", "two\n")
		change(t, "tiny", "sync", "tiny/data/x", "data-1", "data-2", "/data", "data-2\n")
	})
	step("a signal follows where one is declared", func(t *testing.T) {
		change(t, "py", "sync", "py/conf.txt", "conf-1", "conf-2", "/conf", "conf-2\n")
	})
	step("a file that is written without end is named once, keeps nothing else waiting, and arrives when it rests", func(t *testing.T) {
		from := w.now()
		file := filepath.Join(p.dir, "py", "static", "x.txt")
		stop, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					_ = os.WriteFile(file, fmt.Appendf(nil, "%s%d\n", strings.Repeat("x", 1<<20), n), 0o644) //nolint:gosec // a test's file
				}
			}
		}()
		named := func(e devEvent) bool {
			return strings.Contains(e.Text, "py/static/x.txt changed each time") && strings.Contains(e.Text, "py/.dockerignore")
		}
		w.wait(from, "warning", named)
		change(t, "tiny", "sync", "tiny/data/x", "data-2", "data-2b", "/data", "data-2b\n")
		p.edit(t, "tiny/data/x", "data-2b", "data-2")
		close(stop)
		<-ended
		p.write(t, "py/static/x.txt", "two\n")
		p.served(t, "py", "/x.txt", "two\n")
		if n := w.count(from, "warning"); n != 1 {
			t.Errorf("%d warnings\n%s", n, w.since(from))
		}
	})
	step("what the Dockerfile provably copies, and what is compiled here, goes onto the image", func(t *testing.T) {
		change(t, "py", "image", "py/lib/v.py", "lib-1", "lib-2", "/code", "code-1 lib-2")
		change(t, "tiny", "image", "tiny/main.go", "code-1", "code-2", "/code", "code-2")
		p.served(t, "tiny", "/data", "data-2\n")
	})
	step("a version that does not compile is shown with the compiler's lines, and the old one serves", func(t *testing.T) {
		from := w.now()
		p.edit(t, "tiny/main.go", "package main", "package main\nbroken")
		done := w.wait(from, "dev.shortcut.done", nil)
		if done.OK || len(done.Errors) == 0 || !strings.Contains(done.Errors[0].Detail, "main.go:2") {
			t.Errorf("%+v", done)
		}
		p.served(t, "tiny", "/code", "code-2")
		from = w.now()
		p.edit(t, "tiny/main.go", "package main\nbroken", "package main")
		w.wait(from, "dev.shortcut.done", func(e devEvent) bool { return e.OK })
	})
	step("a node whose disk is full is said once, and the change arrives by itself when there is space", func(t *testing.T) {
		const ingest = "/var/lib/containerd/io.containerd.content.v1.content/ingest"
		node := p.cluster() + "-control-plane"
		mustRun(t, "docker", "exec", node, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", ingest)
		from := w.now()
		p.edit(t, "tiny/main.go", "code-2", "code-3")
		full := func(e devEvent) bool {
			return e.Service == "tiny" && !e.OK && strings.Contains(e.line, "the disk of node "+node+" is full")
		}
		w.wait(from, "dev.shortcut.done", full)
		again := w.now()
		time.Sleep(4 * time.Second) // in which it is tried again: that nothing is said cannot be waited for
		if e := w.find(again, "dev.shortcut.done", nil); e != nil {
			t.Errorf("said again: %s", e.line)
		}
		p.served(t, "tiny", "/code", "code-2")
		mustRun(t, "docker", "exec", node, "umount", "--lazy", ingest)
		p.served(t, "tiny", "/code", "code-3")
		w.wait(again, "dev.shortcut.done", func(e devEvent) bool { return e.Service == "tiny" && e.OK })
	})
	step("another Dockerfile is built, and its image swapped in", func(t *testing.T) {
		change(t, "py", "swap", "py/Dockerfile", "WORKDIR /app", "ENV BUILT=again\nWORKDIR /app", "/env", "again")
		p.served(t, "py", "/x.txt", "two\n")
	})
	step("status says what is hot", func(t *testing.T) {
		if text := p.devenv(t, "status").must(t, 0).stdout; !strings.Contains(text, "devenv-hot-") || !strings.Contains(text, `"sync"`) && !strings.Contains(text, `"image"`) {
			t.Errorf("nothing hot in the status:\n%s", text)
		}
		if n := len(p.hotPods(t)); n != 3 {
			t.Errorf("%d pods are marked as hot: %v", n, p.hotPods(t))
		}
	})
	step("a container that is killed gets its files again", func(t *testing.T) {
		change(t, "py", "sync", "py/static/x.txt", "two", "three", "/x.txt", "three\n")
		_, _ = p.kubectl("-n", "hot", "exec", "deploy/py", "--", "python3", "-c", "import os, signal; os.kill(1, signal.SIGTERM)") // it ends with the container
		eventually(t, "the container has ended once", func() error {
			if n := p.must(t, "-n", "hot", "get", "pods", "-l", "app=py", "-o", "jsonpath={.items[*].status.containerStatuses[0].restartCount}"); n == "0" {
				return fmt.Errorf("%s restarts", n)
			}
			return nil
		})
		p.served(t, "py", "/x.txt", "three\n")
	})
	step("a node that restarts in the midst of a change: dev goes on by itself, and what was saved meanwhile arrives", func(t *testing.T) {
		from := w.now()
		p.edit(t, "py/lib/v.py", "lib-2", "lib-3")
		w.wait(from, "dev.shortcut.started", nil)
		mustRun(t, "docker", "restart", "--time=1", p.cluster()+"-control-plane")
		p.edit(t, "py/static/x.txt", "three", "meanwhile")
		eventually(t, "the API server answers again", func() error {
			_, err := p.kubectl("get", "--raw", "/readyz")
			return err
		})
		p.served(t, "py", "/code", "code-1 lib-3")
		p.served(t, "py", "/x.txt", "meanwhile\n")
		p.served(t, "tiny", "/data", "data-2\n")
		p.edit(t, "py/static/x.txt", "meanwhile", "three") // as its image has it
		p.served(t, "py", "/x.txt", "three\n")
	})
	step("a pod that comes later gets what the others have", func(t *testing.T) {
		change(t, "tiny", "sync", "tiny/data/x", "data-2", "data-3", "/data", "data-3\n") // a node that is away for long has everything looked at, and settled
		change(t, "tiny", "image", "tiny/main.go", "code-3", "code-4", "/code", "code-4")
		p.must(t, "-n", "hot", "scale", "deployment", "tiny", "--replicas", "3")
		eventually(t, "three hot pods of tiny", func() error {
			if got := strings.Count(strings.Join(p.hotPods(t), " "), "tiny-"); got != 3 {
				return fmt.Errorf("%d", got)
			}
			return nil
		})
		p.must(t, "-n", "hot", "rollout", "status", "deployment", "tiny", "--timeout", patience.String())
		for _, ip := range strings.Fields(p.must(t, "-n", "hot", "get", "pods", "-l", "app=tiny", "-o", "jsonpath={.items[*].status.podIP}")) {
			eventually(t, "every pod answers with the newest", func() error {
				code, data := p.ask(ip+":8080/code"), p.ask(ip+":8080/data")
				if code != "code-4" || data != "data-3\n" {
					return fmt.Errorf("%s says %q and %q", ip, code, data)
				}
				return nil
			})
		}
	})
	step("a Deployment that is deleted by hand is missed, and settling brings it back", func(t *testing.T) {
		from := w.now()
		p.must(t, "-n", "hot", "delete", "deployment", "py", "--wait=true")
		w.wait(from, "notice", func(e devEvent) bool { return strings.Contains(e.Text, "py has no pod") })
	})
	step("killed while services are hot, the next up settles them: what the tree declares is what runs", func(t *testing.T) {
		_ = syscall.Kill(-w.cmd.Process.Pid, syscall.SIGKILL)
		<-w.ends
		if text := p.devenv(t, "status").must(t, 0).stdout; !strings.Contains(text, "devenv-hot-") {
			t.Errorf("nothing hot in the status:\n%s", text)
		}
		p.devenv(t, "up").must(t, 0)
		p.requireSettled(t)
		p.devenv(t, "up").must(t, 0) // nothing has them now
		p.requireNoHotImages(t)
		for path, want := range map[string]string{"/x.txt": "three\n", "/conf": "conf-2\n", "/code": "code-1 lib-3", "/env": "again"} {
			p.served(t, "py", path, want)
		}
		p.served(t, "tiny", "/code", "code-4")
		p.served(t, "tiny", "/data", "data-3\n")
	})
	step("after a quiet time, dev settles by itself", func(t *testing.T) {
		w = p.dev(t, "--settle-after", "2s")
		from := w.now()
		change(t, "py", "image", "py/lib/v.py", "lib-3", "lib-4", "/code", "code-1 lib-4")
		change(t, "py", "sync", "py/static/x.txt", "three", "four", "/x.txt", "four\n")
		w.wait(from, "dev.cycle.done", func(e devEvent) bool { return e.OK })
		p.requireNoHotImages(t) // once the old pods have gone
		if code := w.stop(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		p.requireSettled(t)
		p.served(t, "py", "/x.txt", "four\n")
	})
}

// newHotPlace is a project of three services in a directory of its own.
func newHotPlace(t *testing.T, name string) *place {
	t.Helper()
	p := newPlace(t, name, nil)
	if err := os.RemoveAll(filepath.Join(p.dir, "devenv.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(p.dir, os.DirFS(filepath.Join("testdata", "hot"))); err != nil {
		t.Fatal(err)
	}
	p.edit(t, "devenv.yaml", "name: e2e-hot", "name: "+name)
	return p
}

// mustRun runs a program that must succeed.
func mustRun(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// edit replaces a text in a file of the project, which has to be there, as an editor saves it.
func (p *place) edit(t *testing.T, file, old, replacement string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, file))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("%s has no %q", file, old)
	}
	p.write(t, file, strings.Replace(string(data), old, replacement, 1))
}

// ask asks an address in the cluster from its node, which is reachable from here; the answer is empty while nobody answers.
func (p *place) ask(address string) string {
	out, _ := exec.Command("docker", "exec", p.cluster()+"-control-plane", "curl", "-sm2", "http://"+address).Output()
	return string(out)
}

// served waits until a Service answers with a text.
func (p *place) served(t *testing.T, service, path, want string) {
	t.Helper()
	address := p.must(t, "-n", "hot", "get", "service", service, "-o", "jsonpath={.spec.clusterIP}") + ":8080" + path
	eventually(t, want+" is served by "+service, func() error {
		if got := p.ask(address); got != want {
			return fmt.Errorf("it says %q", got)
		}
		return nil
	})
}

// hotPods are the names of the pods that are marked.
func (p *place) hotPods(t *testing.T) []string {
	t.Helper()
	return strings.Fields(p.must(t, "-n", "hot", "get", "pods", "-l", "devenv.run/hot=true", "--field-selector", "status.phase=Running", "-o", "jsonpath={.items[*].metadata.name}"))
}

// requireNoHotImages waits until the node knows no image that a devenv dev put a layer on.
func (p *place) requireNoHotImages(t *testing.T) {
	t.Helper()
	eventually(t, "images with a layer on top are gone", func() error {
		out, err := exec.Command("docker", "exec", p.cluster()+"-control-plane", "ctr", "--namespace=k8s.io", "images", "ls", "--quiet").Output()
		if strings.Contains(string(out), "devenv-hot-") {
			return fmt.Errorf("there are\n%s", out)
		}
		return err
	})
}

// requireSettled fails unless nothing is hot, and `up` has nothing to do.
func (p *place) requireSettled(t *testing.T) {
	t.Helper()
	if r := p.devenv(t, "up").must(t, 0); r.steps(t) != 0 {
		t.Errorf("up had something to do:\n%s", r.summary())
	}
	eventually(t, "nothing is hot", func() error {
		if pods := p.hotPods(t); len(pods) > 0 {
			return fmt.Errorf("%v", pods)
		}
		// Pods that have ended are there until their grace is over.
		if images := p.must(t, "-n", "hot", "get", "pods", "-o", "jsonpath={.items[*].spec.containers[*].image}"); strings.Contains(images, "devenv-hot-") {
			return fmt.Errorf("pods run %s", images)
		}
		return nil
	})
}
