package main

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"
)

// Image is one image of an archive.
type Image struct {
	Name   string // full reference with a tag
	Layers []Layer
	Config Config
}

// Config is what a container of an image runs by default.
type Config struct {
	User       string   `json:"User,omitempty"`
	Env        []string `json:"Env,omitempty"`
	Entrypoint []string `json:"Entrypoint,omitempty"`
	WorkingDir string   `json:"WorkingDir,omitempty"`
}

// descriptor points at a blob of an OCI layout.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+zstd"
)

// writeArchive writes images as an OCI layout in a tar.
//
// Its first file is "repositories", which is no part of an OCI layout: kind reads an archive's names from the first file
// of that name and pulls what it does not find there.
func writeArchive(out io.Writer, architecture string, images []Image) error {
	archive := tar.NewWriter(out)
	names := map[string]map[string]string{}
	index := struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Manifests     []descriptor `json:"manifests"`
	}{SchemaVersion: 2, MediaType: typeIndex}
	var blobs [][]byte
	for _, image := range images {
		colon := strings.LastIndex(image.Name, ":")
		if colon < 0 {
			return fmt.Errorf("%s: a reference without a tag", image.Name)
		}
		manifest, config, err := image.documents(architecture)
		if err != nil {
			return err
		}
		repository, tag := image.Name[:colon], image.Name[colon+1:]
		if names[repository] == nil {
			names[repository] = map[string]string{}
		}
		names[repository][tag] = strings.TrimPrefix(digest(config), "sha256:")
		index.Manifests = append(index.Manifests, descriptor{
			MediaType: typeManifest, Digest: digest(manifest), Size: int64(len(manifest)),
			Annotations: map[string]string{
				"io.containerd.image.name":          image.Name,
				"org.opencontainers.image.ref.name": tag,
			},
		})
		blobs = append(blobs, manifest, config)
		for _, layer := range image.Layers {
			blobs = append(blobs, layer.Blob)
		}
	}
	if err := writeJSON(archive, "repositories", names); err != nil {
		return err
	}
	if err := writeJSON(archive, "oci-layout", map[string]string{"imageLayoutVersion": "1.0.0"}); err != nil {
		return err
	}
	if err := writeJSON(archive, "index.json", index); err != nil {
		return err
	}
	written := map[string]bool{}
	for _, blob := range blobs {
		name := path.Join("blobs", strings.ReplaceAll(digest(blob), ":", "/"))
		if written[name] {
			continue
		}
		written[name] = true
		if err := writeFile(archive, name, 0o644, blob); err != nil {
			return err
		}
	}
	return archive.Close()
}

// documents renders an image's manifest and configuration.
func (i Image) documents(architecture string) (manifest, config []byte, err error) {
	var diffs []string
	var layers []descriptor
	for _, layer := range i.Layers {
		diffs = append(diffs, layer.DiffID)
		layers = append(layers, descriptor{MediaType: typeLayer, Digest: layer.Digest, Size: int64(len(layer.Blob))})
	}
	config, err = json.Marshal(map[string]any{
		"created":      "1970-01-01T00:00:00Z",
		"architecture": architecture,
		"os":           "linux",
		"config":       i.Config,
		"rootfs":       map[string]any{"type": "layers", "diff_ids": diffs},
	})
	if err != nil {
		return nil, nil, err
	}
	manifest, err = json.Marshal(map[string]any{
		"schemaVersion": 2,
		"mediaType":     typeManifest,
		"config":        descriptor{MediaType: typeConfig, Digest: digest(config), Size: int64(len(config))},
		"layers":        layers,
	})
	return manifest, config, err
}

func writeJSON(archive *tar.Writer, name string, document any) error {
	text, err := json.Marshal(document)
	if err != nil {
		return err
	}
	return writeFile(archive, name, 0o644, text)
}

func writeFile(archive *tar.Writer, name string, mode int64, content []byte) error {
	header := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode, Size: int64(len(content))}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}
