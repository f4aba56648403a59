package kind

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/containerd/containerd/api/types"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	godigest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/v2/core/leases"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/devenv-run/devenv/devenv/image"
)

// Labels of containerd's garbage collector and of what it knows about content.
const (
	labelUncompressed = "containerd.io/uncompressed"
	labelConfig       = "containerd.io/gc.ref.content.config"
	labelLayer        = "containerd.io/gc.ref.content.l."
	labelSnapshot     = "containerd.io/gc.ref.snapshot."
	labelUnpacking    = "containerd.io/snapshot.ref"
	labelExpire       = "containerd.io/gc.expire"
	labelPushed       = "run.devenv/pushed" // image.Layer.Pushed, so that the engine need not send the layer again
)

// leaseTime is after which time what a devenv that was killed has begun is garbage.
const leaseTime = time.Hour

// add gives the node an image under its full reference: the layers that are at hand are sent, the others have to be there. It does what `ctr images import`
// does: content and snapshots, and only then the reference, which therefore never names an image that is not complete. Then it
// waits until the kubelet would find it.
func (s *store) add(ctx context.Context, name string, i *image.Image) error {
	ctx, release, err := s.lease(in(ctx))
	if err != nil {
		return err
	}
	defer release()
	diffIDs, err := diffIDsOf(i)
	if err != nil {
		return err
	}
	manifest, err := i.Manifest()
	if err != nil {
		return err
	}
	labels := map[string]string{labelConfig: image.Digest(i.Config)}
	for n, l := range i.Layers {
		labels[fmt.Sprintf("%s%d", labelLayer, n)] = l.Digest
	}
	var small errgroup.Group // need not wait for the layers; the lease keeps everything
	small.Go(func() error {
		return s.put(ctx, i.Config, map[string]string{labelSnapshot + s.snapshotter: identity.ChainID(diffIDs).String()})
	})
	small.Go(func() error { return s.put(ctx, manifest, labels) })
	err = s.putLayers(ctx, i, diffIDs)
	if others := small.Wait(); err == nil { // what is wrong with a node shows best in what is big
		err = others
	}
	if err != nil {
		return err
	}
	target := &types.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: image.Digest(manifest), Size: int64(len(manifest))}
	if err := s.complete(ctx, target); err != nil {
		return err
	}
	if err := s.refer(ctx, name, target); err != nil {
		return err
	}
	return s.known(ctx, name)
}

func diffIDsOf(i *image.Image) ([]godigest.Digest, error) {
	ids := make([]godigest.Digest, len(i.Layers))
	for n, l := range i.Layers {
		var err error
		if ids[n], err = godigest.Parse(l.DiffID); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// lease keeps what is added until the image refers to it, or for leaseTime.
func (s *store) lease(ctx context.Context) (context.Context, func(), error) {
	id := "devenv-" + strings.ToLower(rand.Text())
	expire := map[string]string{labelExpire: time.Now().Add(leaseTime).UTC().Format(time.RFC3339)}
	if _, err := s.leases.Create(ctx, &leasesapi.CreateRequest{ID: id, Labels: expire}); err != nil {
		return nil, nil, errgrpc.ToNative(err)
	}
	return leases.WithLease(ctx, id), func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_, _ = s.leases.Delete(ctx, &leasesapi.DeleteRequest{ID: id}) // else it expires
	}, nil
}

// putLayers sends the layers that are at hand, and unpacks what is not unpacked yet.
func (s *store) putLayers(ctx context.Context, i *image.Image, diffIDs []godigest.Digest) error {
	for _, l := range i.Layers {
		if l.File == "" {
			continue
		}
		if err := s.putLayer(ctx, l); err != nil {
			return fmt.Errorf("layer %s: %w", l.Digest, err)
		}
	}
	return s.unpack(ctx, i, diffIDs)
}

// putLayer sends a layer's blob.
func (s *store) putLayer(ctx context.Context, l image.Layer) error {
	f, err := os.Open(l.File)
	if err != nil {
		return err
	}
	defer f.Close()
	return s.write(ctx, f, godigest.Digest(l.Digest), labelsOf(l))
}

// labelsOf are the labels of a layer's content.
func labelsOf(l image.Layer) map[string]string {
	labels := map[string]string{labelUncompressed: l.DiffID}
	if l.Pushed != "" {
		labels[labelPushed] = l.Pushed
	}
	return labels
}

// put sends a blob of text.
func (s *store) put(ctx context.Context, data []byte, labels map[string]string) error {
	return s.write(ctx, bytes.NewReader(data), godigest.FromBytes(data), labels)
}

// write sends a blob, or gives the labels to one that is there.
func (s *store) write(ctx context.Context, r io.Reader, digest godigest.Digest, labels map[string]string) error {
	info, err := s.content.Info(ctx, digest)
	if err == nil {
		info.Labels = labels
		var paths []string
		for name := range labels {
			paths = append(paths, "labels."+name)
		}
		_, err = s.content.Update(ctx, info, paths...)
		return err
	}
	if !errdefs.IsNotFound(err) {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := paced{r, time.AfterFunc(s.sent.stall, func() { cancel(errSlow) }), s.sent}
	defer p.late.Stop()
	return s.upload(ctx, p, func() (string, map[string]string) { return digest.String(), labels })
}

// paced is what a node is sent, in time. What is read goes to the node, and that waits where the node is piecesAhead behind.
type paced struct {
	io.Reader
	late   *time.Timer
	limits limits
}

func (p paced) Read(b []byte) (int, error) {
	p.late.Reset(p.limits.stall)
	n, err := p.Reader.Read(b)
	if err != nil { // that was all, and the node writes it to its disk
		p.late.Reset(p.limits.finish)
	}
	return n, err
}

// unpack makes the snapshots that lack of an image whose layers are all there.
func (s *store) unpack(ctx context.Context, i *image.Image, diffIDs []godigest.Digest) error {
	from := len(diffIDs)
	for ; from > 0; from-- {
		err := s.snapshot(ctx, identity.ChainID(diffIDs[:from]).String())
		if err == nil {
			break
		}
		if !errdefs.IsNotFound(err) {
			return err
		}
	}
	for n := from; n < len(diffIDs); n++ {
		if err := s.apply(ctx, i.Layers[n], identity.ChainID(diffIDs[:n]).String(), identity.ChainID(diffIDs[:n+1]).String()); err != nil {
			return fmt.Errorf("unpacking layer %s: %w", i.Layers[n].Digest, err)
		}
	}
	return nil
}

func (s *store) snapshot(ctx context.Context, chain string) error {
	_, err := s.snapshots.Stat(ctx, &snapshotsapi.StatSnapshotRequest{Snapshotter: s.snapshotter, Key: chain})
	return errgrpc.ToNative(err)
}

// apply makes the snapshot chain of its parent and a layer.
func (s *store) apply(ctx context.Context, l image.Layer, parent, chain string) (err error) {
	key := "extract-devenv-" + strings.ToLower(rand.Text()) + " " + chain
	prepared, err := s.snapshots.Prepare(ctx, &snapshotsapi.PrepareSnapshotRequest{
		Snapshotter: s.snapshotter, Key: key, Parent: parent, Labels: map[string]string{labelUnpacking: chain},
	})
	if err = errgrpc.ToNative(err); errdefs.IsAlreadyExists(err) {
		return nil // a snapshotter that has it from elsewhere
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_, _ = s.snapshots.Remove(ctx, &snapshotsapi.RemoveSnapshotRequest{Snapshotter: s.snapshotter, Key: key}) // else the collector does
		}
	}()
	applied, err := s.diffs.Apply(ctx, &diffapi.ApplyRequest{
		Diff:   &types.Descriptor{MediaType: l.MediaType(), Digest: l.Digest, Size: l.Size},
		Mounts: prepared.GetMounts(),
	})
	if err != nil {
		return errgrpc.ToNative(err)
	}
	if got := applied.GetApplied().GetDigest(); got != l.DiffID {
		return fmt.Errorf("%w: it holds %s", image.ErrDamaged, got)
	}
	_, err = s.snapshots.Commit(ctx, &snapshotsapi.CommitSnapshotRequest{Snapshotter: s.snapshotter, Name: chain, Key: key})
	if err = errgrpc.ToNative(err); errdefs.IsAlreadyExists(err) {
		_, err = s.snapshots.Remove(ctx, &snapshotsapi.RemoveSnapshotRequest{Snapshotter: s.snapshotter, Key: key}) // somebody else was faster
		return errgrpc.ToNative(err)
	}
	return err
}

// refer makes name refer to an image.
func (s *store) refer(ctx context.Context, name string, target *types.Descriptor) error {
	record := &imagesapi.Image{Name: name, Target: target}
	_, err := s.images.Create(ctx, &imagesapi.CreateImageRequest{Image: record})
	if err = errgrpc.ToNative(err); errdefs.IsAlreadyExists(err) {
		_, err = s.images.Update(ctx, &imagesapi.UpdateImageRequest{Image: record, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"target"}}})
		return errgrpc.ToNative(err)
	}
	return err
}

// How long the kubelet's view of the images may lag behind, and how often to look.
const (
	noticeTime = 2 * time.Second
	noticePoll = 2 * time.Millisecond
)

// known waits until the kubelet finds the image: what it asks keeps a view of its own, which follows containerd's events.
func (s *store) known(ctx context.Context, name string) error {
	for end := time.Now().Add(noticeTime); ; {
		answer, err := s.kubelet.ImageStatus(ctx, &criapi.ImageStatusRequest{Image: &criapi.ImageSpec{Image: name}})
		if err != nil {
			return errgrpc.ToNative(err)
		}
		if answer.GetImage() != nil || time.Now().After(end) { // a kubelet that finds nothing then says so better than anybody here could
			return nil
		}
		if err := sleep(ctx, noticePoll); err != nil {
			return err
		}
	}
}
