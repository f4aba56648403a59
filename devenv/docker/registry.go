package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
	registrytypes "github.com/docker/docker/api/types/registry"
	"github.com/moby/buildkit/session/auth/authprovider"

	"github.com/devenv-run/devenv/devenv/fault"
)

// Resolve says what an image reference stands for, without pulling anything. For an image that the engine holds that is
// the digest under which its repository knows it, or the image's ID if no registry knows it (local is true); otherwise it is the
// digest that the registry answers, asked by the engine with the user's credentials. A reference that names a digest stands for it.
func (e *Engine) Resolve(ctx context.Context, ref string) (digest string, local bool, err error) {
	p, err := e.Pin(ctx, ref, true)
	return p.Digest(), p.ID != "", err
}

func notAReference(ref string, err error) error {
	return &fault.Error{
		Kind: fault.Config, What: fmt.Sprintf("%q is not an image reference", ref), Err: err, Next: "Correct the name of the image.",
	}
}

// credentials are the user's for the registry of an image, from the docker configuration or its credential helper, encoded for a
// header. No credentials are no error: most images are public.
func (e *Engine) credentials(named reference.Named) (string, error) {
	c, err := e.config.GetAuthConfig(registryKey(named))
	if err != nil {
		return "", &fault.Error{
			Kind: fault.Machine, What: "reading the credentials for " + reference.Domain(named), Err: err,
			Next: "The credential helper of the docker configuration failed; `docker login " + reference.Domain(named) + "` shows why.",
		}
	}
	return registrytypes.EncodeAuthConfig(registrytypes.AuthConfig{
		Username: c.Username, Password: c.Password, Auth: c.Auth, ServerAddress: c.ServerAddress,
		IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken,
	})
}

// registryKey is the name under which the docker configuration keeps the credentials for an image's registry.
func registryKey(named reference.Named) string {
	if d := reference.Domain(named); d != "docker.io" {
		return d
	}
	return authprovider.DockerHubConfigfileKey
}

// registryFault is the fault of an image that its registry did not give: because it does not have it, which is for the user to
// correct, or because it could not be asked.
func (e *Engine) registryFault(ctx context.Context, what string, named reference.Named, err error) error {
	f := e.fault(ctx, what, err)
	var one *fault.Error
	if !errors.As(f, &one) || ctx.Err() != nil || noSpace(err.Error()) || lostConnection(err) && !e.answers(ctx) {
		return f
	}
	name := reference.FamiliarString(named)
	one.Kind, one.Next = refusal(name, reference.Domain(named), cerrdefs.IsNotFound(err) || answered(err.Error()))
	return one
}

// refusal says whose turn it is, and what to do, where an image cannot be had: its registry does not give it, or could not be asked.
func refusal(name, domain string, answered bool) (fault.Kind, string) {
	if answered {
		return fault.Config, fmt.Sprintf("Check the name of %s. If it is private, `docker login %s` first; "+
			"if it only exists on this machine, build or load it into the Docker Engine.", name, domain)
	}
	return fault.Machine, fmt.Sprintf("%s is not in the Docker Engine and its registry could not be asked. "+
		"Check the engine's network, proxy and registry mirror, or bring the image in with `docker load`.", name)
}

// answered says whether the words are those of a registry that was asked and does not give the image, rather than those of a
// network on the way to it.
func answered(text string) bool {
	text = strings.ToLower(text)
	contains := func(s string) bool { return strings.Contains(text, s) }
	if slices.ContainsFunc([]string{"dial tcp", "no such host", "timeout", "unknown authority", "proxyconnect", "connection refused"}, contains) {
		return false
	}
	return slices.ContainsFunc([]string{
		"not found", "unknown", "denied", "unauthorized", "authentication required", "no basic auth credentials",
		"authorization failed", "insufficient_scope", "does not exist", "no match for platform",
	}, contains)
}
