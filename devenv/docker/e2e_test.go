package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"golang.org/x/sys/unix"

	"github.com/devenv-run/devenv/devenv/devenvtest"
	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// realEngine is the machine's engine, for tests that build real images. They need no base image: testdata/tool is a program that
// does without anything else in its image.
func realEngine(t *testing.T) *Engine {
	t.Helper()
	if os.Getenv("DEVENV_E2E") != "1" {
		t.Skip("needs a Docker Engine: set DEVENV_E2E=1")
	}
	e, err := Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

var buildTool = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "devenv-tool")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", filepath.Join(dir, "tool"), "./testdata/tool")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(filepath.Join(dir, "tool"))
})

// toolContext is a build context that holds the tool, and other files.
func toolContext(t *testing.T, files map[string]string) string {
	t.Helper()
	tool, err := buildTool()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, files)
	if err := os.WriteFile(filepath.Join(dir, "tool"), tool, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// toolBuild is a build in dir, of an image that is removed after the test. Lines end up in one RUN of the tool each.
func toolBuild(t *testing.T, e *Engine, dir string, instructions ...string) Build {
	t.Helper()
	name := fmt.Sprintf("t%d", time.Now().UnixNano())
	b := Build{
		Service: name, Ref: "devenv.test/" + name + ":devenv-1", Context: dir, DockerfileName: "services/" + name + "/Dockerfile",
		Dockerfile: []byte("FROM scratch\nCOPY tool /tool\n" + strings.Join(instructions, "\n") + "\n"),
	}
	t.Cleanup(func() {
		if err := e.Remove(context.Background(), []string{b.Ref}); err != nil {
			t.Error(err)
		}
	})
	return b
}

// lines collects progress.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) add(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, s)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.text, "\n")
}

func mustBuild(t *testing.T, e *Engine, b Build) string {
	t.Helper()
	var l lines
	if err := e.Build(t.Context(), b, l.add); err != nil {
		var f *fault.Error
		errors.As(err, &f)
		t.Fatalf("%v\n%+v\nprogress:\n%s", err, f, l.String())
	}
	return l.String()
}

func mustFail(t *testing.T, e *Engine, b Build) *fault.Error {
	t.Helper()
	var f *fault.Error
	if err := e.Build(t.Context(), b, func(string) {}); !errors.As(err, &f) {
		t.Fatalf("got %v, want a fault", err)
	}
	if f.Next == "" {
		t.Error("the fault does not say what to do")
	}
	return f
}

func TestBuilderContract(t *testing.T) {
	e := realEngine(t)
	devenvtest.BuilderSuite(t, func(t *testing.T) devenvtest.Workshop {
		return &workshop{engine: e, builds: map[string]Build{}}
	})
}

// workshop makes the real engine a devenvtest.Workshop.
type workshop struct {
	engine *Engine
	builds map[string]Build
}

func (w *workshop) Set(t *testing.T, i plan.Image, r devenvtest.Recipe) {
	run := []string{}
	if r.Output != "" {
		verb := "print"
		if r.Fails {
			verb = "fail"
		}
		run = append(run, fmt.Sprintf(`RUN ["/tool", %q, %q]`, verb, r.Output))
	}
	if r.Waits {
		run = append(run, `RUN ["/tool", "wait"]`)
	}
	// A build that is in the builder's cache prints nothing; so each test has a context of its own.
	dir := toolContext(t, map[string]string{"content": r.Content, "salt": t.TempDir()})
	if b, ok := w.builds[i.Ref]; ok {
		dir = b.Context
		write(t, dir, map[string]string{"content": r.Content})
	}
	b := toolBuild(t, w.engine, dir, append([]string{"COPY salt content /"}, run...)...)
	b.Service, b.Ref = i.Service, i.Ref
	t.Cleanup(func() {
		if err := w.engine.Remove(context.Background(), []string{i.Ref}); err != nil {
			t.Error(err)
		}
	})
	w.builds[i.Ref] = b
}

func (w *workshop) Holds(t *testing.T, ref string) string {
	held, err := w.engine.Images(t.Context(), []string{ref})
	if err != nil {
		t.Fatal(err)
	}
	return held[ref]
}

func (w *workshop) Build(ctx context.Context, i plan.Image, report engine.Report) error {
	return w.engine.Build(ctx, w.builds[i.Ref], report)
}

func TestBuildFromManySettings(t *testing.T) {
	e := realEngine(t)
	dir := toolContext(t, nil)
	b := toolBuild(t, e, dir)
	b.Dockerfile = []byte("FROM scratch AS base\nARG GREETING=none\nENV GREETING=$GREETING\nCOPY tool /tool\n" +
		"RUN [\"/tool\", \"env\", \"GREETING\"]\nFROM base AS other\nRUN [\"/tool\", \"fail\", \"the wrong stage\"]\n")
	b.Target = "base"
	b.Args = map[string]string{"GREETING": "hello"}
	b.Labels = map[string]string{"run.devenv.test": b.Service}
	b.Platform = e.Platform()
	progress := mustBuild(t, e, b)
	if !strings.Contains(progress, "GREETING=hello") {
		t.Errorf("the argument did not arrive:\n%s", progress)
	}
	list, err := e.ImagesByLabel(t.Context(), "run.devenv.test="+b.Service)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || len(list[0].Tags) != 1 || list[0].Tags[0] != b.Ref || time.Since(list[0].Created).Abs() > time.Hour {
		t.Errorf("images by label: %+v", list)
	}
}

func TestBuildSendsOnlyWhatChanged(t *testing.T) {
	e := realEngine(t)
	dir := toolContext(t, map[string]string{"big": strings.Repeat("0123456789abcdef", 1<<20), "small": "one"})
	b := toolBuild(t, e, dir, "COPY big small /")
	if first := mustBuild(t, e, b); !strings.Contains(first, "build context, 1") || !strings.Contains(first, "MB") {
		t.Errorf("the first build did not send everything:\n%s", first)
	}
	write(t, dir, map[string]string{"small": "two"})
	began := time.Now()
	second := mustBuild(t, e, b)
	t.Logf("second build: %v", time.Since(began))
	if strings.Contains(second, "MB") || strings.Contains(second, "kB") {
		t.Errorf("the second build sent more than the file that changed:\n%s", second)
	}
}

func TestBuildStopsInTheEngine(t *testing.T) {
	e := realEngine(t)
	b := toolBuild(t, e, toolContext(t, nil), fmt.Sprintf(`RUN ["/tool", "wait", "%d"]`, time.Now().UnixNano()))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stopped time.Time
	err := e.Build(ctx, b, func(s string) {
		if strings.HasSuffix(s, "waiting") {
			stopped = time.Now()
			cancel()
		}
	})
	took := time.Since(stopped)
	if fault.Of(err) != fault.Interrupted {
		t.Fatalf("got %v", err)
	}
	t.Logf("stopped after %v", took)
	// The step is a process of the engine's host: where that is this machine, it can be seen to end.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		running := processes(strings.Split(string(b.Dockerfile), `"`)[5])
		if running == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d processes of the stopped build still run", running)
		}
	}
}

// processes counts the processes of this machine that have arg among their arguments.
func processes(arg string) int {
	n := 0
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if data, err := os.ReadFile(f); err == nil && bytes.Contains(data, []byte("/tool\x00wait\x00"+arg)) {
			n++
		}
	}
	return n
}

func TestBuildErrors(t *testing.T) {
	e := realEngine(t)
	salt := fmt.Sprint(time.Now().UnixNano())
	tests := map[string]struct {
		dockerfile string
		edit       func(*Build)
		kind       fault.Kind
		line       string
		says       string // in Err
		detail     string
		next       string
	}{
		"a step fails": {
			dockerfile: "FROM scratch\nCOPY tool /tool\n\nRUN [\"/tool\", \"fail\", \"main.go:3:1: syntax error\", \"" + salt + "\"]\n",
			kind:       fault.Build, line: ":4", says: "exit code: 1", detail: "main.go:3:1: syntax error\n" + salt,
		},
		"a step of a stage fails beside another": {
			dockerfile: "FROM scratch AS a\nCOPY tool /tool\nRUN [\"/tool\", \"wait\", \"" + salt + "\"]\n" +
				"FROM scratch AS b\nCOPY tool /tool\nRUN [\"/tool\", \"fail\", \"in b\", \"" + salt + "\"]\n" +
				"FROM scratch\nCOPY --from=a /tool /a\nCOPY --from=b /tool /b\n",
			kind: fault.Build, line: ":6", says: "exit code: 1", detail: "in b\n" + salt,
		},
		"an unknown instruction": {dockerfile: "FROM scratch\nFOO bar\n", kind: fault.Build, line: ":2", says: "unknown instruction"},
		"a file that is not there": {
			dockerfile: "FROM scratch\n# one\nCOPY nothere /x\n", kind: fault.Build, line: ":3", says: "not found", next: "must exist in the build context",
		},
		"a base image that cannot be had": {
			dockerfile: "FROM devenv.invalid/base:1\nCOPY tool /tool\n", kind: fault.Machine, line: ":1", says: "devenv.invalid", next: "docker load",
		},
		"a stage that is not there": {
			dockerfile: "FROM scratch AS build\nCOPY tool /tool\n", edit: func(b *Build) { b.Target = "biuld" },
			kind: fault.Config, says: "biuld", next: "must be a stage",
		},
		"a secret that is not declared": {
			dockerfile: "FROM scratch\nCOPY tool /tool\nRUN --mount=type=secret,id=token,required=true [\"/tool\", \"print\", \"" + salt + "\"]\n",
			kind:       fault.Build, line: ":3", says: "token", next: "build.secrets",
		},
		"a secret's file that is not there": {
			dockerfile: "FROM scratch\n", edit: func(b *Build) { b.Secrets = map[string]Secret{"token": {File: "/no/such/file"}} },
			kind: fault.Config, says: "/no/such/file", next: "build.secrets",
		},
		"a context that is not there": {
			dockerfile: "FROM scratch\n", edit: func(b *Build) { b.Context = "/no/such/dir" }, kind: fault.Config, says: "/no/such/dir", next: "directory",
		},
		"an ignore pattern that is not valid": {
			dockerfile: "FROM scratch\nCOPY tool /\n", edit: func(b *Build) { b.Ignore = []string{"a[b"} }, kind: fault.Config, says: "a[b", next: "ignore file",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := toolBuild(t, e, toolContext(t, nil))
			b.Dockerfile = []byte(test.dockerfile)
			if test.edit != nil {
				test.edit(&b)
			}
			f := mustFail(t, e, b)
			t.Logf("%v\n%s\n%s", f, f.Detail, f.Next)
			if f.Kind != test.kind {
				t.Errorf("kind %v, want %v", f.Kind, test.kind)
			}
			if want := b.DockerfileName + test.line; test.line != "" && f.Where != want {
				t.Errorf("where %q, want %q", f.Where, want)
			}
			if !strings.Contains(f.Error(), test.says) || !strings.Contains(f.Error(), b.Service) {
				t.Errorf("%q does not name the service and say %q", f.Error(), test.says)
			}
			if !strings.HasSuffix(f.Detail, test.detail) {
				t.Errorf("detail %q, want the end %q", f.Detail, test.detail)
			}
			if !strings.Contains(f.Next, test.next) {
				t.Errorf("next %q does not say %q", f.Next, test.next)
			}
		})
	}
}

func TestBuildNeedsNoSyntaxImage(t *testing.T) {
	e := realEngine(t)
	for _, offline := range []bool{false, true} {
		t.Run(fmt.Sprintf("offline=%v", offline), func(t *testing.T) {
			e := &Engine{api: e.api, endpoint: e.endpoint, config: e.config, unreachable: map[string]bool{}}
			b := toolBuild(t, e, toolContext(t, nil))
			b.Offline = offline
			b.Dockerfile = []byte("# syntax=devenv.invalid/frontend:1\n# escape=`\nFROM scratch\nCOPY `\n  tool /tool\nFOO\n")
			f := mustFail(t, e, b)
			if want := b.DockerfileName + ":6"; f.Where != want {
				t.Errorf("where %q, want %q: lines have moved (%v)", f.Where, want, f)
			}
			b.Dockerfile = bytes.TrimSuffix(b.Dockerfile, []byte("FOO\n"))
			if progress := mustBuild(t, e, b); !strings.Contains(progress, "frontend of the engine") {
				t.Errorf("the user is not told:\n%s", progress)
			}
		})
	}
}

func TestSecretsAreNowhere(t *testing.T) {
	e := realEngine(t)
	dir := toolContext(t, nil)
	write(t, dir, map[string]string{"token": "file-secret-5b1f\nsecond-line-77aa\n"})
	b := toolBuild(t, e, dir, `RUN --mount=type=secret,id=inline --mount=type=secret,id=file ["/tool", "cat", "/run/secrets/inline", "/run/secrets/file"]`)
	b.Secrets = map[string]Secret{"inline": {Value: "inline-secret-9c3d"}, "file": {File: filepath.Join(dir, "token")}}
	secrets := []string{"file-secret-5b1f", "second-line-77aa", "inline-secret-9c3d"}
	progress := mustBuild(t, e, b)
	if !strings.Contains(progress, "***") {
		t.Errorf("the step did not print its secrets:\n%s", progress)
	}
	history, err := e.api.ImageHistory(t.Context(), b.Ref)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := e.Export(t.Context(), []string{b.Ref}, &archive); err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets {
		if strings.Contains(progress, s) {
			t.Errorf("%s is in the progress", s)
		}
		if strings.Contains(fmt.Sprint(history), s) {
			t.Errorf("%s is in the image's history", s)
		}
		if bytes.Contains(archive.Bytes(), []byte(s)) {
			t.Errorf("%s is in the image", s)
		}
	}
	b.Dockerfile = append(b.Dockerfile, `RUN --mount=type=secret,id=inline ["/tool", "fail", "inline-secret-9c3d"]`...)
	if f := mustFail(t, e, b); strings.Contains(f.Detail+f.Error(), "inline-secret-9c3d") {
		t.Errorf("the secret is in the error: %+v", f)
	}
}

func TestOddContexts(t *testing.T) {
	e := realEngine(t)
	dir := toolContext(t, map[string]string{
		"src/main.go": "package main", "src/ignored/deep/keep.txt": "kept", "src/ignored/other.txt": "ignored",
		".dockerignore": "src/main.go\n", // the caller's patterns count, not this file
		"sub/a":         "hard link",
		"blanks and ü":  "odd name",
	})
	if err := os.Link(filepath.Join(dir, "sub/a"), filepath.Join(dir, "sub/b")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../src/main.go", filepath.Join(dir, "sub/link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/nowhere", filepath.Join(dir, "sub/dangling")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "sub/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(dir, "sub/socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	linked := filepath.Join(t.TempDir(), "linked")
	if err := os.Symlink(dir, linked); err != nil {
		t.Fatal(err)
	}
	b := toolBuild(t, e, linked)
	b.Dockerfile = []byte("FROM scratch\nCOPY . /\n")
	b.Ignore = []string{"src/ignored", "!src/ignored/deep/keep.txt", "**/*.log"}
	mustBuild(t, e, b)
	got := contents(t, e, b.Ref)
	for _, want := range []string{"src/main.go", "src/ignored/deep/keep.txt", ".dockerignore", "sub/a", "sub/b", "sub/link", "sub/dangling", "blanks and ü", "tool"} {
		if !got[want] {
			t.Errorf("%s is not in the image", want)
		}
	}
	if got["src/ignored/other.txt"] {
		t.Error("an ignored file is in the image")
	}
	t.Log(got)
}

// contents are the paths in the layers of an image.
func contents(t *testing.T, e *Engine, ref string) map[string]bool {
	t.Helper()
	var archive bytes.Buffer
	if err := e.Export(t.Context(), []string{ref}, &archive); err != nil {
		t.Fatal(err)
	}
	paths := map[string]bool{}
	for outer := tar.NewReader(&archive); ; {
		h, err := outer.Next()
		if errors.Is(err, io.EOF) {
			return paths
		}
		if err != nil {
			t.Fatal(err)
		}
		for inner := tar.NewReader(outer); h.Typeflag == tar.TypeReg; {
			h, err := inner.Next()
			if err != nil {
				break // not a layer, or its end
			}
			paths[strings.TrimSuffix(h.Name, "/")] = true
		}
	}
}

func TestEngineThatVanishes(t *testing.T) {
	real := realEngine(t)
	if !strings.HasPrefix(real.endpoint.host, "unix://") {
		t.Skip("the engine is not on this machine")
	}
	p := newProxy(t, strings.TrimPrefix(real.endpoint.host, "unix://"))
	e, err := open(t.Context(), func(name string) string {
		if name == "DOCKER_HOST" {
			return "unix://" + p.path
		}
		return ""
	}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	b := toolBuild(t, real, toolContext(t, nil), fmt.Sprintf(`RUN ["/tool", "wait", "%d"]`, time.Now().UnixNano()))
	err = e.Build(t.Context(), b, func(s string) {
		if strings.HasSuffix(s, "waiting") {
			p.cut()
		}
	})
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Machine || !strings.Contains(f.What, "stopped answering") || !strings.Contains(f.Next, "DOCKER_HOST") {
		t.Fatalf("got %+v", err)
	}
	t.Logf("%v\n%s", f, f.Next)
	if _, err := e.Images(t.Context(), []string{b.Ref}); fault.Of(err) != fault.Machine {
		t.Errorf("got %v", err)
	}
}

// proxy is a way to an engine that can be cut.
type proxy struct {
	path     string
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
	wg       sync.WaitGroup
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	p := &proxy{path: filepath.Join(t.TempDir(), "engine.sock")}
	var err error
	if p.listener, err = net.Listen("unix", p.path); err != nil {
		t.Fatal(err)
	}
	p.wg.Go(func() {
		for {
			in, err := p.listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", to)
			if err != nil {
				in.Close()
				return
			}
			p.mu.Lock()
			p.conns = append(p.conns, in, out)
			p.mu.Unlock()
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				p.wg.Go(func() {
					io.Copy(pair[0], pair[1])
					pair[0].Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) cut() {
	p.listener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
}

func TestRunOnceForReal(t *testing.T) {
	e := realEngine(t)
	b := toolBuild(t, e, toolContext(t, nil))
	mustBuild(t, e, b)
	run := RunOnce{Image: b.Ref, Entrypoint: []string{"/tool"}, Cmd: []string{"caps"}, Privileged: true}
	out, err := e.RunOnce(t.Context(), run)
	if err != nil || !strings.Contains(out, "CapBnd:") {
		t.Errorf("got %q, %v", out, err)
	}
	run.Cmd = []string{"fail", "not here"}
	var f *fault.Error
	if _, err := e.RunOnce(t.Context(), run); !errors.As(err, &f) || f.Kind != fault.Machine || !strings.Contains(f.Detail, "not here") {
		t.Errorf("got %v", err)
	}
	run.Cmd = []string{"wait"}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := e.RunOnce(ctx, run); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	run.Image = "devenv.test/no-such-image:1"
	if _, err := e.RunOnce(t.Context(), run); fault.Of(err) != fault.Machine {
		t.Errorf("got %v", err)
	}
	left, err := e.api.ContainerList(t.Context(), container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", runLabel))})
	if err != nil || len(left) > 0 {
		t.Errorf("containers left behind: %v, %v", left, err)
	}
}

func TestImagesForReal(t *testing.T) {
	e := realEngine(t)
	b := toolBuild(t, e, toolContext(t, nil))
	mustBuild(t, e, b)
	const absent = "devenv.test/no-such-image:1"
	held, err := e.Images(t.Context(), []string{b.Ref, absent})
	if err != nil || len(held) != 1 || !strings.HasPrefix(held[b.Ref], "sha256:") {
		t.Fatalf("got %v, %v", held, err)
	}
	digest, local, err := e.Resolve(t.Context(), b.Ref)
	if err != nil || !local || digest != held[b.Ref] {
		t.Errorf("got %s, %v, %v", digest, local, err)
	}
	var f *fault.Error
	if _, _, err := e.Resolve(t.Context(), "devenv.invalid/no-such-image:1"); !errors.As(err, &f) || f.Kind != fault.Machine || !strings.Contains(f.Error(), "devenv.invalid") {
		t.Errorf("got %v", err)
	}
	if err := e.Pull(t.Context(), "devenv.invalid/no-such-image:1", func(string) {}); fault.Of(err) != fault.Machine {
		t.Errorf("got %v", err)
	}
	if err := e.Export(t.Context(), []string{absent}, io.Discard); fault.Of(err) != fault.Machine {
		t.Errorf("got %v", err)
	}
	full := errors.New("full")
	if err := e.Export(t.Context(), []string{b.Ref}, failingWriter{full}); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	if err := e.Remove(t.Context(), []string{b.Ref, absent}); err != nil {
		t.Error(err)
	}
	if held, err = e.Images(t.Context(), []string{b.Ref}); err != nil || len(held) > 0 {
		t.Errorf("still there: %v, %v", held, err)
	}
	info, err := e.Info(t.Context())
	if err != nil || info.Version == "" || info.Memory == 0 || info.CgroupVersion == "" {
		t.Errorf("got %+v, %v", info, err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }
