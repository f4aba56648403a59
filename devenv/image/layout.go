package image

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// WriteLayout writes an archive of an OCI layout with the image under the given full reference: index, manifest and configuration, and the blobs of those
// layers that are at hand. The same image gives the same bytes.
func WriteLayout(w io.Writer, name string, i *Image) error {
	manifest, index, err := i.manifests(name)
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	for _, part := range []struct {
		name string
		data []byte
	}{
		{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{"index.json", index},
		{blobPath(Digest(manifest)), manifest},
		{blobPath(Digest(i.Config)), i.Config},
	} {
		if err := out.WriteHeader(header(part.name, int64(len(part.data)))); err != nil {
			return err
		}
		if _, err := out.Write(part.data); err != nil {
			return err
		}
	}
	written := map[string]bool{}
	for _, l := range i.Layers {
		if l.File == "" || written[l.Digest] {
			continue
		}
		written[l.Digest] = true
		if err := writeBlob(out, l); err != nil {
			return err
		}
	}
	return out.Close()
}

func writeBlob(out *tar.Writer, l Layer) error {
	f, err := os.Open(l.File)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := out.WriteHeader(header(blobPath(l.Digest), l.Size)); err != nil {
		return err
	}
	_, err = io.Copy(out, f)
	return err
}

func header(name string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size}
}

// blobPath is where a layout holds a blob.
func blobPath(digest string) string { return "blobs/" + strings.Replace(digest, ":", "/", 1) }

// The annotations that say how an image of a layout is called. Containerd goes by the first, others by the second.
const (
	containerdName = "io.containerd.image.name"
	ociName        = "org.opencontainers.image.ref.name"
)

// Manifest is the image's manifest, under OCI's media types.
func (i *Image) Manifest() ([]byte, error) {
	manifest, _, err := i.manifests("")
	return manifest, err
}

// MediaType is how a manifest calls the layer.
func (l Layer) MediaType() string { return l.Format.mediaType() }

// manifests are the image's manifest and an index that names it.
func (i *Image) manifests(name string) (manifest, index []byte, err error) {
	c, err := parseConfig(i.Config)
	if err != nil {
		return nil, nil, err
	}
	if len(c.RootFS.DiffIDs) != len(i.Layers) {
		return nil, nil, fmt.Errorf("%w: %d layers, of which its configuration names %d", ErrDamaged, len(i.Layers), len(c.RootFS.DiffIDs))
	}
	config, err := descriptor(types.OCIConfigJSON, Digest(i.Config), int64(len(i.Config)))
	if err != nil {
		return nil, nil, err
	}
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: config, Layers: []v1.Descriptor{}}
	for n, l := range i.Layers {
		if l.DiffID != c.RootFS.DiffIDs[n] {
			return nil, nil, fmt.Errorf("%w: layer %d is %s, and its configuration says %s", ErrDamaged, n+1, l.DiffID, c.RootFS.DiffIDs[n])
		}
		d, err := descriptor(types.MediaType(l.Format.mediaType()), l.Digest, l.Size)
		if err != nil {
			return nil, nil, err
		}
		m.Layers = append(m.Layers, d)
	}
	if manifest, err = json.Marshal(m); err != nil {
		return nil, nil, err
	}
	d, err := descriptor(m.MediaType, Digest(manifest), int64(len(manifest)))
	if err != nil {
		return nil, nil, err
	}
	d.Platform = &v1.Platform{OS: c.OS, Architecture: c.Architecture, Variant: c.Variant}
	d.Annotations = map[string]string{containerdName: name, ociName: name}
	index, err = json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{d}})
	return manifest, index, err
}

func descriptor(media types.MediaType, digest string, size int64) (v1.Descriptor, error) {
	h, err := v1.NewHash(digest)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return v1.Descriptor{MediaType: media, Digest: h, Size: size}, nil
}
