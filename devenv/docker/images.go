package docker

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"golang.org/x/sync/errgroup"

	"github.com/devenv-run/devenv/devenv/fault"
)

// Image is an image that the engine holds.
type Image struct {
	ID      string   // sha256:…
	Tags    []string // full references; empty for an image that no name points at any more
	Labels  map[string]string
	Created time.Time
	Size    int64 // bytes of all its layers, shared ones included
}

// askAtOnce bounds the requests that run at the same time when something is asked about many images.
const askAtOnce = 8

// Images says which of refs the engine holds: reference → image ID. References that it does not hold are not in the result.
func (e *Engine) Images(ctx context.Context, refs []string) (map[string]string, error) {
	var mu sync.Mutex
	held := map[string]string{}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(askAtOnce)
	for _, ref := range refs {
		g.Go(func() error {
			i, err := e.api.ImageInspect(gctx, ref)
			if cerrdefs.IsNotFound(err) {
				return nil
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			held[ref] = i.ID
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, e.fault(ctx, "asking the Docker Engine for its images", err)
	}
	return held, nil
}

// ImagesByLabel lists the images that carry a label, given as "name" or "name=value", newest first as the engine lists them.
func (e *Engine) ImagesByLabel(ctx context.Context, label string) ([]Image, error) {
	list, err := e.api.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", label))})
	if err != nil {
		return nil, e.fault(ctx, "asking the Docker Engine for its images", err)
	}
	images := make([]Image, 0, len(list))
	for _, i := range list {
		var tags []string
		for _, t := range i.RepoTags {
			if t != "<none>:<none>" {
				tags = append(tags, t)
			}
		}
		images = append(images, Image{ID: i.ID, Tags: tags, Labels: i.Labels, Created: time.Unix(i.Created, 0), Size: i.Size})
	}
	return images, nil
}

// Export writes images, in the format of `docker save`, to w. An error of w is returned as it is.
func (e *Engine) Export(ctx context.Context, refs []string, w io.Writer) error {
	what := "exporting " + strings.Join(refs, ", ")
	r, err := e.api.ImageSave(ctx, refs)
	if cerrdefs.IsNotFound(err) {
		return notHeld(what, err)
	}
	if err != nil {
		return e.fault(ctx, what, err)
	}
	defer r.Close()
	out := &errWriter{w: w}
	if _, err := io.Copy(out, r); err != nil {
		if out.err != nil {
			return out.err
		}
		return e.fault(ctx, what, err)
	}
	return nil
}

// errWriter remembers an error of the writer behind it, to tell it from one of the reader that is copied from.
type errWriter struct {
	w   io.Writer
	err error
}

func (w *errWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

// Remove removes references (or image IDs) from the engine; one that is not there is no error. Layers that other images or
// containers need stay. It tries all and returns all the errors joined.
func (e *Engine) Remove(ctx context.Context, refs []string) error {
	var errs []error
	for _, ref := range refs {
		_, err := e.api.ImageRemove(ctx, ref, image.RemoveOptions{PruneChildren: true})
		switch {
		case err == nil || cerrdefs.IsNotFound(err):
		case cerrdefs.IsConflict(err):
			errs = append(errs, &fault.Error{
				Kind: fault.Machine, What: "image " + ref + " was not removed", Err: err,
				Next: "A container uses it; it can be removed once that container is (`docker ps -a`).",
			})
		default:
			errs = append(errs, e.fault(ctx, "removing image "+ref, err))
		}
	}
	return errors.Join(errs...)
}
