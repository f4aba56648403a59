package docker

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	dockerimage "github.com/docker/docker/api/types/image"

	"github.com/devenv-run/devenv/devenv/image"
)

// lesson are the layers that an engine is to learn the digests of, the lowest first: diff IDs.
type lesson []string

func (l lesson) has(diffID string) bool { return slices.Contains(l, diffID) }

// lessonOf are the layers up to the highest that is not wanted: those that the next image will most likely have too. An engine learns a layer only
// together with those below it.
func lessonOf(w image.Want) lesson {
	for n := len(w.Layers); n > 0; n-- {
		if !w.Wants(w.Layers[n-1]) {
			return slices.Clone(w.Layers[:n])
		}
	}
	return nil
}

const (
	// teachFrom is how many bytes have to be exported in vain before it is worth teaching.
	teachFrom = 16 << 20
	// teachPatience is how long Close waits for a lesson that is under way. What the engine has learned by then stays learned.
	teachPatience = 3 * time.Second
)

// teach lets an engine with a classic store know its own layers by the digests of their uncompressed archives. It knows a layer only by diff ID until it has
// pulled or pushed it, and has to compress a layer to learn a digest for it. So it pulls an image of the same layers from us, not compressed, finds
// that it has them, and remembers the digests. That takes about as long as an export, so it happens while the caller goes on; it is
// done once for each layer, ever. One lesson at a time is enough, and none while images are being built, which somebody waits for. Its failure costs
// only time the next time.
func (e *Engine) teach(ctx context.Context, w image.Want, l lesson, i *image.Image) {
	var vain int64
	for n, id := range l {
		if i.Layers[n].Format != image.Plain {
			return // a containerd store, which goes by digests anyway
		}
		if !w.Wants(id) {
			vain += i.Layers[n].Size
		}
	}
	if info, err := e.traits(ctx); err != nil || info.ContainerdStore || vain < teachFrom || e.building.Load() > 0 || !e.teaching.TryLock() {
		return
	}
	spool, err := w.Spool.Share(l)
	if err != nil {
		e.teaching.Unlock()
		return
	}
	e.lessons.Go(func() {
		defer e.teaching.Unlock()
		// Neither a lesson that failed nor what it leaves behind is anything that somebody could do something about.
		_ = e.pullLesson(e.background, l, i.Config, spool)
		_ = spool.Close()
	})
}

// pullLesson has the engine pull an image of the layers, whose blobs are in the spool. It runs where the image with the given configuration does.
func (e *Engine) pullLesson(ctx context.Context, l lesson, like []byte, spool *image.Spool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	config, manifest, err := l.image(like, spool)
	if err != nil {
		return err
	}
	if _, err := spool.Add(strings.NewReader(string(config)), -1); err != nil {
		return err
	}
	registry := &loopback{
		repository: repository(), spool: spool, refuse: cancel,
		named: func(string) bool { return false },
		serve: map[string][]byte{"lesson": manifest, image.Digest(manifest): manifest}, mediaType: dockerManifest,
	}
	address, stop, err := registry.listen(ctx)
	if err != nil {
		return err
	}
	defer stop()
	auth, err := nobody()
	if err != nil {
		return err
	}
	name := address + "/" + registry.repository + ":lesson"
	r, err := e.api.ImagePull(ctx, name, dockerimage.PullOptions{RegistryAuth: auth})
	if err != nil {
		return err
	}
	defer r.Close()
	if err := follow(r); err != nil {
		return err
	}
	e.untag(ctx, name)
	return nil
}

const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	// dockerLayer is for layers of any compression, none included: engines look at the content.
	dockerLayer = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// image is an image of the layers: nothing runs it.
func (l lesson) image(like []byte, spool *image.Spool) (config, manifest []byte, err error) {
	type object map[string]any
	var platform struct{ OS, Architecture, Variant string }
	if err := json.Unmarshal(like, &platform); err != nil {
		return nil, nil, err
	}
	var history, layers []object
	for _, id := range l {
		b, _ := spool.Get(id)
		history = append(history, object{"created_by": "devenv"})
		layers = append(layers, object{"mediaType": dockerLayer, "digest": id, "size": b.Size})
	}
	config, err = json.Marshal(object{
		"os": platform.OS, "architecture": platform.Architecture, "variant": platform.Variant, "config": object{}, "history": history,
		"rootfs": object{"type": "layers", "diff_ids": l},
	})
	if err != nil {
		return nil, nil, err
	}
	manifest, err = json.Marshal(object{
		"schemaVersion": 2, "mediaType": dockerManifest, "layers": layers,
		"config": object{"mediaType": dockerConfig, "digest": image.Digest(config), "size": len(config)},
	})
	return config, manifest, err
}
