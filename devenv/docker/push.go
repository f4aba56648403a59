package docker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/docker/docker/api/types/filters"
	dockerimage "github.com/docker/docker/api/types/image"
	registrytypes "github.com/docker/docker/api/types/registry"
	"github.com/docker/docker/pkg/jsonmessage"

	"github.com/devenv-run/devenv/devenv/image"
)

// repository is a new path of a repository in our registry. It cannot be guessed: everybody on this machine can connect. A reference with it
// that outlives its push was left by a devenv that was killed.
func repository() string { return "run.devenv/" + strings.ToLower(rand.Text()) }

// A push is compressed at about 15 to 30 MB a second, an export runs at 100; so a push of more than a fifth of the image is no gain. Below
// pushAnyway it never matters.
const (
	pushFraction = 5
	pushAnyway   = 4 << 20
)

func worthPushing(w image.Want) int64 { return max(w.Size/pushFraction, pushAnyway) }

// push is Fetch by a push to a registry in this process. It fails with errUntaught where the engine would send more than is wanted.
func (e *Engine) push(ctx context.Context, w image.Want) (i *image.Image, err error) {
	pushing, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	registry := &loopback{
		repository: repository(), spool: w.Spool, refuse: refuse,
		named: func(digest string) bool { _, ok := w.Named(digest); return ok },
		early: w.Early,
		// One more for the configuration.
		uploads: len(w.Wanted) + 1, size: worthPushing(w),
	}
	address, stop, err := registry.listen(pushing)
	if err != nil {
		return nil, err
	}
	defer stop()
	name := address + "/" + registry.repository + ":load"
	if err := e.api.ImageTag(ctx, w.Ref, name); err != nil {
		return nil, err
	}
	defer e.untag(ctx, name)
	if err := e.pushTo(pushing, name); err != nil {
		if cause := context.Cause(pushing); cause != nil {
			return nil, cause
		}
		return nil, err
	}
	for _, m := range registry.manifests {
		if i, err = image.Assemble(m, w.Spool, w.Named); err == nil && w.Met(i) && w.Vouches(i.Config, m, registry.manifests) {
			return i, nil
		}
	}
	return nil, errors.Join(errors.New("no manifest came of the image that is wanted"), err)
}

func (e *Engine) pushTo(ctx context.Context, name string) error {
	auth, err := nobody()
	if err != nil {
		return err
	}
	r, err := e.api.ImagePush(ctx, name, dockerimage.PushOptions{RegistryAuth: auth})
	if err != nil {
		return err
	}
	defer r.Close()
	return follow(r)
}

// follow reads the engine's account of a push or pull to its end. An error in the account is its error.
func follow(r io.Reader) error {
	for messages := json.NewDecoder(r); ; {
		var m jsonmessage.JSONMessage
		if err := messages.Decode(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if m.Error != nil {
			return m.Error
		}
	}
}

// nobody is an account that our registry never asks for. Of the digests that an engine remembers for a layer it tries one, and prefers
// those that the same account pushed to the one that it heard of last; with an account that is new each time the last one counts.
func nobody() (string, error) {
	return registrytypes.EncodeAuthConfig(registrytypes.AuthConfig{Username: rand.Text(), Password: "none"})
}

// untagTimeout is how long removing a reference may take, also after the caller's context has ended.
const untagTimeout = 20 * time.Second

// untag removes a reference of our registry. What stays if that fails is removed by sweep.
func (e *Engine) untag(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), untagTimeout)
	defer cancel()
	_, _ = e.api.ImageRemove(ctx, name, dockerimage.RemoveOptions{})
}

// listOurs lists the images that have a reference of our registry.
func listOurs() dockerimage.ListOptions {
	return dockerimage.ListOptions{Filters: filters.NewArgs(filters.Arg("reference", "127.0.0.1:*/run.devenv/*"))}
}

// sweep removes references that a devenv which was killed has left: those of a registry that nobody answers for any more.
func (e *Engine) sweep(ctx context.Context) {
	list, err := e.api.ImageList(ctx, listOurs())
	if err != nil {
		return // the next devenv tries again
	}
	for _, i := range list {
		for _, name := range i.RepoTags {
			address, rest, _ := strings.Cut(name, "/")
			if !strings.HasPrefix(rest, "run.devenv/") {
				continue
			}
			if c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address); err == nil {
				_ = c.Close() // it answers: a devenv is at work
			} else {
				e.untag(ctx, name)
			}
		}
	}
}

// reachesUs says whether the engine can connect to this process's loopback address: whether it runs on this machine, and not in a virtual machine or
// network namespace of its own.
func (e *Engine) reachesUs(ctx context.Context) bool {
	if !e.endpoint.local() {
		return false
	}
	info, err := e.traits(ctx)
	return err == nil && !info.Rootless && !strings.Contains(info.OperatingSystem, "Docker Desktop")
}

// traits are what Info says of the engine and never changes. Whoever asks uses our registry, so the first time what others left of it goes.
func (e *Engine) traits(ctx context.Context) (Info, error) {
	e.mu.Lock()
	known := e.known
	e.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	info, err := e.Info(ctx)
	if err != nil {
		return Info{}, err
	}
	e.mu.Lock()
	e.known = &info
	e.mu.Unlock()
	e.beside.Go(func() {
		e.sweep(e.background)
		e.sweepReaders(e.background)
	})
	return info, nil
}
