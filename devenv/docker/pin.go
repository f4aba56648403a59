package docker

import (
	"context"
	"slices"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
)

// resolveTimeout is how long a registry may take to say what a tag stands for.
const resolveTimeout = 15 * time.Second

// Pin is what an image reference stands for. The zero Pin says that nobody knows.
type Pin struct {
	ID      string   // of the image that the engine holds under the reference; empty if it holds none
	Digests []string // under which the reference's repository knows the image, sorted; none for an image that was only built or loaded
}

// Digest is the one that stands for the image where one is needed, always the same of several: a digest of its registry, else its ID.
func (p Pin) Digest() string {
	if len(p.Digests) > 0 {
		return p.Digests[0]
	}
	return p.ID
}

// Pin says what an image reference stands for, without pulling anything: the engine says it of an image that it holds. Of another one the
// registry is asked, through the engine and with the user's credentials, if ask is true; if it is not, the Pin is empty.
// A reference that names a digest stands for that.
func (e *Engine) Pin(ctx context.Context, ref string, ask bool) (Pin, error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return Pin{}, notAReference(ref, err)
	}
	p, err := e.inspect(ctx, named, named.String())
	if err != nil {
		return Pin{}, err
	}
	if pinned, ok := named.(reference.Digested); ok {
		p.Digests = []string{pinned.Digest().String()}
	}
	if p.ID != "" || len(p.Digests) > 0 || !ask {
		return p, nil
	}
	auth, err := e.credentials(named)
	if err != nil {
		return Pin{}, err
	}
	wait, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	d, err := e.api.DistributionInspect(wait, named.String(), auth)
	if err != nil {
		return Pin{}, e.registryFault(ctx, resolving(named), named, err)
	}
	return Pin{Digests: []string{d.Descriptor.Digest.String()}}, nil
}

// PinOf is Pin for an image that the engine holds under an ID, whatever the reference ref stands for by now.
func (e *Engine) PinOf(ctx context.Context, id, ref string) (Pin, error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return Pin{}, notAReference(ref, err)
	}
	return e.inspect(ctx, named, id)
}

func resolving(named reference.Named) string {
	return "resolving image " + reference.FamiliarString(named)
}

// inspect is what the engine knows of an image, by a name or an ID, in the repository of named. It is empty if the engine does not hold it.
func (e *Engine) inspect(ctx context.Context, named reference.Named, image string) (Pin, error) {
	held, err := e.api.ImageInspect(ctx, image)
	if cerrdefs.IsNotFound(err) {
		return Pin{}, nil
	}
	if err != nil {
		return Pin{}, e.fault(ctx, resolving(named), err)
	}
	return Pin{ID: held.ID, Digests: repoDigests(named, held.RepoDigests)}, nil
}

// repoDigests are the digests that the repository of named has in an image's list of repository@digest, sorted.
func repoDigests(named reference.Named, list []string) []string {
	var found []string
	for _, s := range list {
		r, err := reference.ParseNormalizedNamed(s)
		if err != nil || r.Name() != named.Name() {
			continue
		}
		if d, ok := r.(reference.Digested); ok {
			found = append(found, d.Digest().String())
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
