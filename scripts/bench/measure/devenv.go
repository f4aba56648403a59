package measure

import (
	"context"
	"path/filepath"
)

// Devenv is devenv on one project.
type Devenv struct {
	Program string // path of the binary
	Project string // directory of its devenv.yaml
}

// BuildDevenv builds this checkout's devenv as it is shipped, and gives the binary's path. The working directory has to be in devenv's module.
func BuildDevenv(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "devenv")
	_, err := Run(ctx, "", "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "github.com/devenv-run/devenv/cmd/devenv")
	return program, err
}

// Args are a command's arguments for the project, with events as output.
func (d Devenv) Args(args ...string) []string {
	return append(args, "--file", filepath.Join(d.Project, "devenv.yaml"), "--output", "json")
}

// Run runs a command on the project and gives its events.
func (d Devenv) Run(ctx context.Context, args ...string) (string, error) {
	return Run(ctx, "", d.Program, d.Args(args...)...)
}
