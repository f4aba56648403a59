package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// lockProject is a project whose base image is this test's own.
const lockProject = `apiVersion: devenv/v1
name: lock-e2e
services:
  web: {image: registry.example.com/lock/web, build: {context: .}}
deploy:
  - {name: web, manifests: [web.yaml]}
profiles:
  extra: {services: {web: {build: {dockerfile: other.Dockerfile}}}}
`

const lockObjects = `apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default}
spec: {containers: [{name: web, image: registry.example.com/lock/web}, {name: other, image: "registry.example.com/lock/other:1"}]}
`

// TestLock: what is locked is found again and changes no byte; an image that becomes another one is told before anything is done; no cluster is
// needed, and no variable of the environment changes anything.
func TestLock(t *testing.T) {
	parallel(t, 10*time.Second)
	root := checkout(t)
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	docker := func(stdin string, args ...string) {
		t.Helper()
		cmd := exec.Command("docker", args...)
		cmd.Stdin = strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("docker %v: %v\n%s", args, err, out)
		}
	}
	const base, second, other, aside = "example.com/devenv-e2e-lock/base:1", "example.com/devenv-e2e-lock/second:1", "registry.example.com/lock/other:1", "example.com/devenv-e2e-lock/aside:1"
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "--force", base, second, other, aside).Run() })
	build := func(tag, text string) { docker("FROM scratch\nLABEL text="+text+"\n", "build", "--tag", tag, "-") }
	build(base, "one")
	build(second, "two")
	build(aside, "three")
	docker("", "tag", aside, other)
	write("devenv.yaml", lockProject)
	write("web.yaml", lockObjects)
	write("Dockerfile", "FROM "+base+"\n")
	write("other.Dockerfile", "FROM "+second+"\n")
	state := t.TempDir()
	devenv := func(exit int, extra []string, args ...string) string {
		t.Helper()
		cmd := exec.Command(filepath.Join(root, "bin", "devenv"), args...)
		cmd.Dir = dir
		cmd.Env = append(append(os.Environ(), "XDG_STATE_HOME="+state), extra...)
		out, err := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != exit {
			t.Fatalf("devenv %v: %v, want %d\n%s", args, err, exit, out)
		}
		return string(out)
	}
	text := func() []byte {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, "devenv.lock"))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}

	devenv(9, nil, "plan", "--locked", "--profile", "extra")
	out := devenv(0, nil, "lock", "--offline")
	for _, name := range []string{base, second, other} { // those of the profile, too
		if !strings.Contains(out, name) || !bytes.Contains(text(), []byte(name)) {
			t.Errorf("%s is not in the lock:\n%s\n%s", name, out, text())
		}
	}
	before := text()
	devenv(0, nil, "lock", "--offline", "--profile", "extra")
	if !bytes.Equal(before, text()) {
		t.Errorf("with a profile the lock is another one:\n%s\n%s", before, text())
	}

	// Variables that mean something to Helm, Kustomize, Compose and others, and one for each key.
	hostile := []string{
		"HELM_NAMESPACE=evil", "HELM_KUBEVERSION=v1.1.1", "HELM_DATA_HOME=/nowhere", "KUSTOMIZE_PLUGIN_HOME=/nowhere", "COMPOSE_FILE=x", "COMPOSE_PROFILES=extra",
		"DEVENV_FILE=x", "DEVENV_PROFILE=extra", "DEVENV_LOCKED=1", "DEVENV_WORKERS=7", "NAME=evil", "NAMESPACE=evil", "KUBECONFIG=/nowhere", "POD_NAMESPACE=evil",
		"KIND_EXPERIMENTAL_PROVIDER=podman", "KIND_CLUSTER_NAME=evil", "DOCKER_DEFAULT_PLATFORM=linux/s390x", "DOCKER_BUILDKIT=0", "LANG=tr_TR.UTF-8", "TZ=Asia/Kolkata",
		"GOOS=plan9", "BUILDPLATFORM=linux/s390x", "TARGETARCH=s390x", "SOURCE_DATE_EPOCH=1",
	}
	for _, args := range [][]string{{"render"}, {"plan"}, {"lock"}} {
		args = append(args, "--profile", "extra", "--offline", "-o", "quiet")
		if plain, got := devenv(0, nil, args...), devenv(0, hostile, args...); plain != got {
			t.Errorf("devenv %v depends on the environment:\n%s\n%s", args, plain, got)
		}
	}
	if !bytes.Equal(before, text()) {
		t.Error("the lock depends on the environment")
	}

	devenv(0, nil, "lock", "--locked", "--offline")
	devenv(0, nil, "plan", "--locked", "--offline", "--profile", "extra")
	build(other, "four")
	for _, args := range [][]string{{"up"}, {"plan"}, {"render"}, {"parity"}, {"lock"}} {
		out := devenv(9, nil, append(args, "--locked", "--offline", "--profile", "extra")...)
		if !strings.Contains(out, "image "+other) || !strings.Contains(out, "devenv lock") || strings.Contains(out, base) {
			t.Errorf("%v:\n%s", args, out)
		}
	}
	if out := devenv(0, nil, "plan", "--offline", "--profile", "extra"); !strings.Contains(out, "devenv.lock does not match: image "+other+" is another one") {
		t.Error(out)
	}
	docker("", "tag", aside, other)
	devenv(0, nil, "plan", "--locked", "--offline", "--profile", "extra")

	// A tag that becomes another base image, and a lock that two people changed.
	docker("", "tag", second, base)
	devenv(0, nil, "plan", "--locked", "--offline", "--profile", "extra") // which does not build from it
	if out := devenv(9, nil, "plan", "--locked", "--offline"); !strings.Contains(out, "base image "+base+" (Dockerfile:1)") {
		t.Error(out)
	}
	write("devenv.lock", "<<<<<<< ours\n"+string(before)+"=======\n>>>>>>> theirs\n")
	if out := devenv(2, nil, "plan"); !strings.Contains(out, "devenv.lock:1: the lock holds an unresolved merge conflict") {
		t.Error(out)
	}
	devenv(0, nil, "lock", "--offline")
	devenv(0, nil, "plan", "--locked", "--offline", "--profile", "extra")
}
