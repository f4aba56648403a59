package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	cerrdefs "github.com/containerd/errdefs"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/image"
)

// Describe says which layers an image in the engine has.
func (e *Engine) Describe(ctx context.Context, ref string) (image.Description, error) {
	i, err := e.api.ImageInspect(ctx, ref)
	if cerrdefs.IsNotFound(err) {
		return image.Description{}, notHeld("exporting "+ref, err)
	}
	if err != nil {
		return image.Description{}, e.fault(ctx, "asking the Docker Engine for the layers of "+ref, err)
	}
	return image.Description{ID: i.ID, Layers: i.RootFS.Layers, Size: i.Size}, nil
}

// notHeld is the fault of an image that the engine does not hold.
func notHeld(what string, err error) error {
	return &fault.Error{Kind: fault.Machine, What: what, Err: err, Next: "The image is no longer in the Docker Engine; `devenv up` builds it again."}
}

// Fetch gets an image's configuration and the layers that are wanted out of the engine, by one of two ways.
//
// A push to a registry inside this process costs what the new layers cost, but only if the engine knows the others by a digest that we know
// too, and it compresses what it sends. An export costs what all the layers cost, whatever is wanted of them. So where little is wanted the push is
// tried. It ends as soon as the engine begins to send more than was asked for; then what the engine did not know is taught to it, and it is tried again.
func (e *Engine) Fetch(ctx context.Context, w image.Want) (*image.Image, error) {
	if w.Bytes <= worthPushing(w) && e.reachesUs(ctx) {
		i, err := e.push(ctx, w)
		if errors.Is(err, errUntaught) && ctx.Err() == nil {
			if err = e.teach(ctx, lessonOf(w)); err == nil {
				i, err = e.push(ctx, w)
			}
		}
		if err == nil {
			return i, nil
		}
		if ctx.Err() != nil {
			return nil, e.fault(ctx, "exporting "+w.Ref, err)
		}
	}
	return e.export(ctx, w)
}

// export is Fetch by an export of the whole image. What is not wanted does not go into the spool, as far as the archive tells in advance.
func (e *Engine) export(ctx context.Context, w image.Want) (*image.Image, error) {
	archive, out := io.Pipe()
	var exported sync.WaitGroup
	exported.Go(func() { out.CloseWithError(e.Export(ctx, []string{w.Ref}, out)) })
	i, err := image.Read(archive, w.Spool, func(digest string) bool {
		_, named := w.Named(digest)
		return named
	})
	archive.CloseWithError(errors.New("the archive is not read any further")) // ends Export
	exported.Wait()
	if err == nil && !w.Met(i) {
		err = fmt.Errorf("%w: it is another one than a moment ago", image.ErrDamaged)
	}
	if err != nil {
		return nil, e.fault(ctx, "exporting "+w.Ref, err)
	}
	return i, nil
}
