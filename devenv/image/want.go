package image

import (
	"bytes"
	"io"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Want says which parts of an image somebody asks a store for.
type Want struct {
	Ref    string
	ID     string   // as the store described it
	Layers []string // diff IDs of all its layers, as the store described them
	Wanted []string // diff IDs of those whose blobs are to come; the others are there already
	// Held is, for blobs that are there already, which layer each of them holds: digest → diff ID. Of layers that are not wanted.
	Held  map[string]string
	Size  int64  // bytes of all the layers, roughly
	Bytes int64  // bytes of the wanted ones, roughly; at most Size, and Size where nothing is known
	Spool *Spool // gets the blobs
	// Early, if it is not nil, begins to take one of the wanted layers, while it still comes. Nobody knows yet which one. It is not called for every layer.
	Early func() Early
}

// Early takes what a layer holds, not compressed, before all of it has come.
type Early interface {
	// Write never fails: who cannot make use of it goes by what is in the spool in the end.
	io.Writer
	// Done says which layer it was, or with an error that it did not come to its end or was none.
	Done(l Layer, err error)
}

// Wants says whether the layer is to come.
func (w Want) Wants(diffID string) bool { return slices.Contains(w.Wanted, diffID) }

// Named is the layer that a blob stands for which need not come: one that is there already, under this digest or another.
func (w Want) Named(digest string) (Layer, bool) {
	diffID, ok := w.Held[digest]
	if !ok && slices.Contains(w.Layers, digest) {
		diffID, ok = digest, true
	}
	if !ok || w.Wants(diffID) {
		return Layer{}, false
	}
	return Layer{DiffID: diffID, Digest: digest}, true
}

// Vouches says whether the image's ID is the digest of a configuration, of a manifest, or of one of the indexes that names the manifest. Only then can
// content that came from somewhere else than the store itself be trusted.
func (w Want) Vouches(configuration, manifest []byte, indexes [][]byte) bool {
	digest := Digest(manifest)
	return w.ID == Digest(configuration) || w.ID == digest || slices.ContainsFunc(indexes, func(index []byte) bool {
		parsed, err := v1.ParseIndexManifest(bytes.NewReader(index))
		return err == nil && w.ID == Digest(index) &&
			slices.ContainsFunc(parsed.Manifests, func(d v1.Descriptor) bool { return d.Digest.String() == digest })
	})
}

// Met says whether an image is the one that is wanted, and holds the blobs of the layers that are.
func (w Want) Met(i *Image) bool {
	ids := make([]string, len(i.Layers))
	for n, l := range i.Layers {
		ids[n] = l.DiffID
		if l.File == "" && w.Wants(l.DiffID) {
			return false
		}
	}
	return slices.Equal(ids, w.Layers)
}
