package docker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/client/llb"

	"github.com/devenv-run/devenv/devenv/image"
)

// lesson are the layers that an engine is to learn the digests of, the lowest first: diff IDs.
type lesson []string

// lessonOf are the layers up to the highest that is not wanted. An engine learns a layer only together with those below it.
func lessonOf(w image.Want) lesson {
	for n := len(w.Layers); n > 0; n-- {
		if !w.Wants(w.Layers[n-1]) {
			return slices.Clone(w.Layers[:n])
		}
	}
	return nil
}

// teachTime is how long a lesson may take. It is a few small requests.
const teachTime = 5 * time.Second

// teach lets an engine with a classic store know its own layers by the digests of their uncompressed archives. It knows a layer only by diff ID until it has
// pulled or pushed it, and would have to compress a layer to learn a digest for it. But its BuildKit believes an image's configuration: of an image of
// the same layers it asks for manifest and configuration, finds that it has what the configuration names, fetches no layer, and notes the digests by which the manifest
// names them. So we offer it such an image, in which each layer's blob is the archive itself, whose digest is the diff ID. An engine that lacks a layer
// meanwhile asks for it in vain, and learns nothing.
//
// What was taught once is not taught again, until forget.
func (e *Engine) teach(ctx context.Context, l lesson) error {
	info, err := e.traits(ctx)
	if err != nil || info.ContainerdStore || e.knows(l) { // a containerd store goes by digests anyway
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, teachTime)
	defer cancel()
	config, manifest, err := l.image(e.platform)
	if err != nil {
		return err
	}
	registry := &loopback{repository: repository(), serve: map[string][]byte{image.Digest(manifest): manifest, image.Digest(config): config}}
	address, stop, err := registry.listen(ctx)
	if err != nil {
		return err
	}
	defer stop()
	if err := e.look(ctx, address+"/"+registry.repository+"@"+image.Digest(manifest)); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.learned == nil {
		e.learned = map[string]bool{}
	}
	for _, id := range l {
		e.learned[id] = true
	}
	return nil
}

func (e *Engine) knows(l lesson) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !slices.ContainsFunc(l, func(id string) bool { return !e.learned[id] })
}

// forget is for an engine that showed that it does not know what it was taught.
func (e *Engine) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.learned = nil
}

// look has BuildKit in the engine look at an image and do nothing with it.
func (e *Engine) look(ctx context.Context, ref string) error {
	bk, hangUp, err := e.buildKit(ctx)
	if err != nil {
		return err
	}
	defer hangUp()
	// Without IgnoreCache it would not look a second time at the same layers, and not note again what it has forgotten since.
	definition, err := llb.Image(ref, llb.ResolveModeForcePull, llb.IgnoreCache).Marshal(ctx)
	if err != nil {
		return err
	}
	_, err = bk.ControlClient().Solve(quiet(ctx), &controlapi.SolveRequest{Ref: strings.ToLower(rand.Text()), Definition: definition.ToPB()})
	return err
}

const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	// dockerLayer is for layers of any compression, none included: engines look at the content.
	dockerLayer = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// image is an image of the layers for a platform: nothing runs it.
func (l lesson) image(platform string) (config, manifest []byte, err error) {
	type object map[string]any
	system, architecture, _ := strings.Cut(platform, "/")
	var history, layers []object
	for n, id := range l {
		history = append(history, object{"created_by": fmt.Sprint("devenv ", n)})
		layers = append(layers, object{"mediaType": dockerLayer, "digest": id, "size": 1}) // nobody asks for as much as a byte
	}
	config, err = json.Marshal(object{
		"os": system, "architecture": architecture, "config": object{}, "history": history,
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
