package image

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// Tagged is an image as an archive holds it.
type Tagged struct {
	*Image
	Tags []string // the references that the archive knows it by, shortened as engines print them
}

// Read takes apart an archive of images as `docker save` writes it: with one directory a layer, as engines up to 24 do, or as an OCI
// layout with a manifest.json beside it. The blobs go into the spool, except for those whose digest the archive tells in advance and that skip
// does not want; their layers are only named. The content of every layer that is kept is checked against the diff ID that the configuration names.
func Read(archive io.Reader, s *Spool, skip func(digest string) bool) ([]Tagged, error) {
	parts := contents{blobs: map[string]Blob{}, links: map[string]string{}, skipped: map[string]int64{}}
	for in := tar.NewReader(archive); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return parts.images()
		}
		if err != nil {
			return nil, err
		}
		if err := parts.add(path.Clean(h.Name), h, in, s, skip); err != nil {
			return nil, err
		}
	}
}

// contents are the parts of an archive, by name.
type contents struct {
	blobs   map[string]Blob
	links   map[string]string // to other names: a layer that occurs twice is a link the second time
	skipped map[string]int64  // sizes
}

func (c contents) add(name string, h *tar.Header, r io.Reader, s *Spool, skip func(string) bool) error {
	switch h.Typeflag {
	case tar.TypeSymlink:
		c.links[name] = path.Join(path.Dir(name), h.Linkname)
		return nil
	case tar.TypeLink:
		c.links[name] = path.Clean(h.Linkname)
		return nil
	case tar.TypeReg:
	default:
		return nil
	}
	switch path.Base(name) {
	case "VERSION", "json", "repositories", "oci-layout": // of no use, many and small
		return nil
	}
	if digest := digestIn(name); digest != "" && skip(digest) {
		c.skipped[name] = h.Size
		return nil
	}
	b, err := s.Add(r, -1)
	if err != nil {
		return err
	}
	c.blobs[name] = b
	return nil
}

// digestIn is the digest of what an archive holds under blobs/sha256/…; empty for other names.
func digestIn(name string) string {
	hex, ok := strings.CutPrefix(name, "blobs/sha256/")
	if !ok || strings.Contains(hex, "/") {
		return ""
	}
	return "sha256:" + hex
}

// follow is what a name stands for after links; an archive that leads in circles gives a name that does not exist.
func (c contents) follow(name string) string {
	for range len(c.links) {
		to, ok := c.links[name]
		if !ok {
			break
		}
		name = to
	}
	return name
}

// described is an image in an archive's manifest.json.
type described struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// images puts the parts together as the archive's manifest.json says.
func (c contents) images() ([]Tagged, error) {
	var manifests []described
	data, err := c.read("manifest.json")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &manifests); err != nil {
		return nil, fmt.Errorf("%w: the archive's manifest.json: %w", ErrDamaged, err)
	}
	var all []Tagged
	for _, m := range manifests {
		i, err := c.image(m)
		if err != nil {
			return nil, err
		}
		all = append(all, Tagged{i, m.RepoTags})
	}
	return all, nil
}

func (c contents) image(d described) (*Image, error) {
	data, err := c.read(d.Config)
	if err != nil {
		return nil, err
	}
	i := &Image{Config: data}
	conf, err := parseConfig(i.Config)
	if err != nil {
		return nil, err
	}
	if len(conf.RootFS.DiffIDs) != len(d.Layers) {
		return nil, fmt.Errorf("%w: the archive has %d layers, and the configuration names %d", ErrDamaged, len(d.Layers), len(conf.RootFS.DiffIDs))
	}
	for n, id := range conf.RootFS.DiffIDs {
		l, err := c.layer(d.Layers[n], id)
		if err != nil {
			return nil, err
		}
		i.Layers = append(i.Layers, l)
	}
	return i, nil
}

// layer is the layer that the archive holds under a name, and that has to be diffID.
func (c contents) layer(name, diffID string) (Layer, error) {
	name = c.follow(path.Clean(name))
	if size, ok := c.skipped[name]; ok && digestIn(name) == diffID {
		return Layer{DiffID: diffID, Digest: diffID, Size: size}, nil
	}
	b, ok := c.blobs[name]
	if !ok || b.Expanded != diffID {
		return Layer{}, fmt.Errorf("%w: what the archive holds as %s is not layer %s", ErrDamaged, name, diffID)
	}
	return b.layer(), nil
}

// layer is the layer that the blob holds.
func (b Blob) layer() Layer {
	if b.Plain {
		return Layer{DiffID: b.Expanded, Digest: b.Expanded, Size: b.Holds, File: b.File, Pushed: b.Digest}
	}
	return Layer{DiffID: b.Expanded, Digest: b.Digest, Size: b.Size, Format: b.Format, File: b.File}
}

// maxText bounds what is read into memory of an archive: manifests and configurations.
const maxText = 8 << 20

func (c contents) read(name string) ([]byte, error) {
	b, ok := c.blobs[c.follow(path.Clean(name))]
	if !ok || b.Size > maxText {
		return nil, fmt.Errorf("%w: the archive has no %s that can be read", ErrDamaged, name)
	}
	return os.ReadFile(b.File)
}
