package docker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/util/grpcerrors"
	"google.golang.org/grpc/codes"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/secret"
)

// buildFault turns the error of a build into one for the user.
func (e *Engine) buildFault(ctx context.Context, b Build, p *progress, hidden *secret.Redactor, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", b.what(), ctx.Err())
	}
	var dial *dialError
	if errors.As(err, &dial) && dial.refused() {
		return &fault.Error{
			Kind: fault.Machine, What: b.what() + ": the Docker Engine " + e.version + " offers no BuildKit", Err: err,
			Next: "Update Docker to 20.10 or newer; if the engine is Podman, use its Docker-compatible service with BuildKit, or Docker.",
		}
	}
	st := p.failed(err)
	if st == nil && (dial != nil || severed(err)) {
		if !e.answers(ctx) {
			return e.gone(b.what(), cause(err, hidden))
		}
		return &fault.Error{
			Kind: fault.Machine, What: b.what() + ": the Docker Engine stopped the build", Err: cause(err, hidden),
			Next: "The engine was restarted, or somebody cancelled the build; run the command again.",
		}
	}
	if line := b.line(err, st); b.Added > 0 && (line == 0 || line >= b.Added) {
		return fmt.Errorf("%s: %w: %w", b.what(), ErrAdded, cause(err, hidden))
	}
	f := &fault.Error{
		Kind: fault.Build, What: b.what(), Where: b.where(err, st), Err: cause(err, hidden),
		Next: "Correct what the output shows and run the command again.",
	}
	if st != nil {
		f.Detail = st.output.String()
	}
	b.explain(f, st, err)
	return f
}

// explain finds out what kind of failure f is, from the step that failed and from the words, and says what to do.
func (b Build) explain(f *fault.Error, st *step, err error) {
	text := err.Error()
	if noSpace(text) || noSpace(f.Detail) {
		full := diskFull(b.what(), f.Err)
		f.Kind, f.What, f.Next = full.Kind, full.What, full.Next
		f.Where = "" // no line of the Dockerfile is to blame
		return
	}
	if st == nil {
		st = &step{}
	}
	if image := imageIn(st.name); image != "" {
		f.Kind, f.Next = refusal(image, domainOf(image), answered(st.err))
		f.What += ": image " + image + " is not available"
		if f.Kind == fault.Config {
			f.Kind = fault.Build // the Dockerfile names it, not devenv.yaml
		}
		return
	}
	switch {
	case strings.Contains(text, "target stage") && strings.Contains(text, "could not be found"):
		f.Kind, f.Next = fault.Config, fmt.Sprintf("build.target in devenv.yaml must be a stage of %s.", b.DockerfileName)
	case missingSecret.MatchString(text):
		f.Next = "Declare the secret under build.secrets of the service in devenv.yaml."
	case strings.Contains(text, "error from sender"):
		f.Next = "A file of the build context could not be read. Make it readable, or exclude it in the ignore file."
	case strings.Contains(text, "failed to calculate checksum") || strings.Contains(text, "failed to compute cache key"):
		f.Next = "The file must exist in the build context and must not be excluded by the ignore file."
	}
}

var missingSecret = regexp.MustCompile(`secret \S+( \S+)?: not found|secret \S+ not found`)

// severed says whether a build ended because the connection did, or because the engine ended it.
func severed(err error) bool {
	switch grpcerrors.Code(err) {
	case codes.Unavailable, codes.Canceled:
		return true
	}
	return lostConnection(err) || strings.Contains(err.Error(), "no active session")
}

// imageSteps are the names of steps that get an image from a registry.
var imageSteps = regexp.MustCompile(
	`^(?:\[(?:[^\]]* )?internal\] load metadata for|resolve image config for(?: docker-image://)?|\[[^\]]*\] FROM) ?([^ ]+)`)

// imageIn is the image that a step of this name wants from a registry, as people write it, or "".
func imageIn(step string) string {
	if m := imageSteps.FindStringSubmatch(step); m != nil {
		return familiar(m[1])
	}
	return ""
}

// familiar is an image reference as people write it, without the default registry, and always with its tag.
func familiar(ref string) string {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return ref
	}
	return reference.FamiliarString(named)
}

func domainOf(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ""
	}
	return reference.Domain(named)
}

// cause is err in BuildKit's words, without the layers of wrapping that say nothing ("failed to solve: rpc error: …") and without
// the values of secrets. The chain of err stays.
func cause(err error, hidden *secret.Redactor) error {
	return &wordsError{words: hidden.Clean(withoutStatus(err.Error())), err: err}
}

type wordsError struct {
	words string
	err   error
}

func (e *wordsError) Error() string { return e.words }
func (e *wordsError) Unwrap() error { return e.err }

var wrapping = regexp.MustCompile(
	`(failed to solve( with frontend [a-z0-9.]+)?|failed to create LLB definition|failed to receive status|rpc error: code = \w+ desc =):? ?`)

// withoutStatus takes the wrapping off an error's text.
func withoutStatus(text string) string { return wrapping.ReplaceAllString(text, "") }
