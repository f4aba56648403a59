package docker

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	bkclient "github.com/moby/buildkit/client"
	bkerrdefs "github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/secret"
)

// TestBuildFault covers what the recordings of TestProgress do not: the words of newer engines, and what cannot be recorded here.
func TestBuildFault(t *testing.T) {
	step := func(name, err string) *bkclient.SolveStatus {
		return &bkclient.SolveStatus{Vertexes: []*bkclient.Vertex{{Digest: "sha256:1", Name: name, Error: err}}}
	}
	run := step("[build 3/5] RUN make", `process "/bin/sh -c make" did not complete successfully: exit code: 2`)
	output := &bkclient.SolveStatus{Logs: []*bkclient.VertexLog{{Vertex: "sha256:1", Data: []byte("cc: x.c:1: error\nmake: *** Error 1\n")}}}
	full := &bkclient.SolveStatus{Logs: []*bkclient.VertexLog{{Vertex: "sha256:1", Data: []byte("cp: error writing '/x': No space left on device\n")}}}
	failed := errors.New(`failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 2`)

	tests := map[string]struct {
		status []*bkclient.SolveStatus
		err    error
		kind   fault.Kind
		where  string
		what   string
		cause  string
		detail string
		next   string
	}{
		"the error names the line": {
			status: []*bkclient.SolveStatus{run, output},
			err: fmt.Errorf("failed to solve: %w", bkerrdefs.WithSource(errors.New(`process "/bin/sh -c make" did not complete successfully: exit code: 2`), &bkerrdefs.Source{
				Info: &pb.SourceInfo{Filename: "Dockerfile"}, Ranges: []*pb.Range{{Start: &pb.Position{Line: 9}, End: &pb.Position{Line: 10}}},
			})),
			kind: fault.Build, where: "svc/Dockerfile:9", what: "build of service grades",
			cause: `process "/bin/sh -c make" did not complete successfully: exit code: 2`, detail: "cc: x.c:1: error\nmake: *** Error 1",
		},
		"the disk is full, says a step": {
			status: []*bkclient.SolveStatus{run, full}, err: failed, kind: fault.Machine, what: "disk is full",
			detail: "cp: error writing '/x': No space left on device", next: "docker system df", cause: "exit code: 2",
		},
		"the disk is full, says the engine": {
			err: errors.New("failed to solve: failed to copy: write /var/lib/docker/x: no space left on device"), kind: fault.Machine,
			what: "disk is full", next: "docker system df", cause: "no space left",
		},
		"a base image that the registry denies": {
			status: []*bkclient.SolveStatus{step("[internal] load metadata for docker.io/academy/base:1", "pull access denied, repository does not exist or may require authorization")},
			err:    errors.New("failed to solve: academy/base:1: pull access denied, repository does not exist or may require authorization"),
			kind:   fault.Build, where: "svc/Dockerfile", what: "image academy/base:1", next: "docker login docker.io", cause: "pull access denied",
		},
		"a frontend that its registry does not have": {
			status: []*bkclient.SolveStatus{step("resolve image config for docker-image://docker.io/docker/dockerfile:nope", "docker.io/docker/dockerfile:nope: not found")},
			err:    errors.New("failed to solve: docker.io/docker/dockerfile:nope: not found"),
			kind:   fault.Build, where: "svc/Dockerfile", what: "image docker/dockerfile:nope", next: "Check the name", cause: "not found",
		},
		"a file that cannot be read": {
			err: errors.New("failed to solve: rpc error: code = Unknown desc = error from sender: open /ctx/secret: permission denied"), kind: fault.Build,
			where: "svc/Dockerfile", what: "build of service grades", next: "readable", cause: "error from sender: open /ctx/secret: permission denied",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := newProgress(func(string) {}, &secret.Redactor{})
			for _, s := range test.status {
				p.update(s)
			}
			b := Build{Service: "grades", DockerfileName: "svc/Dockerfile"}
			f := checkFault(t, (&Engine{}).buildFault(t.Context(), b, p, &secret.Redactor{}, test.err), test.kind, test.next, test.cause)
			if f.Where != test.where || !strings.Contains(f.What, test.what) || f.Detail != test.detail || !errors.Is(f, test.err) {
				t.Errorf("got %+v", f)
			}
		})
	}
}

func TestBuildStoppedByTheEngine(t *testing.T) {
	e := fakeEngine(t, nil, "")
	p := newProgress(func(string) {}, &secret.Redactor{})
	p.update(&bkclient.SolveStatus{Vertexes: []*bkclient.Vertex{{Digest: "sha256:1", Name: "[2/2] RUN make", Error: "context canceled"}}})
	err := fmt.Errorf("failed to solve: %w", status.Error(codes.Canceled, "context canceled"))
	checkFault(t, e.buildFault(t.Context(), Build{Service: "grades"}, p, &secret.Redactor{}, err), fault.Machine, "stopped the build", "run the command again")
}
