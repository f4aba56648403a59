package kind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/containerd/containerd/api/types"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	godigest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"

	"github.com/devenv-run/devenv/devenv/image"
)

// errIncomplete is an image of which something lacks.
var errIncomplete = errors.New("the image is not complete")

// atOnce is how many questions about images are under way over one connection.
const atOnce = 8

// held says which of the images, by their full references, the node holds complete and unpacked.
func (s *store) held(ctx context.Context, names []string) (map[string]bool, error) {
	held := map[string]bool{}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(in(ctx))
	group.SetLimit(atOnce)
	for _, name := range names {
		group.Go(func() error {
			target, err := s.target(ctx, name)
			if err == nil {
				err = s.complete(ctx, target)
			}
			if errdefs.IsNotFound(err) || errors.Is(err, errIncomplete) {
				return nil
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			held[name] = true
			return nil
		})
	}
	return held, group.Wait()
}

// target is what a full reference refers to.
func (s *store) target(ctx context.Context, name string) (*types.Descriptor, error) {
	answer, err := s.images.Get(ctx, &imagesapi.GetImageRequest{Name: name})
	return answer.GetImage().GetTarget(), errgrpc.ToNative(err)
}

// complete checks that the content of an image is all there, and that it is unpacked.
func (s *store) complete(ctx context.Context, target *types.Descriptor) error {
	available, _, _, lacks, err := images.Check(ctx, s.content, descriptor(target), s.platform)
	if err != nil {
		return err
	}
	if !available || len(lacks) > 0 {
		return fmt.Errorf("%w: %d parts lack", errIncomplete, len(lacks))
	}
	manifest, err := images.Manifest(ctx, s.content, descriptor(target), s.platform)
	if err != nil {
		return err
	}
	diffIDs, err := images.RootFS(ctx, s.content, manifest.Config)
	if err != nil {
		return err
	}
	if err := s.snapshot(ctx, identity.ChainID(diffIDs).String()); err != nil {
		return fmt.Errorf("%w: it is not unpacked: %w", errIncomplete, err)
	}
	return nil
}

func descriptor(d *types.Descriptor) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: d.GetMediaType(), Digest: godigest.Digest(d.GetDigest()), Size: d.GetSize()}
}

// named is an image that the node knows by its full reference, with its layers only named. The error is errdefs.ErrNotFound if it does not.
func (s *store) named(ctx context.Context, name string) (*image.Image, error) {
	ctx = in(ctx)
	target, err := s.target(ctx, name)
	if err != nil {
		return nil, err
	}
	manifest, err := images.Manifest(ctx, s.content, descriptor(target), s.platform)
	if err != nil {
		return nil, err
	}
	config, err := content.ReadBlob(ctx, s.content, manifest.Config)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(manifest)
	if err != nil {
		return nil, err
	}
	return image.Named(data, config)
}

// holding says which of the layers the content store holds; see parseHolding.
func (s *store) holding(ctx context.Context, diffIDs []string) (image.Holding, error) {
	var filters []string
	wanted := map[string]bool{}
	for _, id := range diffIDs {
		filters = append(filters, fmt.Sprintf("labels.%q==%s", labelUncompressed, id))
		wanted[id] = true
	}
	ctx = in(ctx)
	held := image.Holding{}
	err := s.content.Walk(ctx, func(info content.Info) error {
		l := image.Layer{DiffID: info.Labels[labelUncompressed], Digest: info.Digest.String(), Size: info.Size, Pushed: info.Labels[labelPushed]}
		if !wanted[l.DiffID] || l.Size <= 0 || held[l.DiffID].Digest == l.DiffID {
			return nil
		}
		if l.Digest != l.DiffID {
			var err error
			if l.Format, err = s.format(ctx, info); err != nil || l.Format == image.Plain {
				return err
			}
		}
		held[l.DiffID] = l
		return nil
	}, filters...)
	return held, err
}

// format is how a blob is compressed.
func (s *store) format(ctx context.Context, info content.Info) (image.Format, error) {
	r, err := s.content.ReaderAt(ctx, ocispec.Descriptor{Digest: info.Digest, Size: info.Size})
	if err != nil {
		return image.Plain, err
	}
	defer r.Close()
	start := make([]byte, min(4, info.Size))
	if _, err := r.ReadAt(start, 0); err != nil && !errors.Is(err, io.EOF) {
		return image.Plain, err
	}
	return image.FormatOf(start), nil
}
