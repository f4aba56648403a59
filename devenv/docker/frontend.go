package docker

import (
	"context"
	"fmt"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// builtInAttribute tells BuildKit's Dockerfile frontend that a `# syntax=` line has been dealt with. BuildKit sets it for the frontends
// that it starts because of such a line, so that they do not look for it again, in all versions; here it makes the
// frontend that is built into the engine do the work, with the Dockerfile and its line numbers left as they are.
const builtInAttribute = "cmdline"

// frontend is the image that a Dockerfile wants to be read by (`# syntax=docker/dockerfile:1`); the zero value is none.
//
// BuildKit asks a registry for it in every build, which would make every such Dockerfile fail without a network, although the frontend
// in the engine reads nearly all of them as well. So where no registry can be asked, devenv uses the one in the engine and says so.
type frontend struct {
	ref string // as the Dockerfile writes it
}

// frontendOf finds the frontend that a Dockerfile names.
func frontendOf(dockerfile []byte) frontend {
	ref, _, _, ok := parser.DetectSyntax(dockerfile)
	if !ok {
		return frontend{}
	}
	return frontend{ref: ref}
}

// notice tells the user what was decided.
func (f frontend) notice() string {
	return fmt.Sprintf("%s (# syntax=) cannot be fetched; using the Dockerfile frontend of the engine", f.ref)
}

// mustBuildIn decides, before a build, whether to leave the named frontend out: where the build before could not get it, or
// where asking is not wanted and the engine does not hold it.
func (e *Engine) mustBuildIn(ctx context.Context, b Build, f frontend, report func(string)) bool {
	if f.ref == "" {
		return false
	}
	e.mu.Lock()
	skip := e.unreachable[f.ref]
	e.mu.Unlock()
	if !skip && b.Offline {
		_, err := e.api.ImageInspect(ctx, f.ref)
		skip = cerrdefs.IsNotFound(err)
	}
	if skip {
		report(f.notice())
	}
	return skip
}

// lacksFrontend says whether a build failed because its frontend could not be fetched, and remembers it for the builds
// after this one, which need not wait for the network again. A frontend that its registry does not have is the user's to correct.
func (e *Engine) lacksFrontend(f frontend, p *progress, err error) bool {
	if f.ref == "" || !f.failedIn(p, err) {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.unreachable[f.ref] = true
	return true
}

// failedIn says whether getting the frontend from a registry that could not be reached is what made a build fail.
func (f frontend) failedIn(p *progress, err error) bool {
	named, parseErr := reference.ParseDockerRef(f.ref)
	if parseErr != nil {
		return false
	}
	step := p.failed(err)
	return step != nil && strings.HasPrefix(step.name, "resolve image config for ") && strings.Contains(step.name, named.String()) &&
		!answered(step.err)
}
