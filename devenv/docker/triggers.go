package docker

import (
	"context"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/distribution/reference"
)

// Triggers are the instructions (ONBUILD) that an image leaves to builds that are from it. held is false, and nothing is known, where the engine does not hold the
// image.
func (e *Engine) Triggers(ctx context.Context, ref string) (triggers []string, held bool, err error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return nil, false, notAReference(ref, err)
	}
	i, err := e.api.ImageInspect(ctx, named.String())
	switch {
	case cerrdefs.IsNotFound(err):
		return nil, false, nil
	case err != nil:
		return nil, false, e.fault(ctx, "asking for the triggers of "+ref, err)
	case i.Config == nil:
		return nil, true, nil
	}
	return i.Config.OnBuild, true, nil
}
