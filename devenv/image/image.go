// Package image holds what an image is made of when it moves from one store to another: its configuration and its layers, some of which the
// other side has already.
//
// A layer is identified by its diff ID, the digest of its uncompressed archive. A store may hold it under another digest, compressed. An
// Image lists its layers as Layer values, each of which says under which digest and, where its blob is at hand, in which file. Read takes Images apart from what
// `docker save` writes, keeping the blobs of only those layers that somebody wants; Spool is where blobs are kept; WriteLayout writes an OCI
// layout that names all layers and holds those that are at hand, which is what a containerd that has the others can import.
package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Description is an image as the store that holds it describes it.
type Description struct {
	ID     string   // sha256:… of its configuration, or of its manifest where the store goes by that
	Layers []string // diff IDs, the lowest first
	Size   int64    // bytes of all the files in it, roughly
}

// Layer is a layer as a store holds it.
type Layer struct {
	DiffID string // sha256:… of the uncompressed archive: what the layer is
	Digest string // sha256:… of the blob that holds it; equal to DiffID where that is not compressed
	Size   int64  // bytes of the blob
	Format Format // of the blob
	File   string // where the blob is at hand; empty: only named
	Pushed string // the digest of the compressed blob in which an engine gave the layer out, and by which it knows it since; may be empty
}

// Expanded is about how many bytes the layer has once it is not compressed any more. What compression saves is a guess: half.
func (l Layer) Expanded() int64 {
	if l.Format == Plain {
		return l.Size
	}
	return 2 * l.Size
}

// Image is what it takes to run an image.
type Image struct {
	Config []byte  // as it is in the store: its digest is that of the image
	Layers []Layer // the lowest first
}

// ErrDamaged is in every error about content that is not what its digest says, or an archive that is not one of an image.
var ErrDamaged = errors.New("not a valid image")

// config is the part of an image's configuration that is needed here.
type config struct {
	Architecture string
	Variant      string
	OS           string
	RootFS       struct {
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

func parseConfig(data []byte) (config, error) {
	var c config
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("%w: its configuration: %w", ErrDamaged, err)
	}
	for _, id := range c.RootFS.DiffIDs {
		if _, err := v1.NewHash(id); err != nil {
			return c, fmt.Errorf("%w: a layer of its configuration: %w", ErrDamaged, err)
		}
	}
	return c, nil
}

// DiffIDs are the layers that a configuration names, the lowest first.
func DiffIDs(configuration []byte) ([]string, error) {
	c, err := parseConfig(configuration)
	return c.RootFS.DiffIDs, err
}

// Holding is what a store holds of an image's layers: diff ID → the layer there.
type Holding map[string]Layer

// Lacks are those of the layers that the store does not hold, each once, in the order given.
func (h Holding) Lacks(diffIDs []string) []string {
	var lacking []string
	for _, id := range diffIDs {
		if _, held := h[id]; !held && !slices.Contains(lacking, id) {
			lacking = append(lacking, id)
		}
	}
	return lacking
}

// For is the image as it has to be imported by a store that holds h: what it holds is named as it is there, the rest comes from i. It
// is false if neither has some layer.
func (i *Image) For(h Holding) (*Image, bool) {
	whole := &Image{Config: i.Config, Layers: slices.Clone(i.Layers)}
	for n, l := range whole.Layers {
		held, ok := h[l.DiffID]
		switch {
		case ok:
			held.File = ""
			whole.Layers[n] = held
		case l.File == "":
			return nil, false
		}
	}
	return whole, true
}

// Has says whether the blobs of all these layers are at hand.
func (i *Image) Has(diffIDs []string) bool {
	return !slices.ContainsFunc(diffIDs, func(id string) bool {
		return !slices.ContainsFunc(i.Layers, func(l Layer) bool { return l.DiffID == id && l.File != "" })
	})
}

// Sizes are the bytes of the layers whose blobs are at hand, and of those that are only named; a layer that occurs twice counts once.
func (i *Image) Sizes() (atHand, named int64) {
	seen := map[string]bool{}
	for _, l := range i.Layers {
		switch {
		case seen[l.Digest]:
		case l.File != "":
			atHand += l.Size
		default:
			named += l.Size
		}
		seen[l.Digest] = true
	}
	return atHand, named
}
