package kind

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"golang.org/x/sync/errgroup"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	imagesapi "github.com/containerd/containerd/api/services/images/v1"
)

// Drop implements hot.Topper. Containerd's garbage collector takes the content once nothing refers to it.
func (i *Inside) Drop(ctx context.Context, nodes, prefixes []string, used func(ctx context.Context) ([]string, error)) (int, error) {
	full := make([]string, len(prefixes))
	for n, p := range prefixes {
		name, err := canonical(p + "x") // what it begins is a reference, which it need not be itself
		if err != nil {
			return 0, err
		}
		full[n] = strings.TrimSuffix(name, "x")
	}
	inUse := sync.OnceValues(func() (map[string]bool, error) {
		refs, err := used(ctx)
		names := map[string]bool{}
		for _, ref := range refs {
			if name, err := canonical(ref); err == nil { // what is none, no node knows
				names[name] = true
			}
		}
		return names, err
	})
	var dropped atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for _, node := range nodes {
		group.Go(func() error {
			err := i.with(ctx, node, func(s *store) error {
				n, err := s.drop(ctx, full, inUse)
				dropped.Add(int64(n))
				return err
			})
			if err != nil {
				return fmt.Errorf("dropping images of %s: %w", node, err)
			}
			return nil
		})
	}
	err := group.Wait()
	return int(dropped.Load()), err
}

// drop removes the references with one of the prefixes that are not in use. An image is removed as the kubelet would do it, because the container runtime
// keeps references of its own, unless something else refers to it too: then only the name goes.
func (s *store) drop(ctx context.Context, prefixes []string, used func() (map[string]bool, error)) (dropped int, err error) {
	listed, err := s.kubelet.ListImages(ctx, &criapi.ListImagesRequest{})
	if err != nil {
		return 0, errgrpc.ToNative(err)
	}
	begins := func(name string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	}
	candidates := slices.DeleteFunc(listed.GetImages(), func(i *criapi.Image) bool { return !slices.ContainsFunc(i.GetRepoTags(), begins) })
	if len(candidates) == 0 {
		return 0, nil
	}
	names, err := used()
	if err != nil {
		return 0, err
	}
	runs, err := s.running(ctx)
	if err != nil {
		return 0, err
	}
	for _, i := range candidates {
		if runs[i.GetId()] {
			continue
		}
		rest := slices.DeleteFunc(slices.Concat(i.GetRepoTags(), i.GetRepoDigests()), func(name string) bool { return begins(name) && !names[name] })
		gone := slices.DeleteFunc(slices.Clone(i.GetRepoTags()), func(name string) bool { return !begins(name) || names[name] })
		if len(rest) == 0 {
			_, err = s.kubelet.RemoveImage(ctx, &criapi.RemoveImageRequest{Image: &criapi.ImageSpec{Image: i.GetId()}})
			if err = errgrpc.ToNative(err); err == nil {
				dropped += len(gone)
			}
		} else {
			for _, name := range gone {
				if _, e := s.images.Delete(in(ctx), &imagesapi.DeleteImageRequest{Name: name}); e == nil || errdefs.IsNotFound(errgrpc.ToNative(e)) {
					dropped++
				} else {
					err = errgrpc.ToNative(e)
				}
			}
		}
		if err != nil {
			return dropped, err
		}
	}
	return dropped, nil
}

// running are the images, by ID, of containers that run or are about to.
func (s *store) running(ctx context.Context) (map[string]bool, error) {
	answer, err := criapi.NewRuntimeServiceClient(s.conn).ListContainers(ctx, &criapi.ListContainersRequest{})
	if err != nil {
		return nil, errgrpc.ToNative(err)
	}
	running := map[string]bool{}
	for _, c := range answer.GetContainers() {
		if c.GetState() != criapi.ContainerState_CONTAINER_EXITED {
			running[c.GetImageRef()], running[c.GetImageId()] = true, true
		}
	}
	return running, nil
}
