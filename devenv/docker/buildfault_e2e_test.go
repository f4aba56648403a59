package docker

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/fault"
)

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

func TestEngineThatVanishes(t *testing.T) {
	real := realEngine(t)
	if !strings.HasPrefix(real.endpoint.host, "unix://") {
		t.Skip("the engine is not on this machine")
	}
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "engine.sock"))
	if err != nil {
		t.Fatal(err)
	}
	p := newProxy(t, listener, strings.TrimPrefix(real.endpoint.host, "unix://"))
	e, err := open(t.Context(), func(name string) string {
		if name == "DOCKER_HOST" {
			return "unix://" + listener.Addr().String()
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
