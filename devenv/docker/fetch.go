package docker

import (
	"context"

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

// Fetch gets an image's configuration and the layers that are wanted out of the engine, by one of three ways.
//
// Layers that an engine says it has unpacked somewhere are read there, which costs what they cost to read. Where that does not work:
// a push to a registry inside this process costs what the new layers cost, but only if the engine knows the others by a digest that we know
// too, and it compresses what it sends. An export costs what all the layers cost. So where little is wanted the push is
// tried, once the engine was taught what it may not know. It ends as soon as the engine begins to send more than was asked for all the same, and the image is exported.
func (e *Engine) Fetch(ctx context.Context, w image.Want) (*image.Image, error) {
	i, err := e.unpacked(ctx, w)
	if err == nil {
		return i, nil
	}
	if !e.reachesUs(ctx) {
		return e.export(ctx, w)
	}
	if w.Bytes <= worthPushing(w) && ctx.Err() == nil {
		if err := e.teach(ctx, lessonOf(w)); err != nil && ctx.Err() == nil {
			return e.export(ctx, w) // it cannot learn: a push would go far before it ends
		}
		if i, err = e.push(ctx, w); err == nil {
			return i, nil
		}
		e.forget()
	}
	if err := ctx.Err(); err != nil {
		return nil, e.fault(ctx, "exporting "+w.Ref, err)
	}
	return e.export(ctx, w)
}
