package docker

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"

	"github.com/devenv-run/devenv/devenv/fault"
)

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
