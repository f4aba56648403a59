package kind

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/image"
	"github.com/devenv-run/devenv/devenv/plan"
)

var _ hot.Topper = (*Inside)(nil)

// topped is what the history of an image says of a layer that Top put on it.
const topped = "devenv dev: files that changed since the image was built"

// Top implements hot.Topper. Each node is asked which image base is there, and gets that one with the layer: nodes may hold the same layers
// under different digests.
func (i *Inside) Top(ctx context.Context, base, ref string, layer hot.Layer, nodes []string) (string, error) {
	from, err := canonical(base)
	if err != nil {
		return "", err
	}
	to, err := canonical(ref)
	if err != nil {
		return "", err
	}
	top := image.Layer{DiffID: layer.DiffID, Digest: layer.DiffID, Size: layer.Size, File: layer.File}
	what := "putting a layer on " + plan.Image{Ref: base}.Short()
	failed := map[string]error{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, node := range nodes {
		all.Go(func() {
			err := i.with(ctx, node, func(s *store) error {
				held, err := s.named(ctx, from)
				if err != nil {
					return err
				}
				whole, err := held.Append(top, topped)
				if err != nil {
					return err
				}
				return s.add(ctx, to, whole)
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[node] = err
			}
		})
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	var errs []error
	for _, node := range slices.Compact(slices.Sorted(slices.Values(nodes))) {
		if err := failed[node]; err != nil {
			errs = append(errs, i.topFault(ctx, what, base, node, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	return fmt.Sprintf("sent %s to %s", size(layer.Size), plan.Count(len(nodes), "node")), nil
}

func (i *Inside) topFault(ctx context.Context, what, base, node string, err error) error {
	switch {
	case errors.Is(err, hot.ErrNotInside):
		return fmt.Errorf("%s on %s: %w", what, node, err)
	case errdefs.IsNotFound(err), errors.Is(err, errIncomplete):
		return &fault.Error{
			Kind: fault.Machine, What: what + " on " + node, Err: fmt.Errorf("the node does not hold all of %s: %w", base, err), Next: "Run `devenv up`.",
		}
	}
	return i.clusters.nodeFault(ctx, what+" on "+node, node, worded(err))
}

// worded is an error of containerd as one that ctr would have printed.
func worded(err error) error {
	if failed := (*commandError)(nil); errors.As(err, &failed) || isFault(err) {
		return err
	}
	return &commandError{args: []string{"exec"}, output: err.Error(), err: err}
}
