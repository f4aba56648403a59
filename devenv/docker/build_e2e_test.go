package docker

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/devenv-run/devenv/devenv/fault"
)

func TestBuildFromManySettings(t *testing.T) {
	e := realEngine(t)
	dir := toolContext(t, nil)
	b := toolBuild(t, e, dir)
	b.Dockerfile = []byte("FROM scratch AS base\nARG GREETING=none\nENV GREETING=$GREETING\nCOPY tool /tool\n" +
		"RUN [\"/tool\", \"env\", \"GREETING\"]\nFROM base AS other\nRUN [\"/tool\", \"fail\", \"the wrong stage\"]\n")
	b.Target = "base"
	b.Args = map[string]string{"GREETING": "hello"}
	b.Platform = e.Platform()
	progress := mustBuild(t, e, b)
	if !strings.Contains(progress, "GREETING=hello") {
		t.Errorf("the argument did not arrive:\n%s", progress)
	}
	list, err := e.ImagesByLabel(t.Context(), testLabel+"="+b.Service)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || len(list[0].Tags) != 1 || list[0].Tags[0] != b.Ref || time.Since(list[0].Created).Abs() > time.Hour {
		t.Errorf("images by label: %+v", list)
	}
}

// TestBuildOnWhatTheEngineHolds: a base image that is there is used, although its registry does not exist.
func TestBuildOnWhatTheEngineHolds(t *testing.T) {
	e := realEngine(t)
	base := toolBuild(t, e, toolContext(t, nil))
	mustBuild(t, e, base)
	b := toolBuild(t, e, toolContext(t, map[string]string{"file": "x"}))
	b.Dockerfile = []byte("FROM " + base.Ref + "\nCOPY file /\n")
	mustBuild(t, e, b)
	if got := contents(t, e, b.Ref); got["file"] != "x" || got["tool"] == "" {
		t.Errorf("the image does not hold both the base and the file: %d files", len(got))
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
	for _, s := range secrets {
		if strings.Contains(progress, s) {
			t.Errorf("%s is in the progress", s)
		}
		if strings.Contains(fmt.Sprint(history), s) {
			t.Errorf("%s is in the image's history", s)
		}
		for path, data := range contents(t, e, b.Ref) {
			if strings.Contains(data, s) {
				t.Errorf("%s is in %s of the image", s, path)
			}
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
		if _, ok := got[want]; !ok {
			t.Errorf("%s is not in the image", want)
		}
	}
	if _, ok := got["src/ignored/other.txt"]; ok {
		t.Error("an ignored file is in the image")
	}
}
