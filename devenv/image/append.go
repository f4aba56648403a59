package image

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Named makes an image of a manifest and its configuration. Its layers are only named.
func Named(manifest, configuration []byte) (*Image, error) {
	m, err := v1.ParseManifest(bytes.NewReader(manifest))
	if err != nil {
		return nil, fmt.Errorf("%w: its manifest: %w", ErrDamaged, err)
	}
	c, err := parseConfig(configuration)
	if err != nil {
		return nil, err
	}
	if len(c.RootFS.DiffIDs) != len(m.Layers) {
		return nil, fmt.Errorf("%w: %d layers, of which its configuration names %d", ErrDamaged, len(m.Layers), len(c.RootFS.DiffIDs))
	}
	i := &Image{Config: configuration}
	for n, l := range m.Layers {
		i.Layers = append(i.Layers, Layer{DiffID: c.RootFS.DiffIDs[n], Digest: l.Digest.String(), Size: l.Size, Format: formatOfMedia(string(l.MediaType))})
	}
	return i, nil
}

// formatOfMedia is how a layer of a media type is compressed, whether it is one of OCI's or of Docker's.
func formatOfMedia(media string) Format {
	switch {
	case strings.HasSuffix(media, "gzip"):
		return Gzip
	case strings.HasSuffix(media, "zstd"):
		return Zstd
	}
	return Plain
}

// Append is the image with one more layer on top. by is what its history says of the layer; its time is that of the image, so that the same image and
// layer give the same configuration.
func (i *Image) Append(l Layer, by string) (*Image, error) {
	// What is not known here stays as it is.
	var config, rootfs map[string]json.RawMessage
	var diffIDs []string
	var history []json.RawMessage
	if err := json.Unmarshal(i.Config, &config); err != nil {
		return nil, fmt.Errorf("%w: its configuration: %w", ErrDamaged, err)
	}
	if err := optional(config["rootfs"], &rootfs); err != nil {
		return nil, err
	}
	if err := optional(rootfs["diff_ids"], &diffIDs); err != nil {
		return nil, err
	}
	if err := optional(config["history"], &history); err != nil {
		return nil, err
	}
	if rootfs == nil || len(diffIDs) != len(i.Layers) {
		return nil, fmt.Errorf("%w: %d layers, of which its configuration names %d", ErrDamaged, len(i.Layers), len(diffIDs))
	}
	entry, err := json.Marshal(struct {
		Created   json.RawMessage `json:"created,omitempty"`
		CreatedBy string          `json:"created_by"`
	}{config["created"], by})
	if err != nil {
		return nil, err
	}
	if rootfs["diff_ids"], err = json.Marshal(append(diffIDs, l.DiffID)); err != nil {
		return nil, err
	}
	if config["rootfs"], err = json.Marshal(rootfs); err != nil {
		return nil, err
	}
	if config["history"], err = json.Marshal(append(history, entry)); err != nil {
		return nil, err
	}
	data, err := json.Marshal(config)
	return &Image{Config: data, Layers: append(slices.Clone(i.Layers), l)}, err
}

// optional reads a part of a configuration that may be missing.
func optional(data json.RawMessage, into any) error {
	if len(data) == 0 {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%w: its configuration: %w", ErrDamaged, err)
	}
	return nil
}
