package devenv

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/hot"
	oci "github.com/devenv-run/devenv/devenv/image" // image is something else here
)

// layersDir is where layers are while they are on their way, below the environment's state directory. What a devenv that was killed has left there
// goes with the next one.
const layersDir = "layers"

// sweepLayers removes what is left there.
func (p *Project) sweepLayers() {
	if err := os.RemoveAll(p.state.path(layersDir)); err != nil {
		p.log.Debug("left layers not removed", "error", err)
	}
}

// layerDir makes a directory for what becomes a layer.
func (h *hotpath) layerDir() (string, error) {
	dir := h.project.state.path(layersDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return os.MkdirTemp(dir, "outputs")
}

// layer writes files as a layer onto this machine. remove takes it away again.
func (h *hotpath) layer(files []hot.File) (l hot.Layer, remove func(), err error) {
	dir := h.project.state.path(layersDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return l, nil, err
	}
	f, err := os.CreateTemp(dir, "*.tar")
	if err != nil {
		return l, nil, err
	}
	remove = func() { _ = os.Remove(f.Name()) } // sweepLayers does otherwise
	sum := sha256.New()
	buffered := bufio.NewWriterSize(f, 1<<16)
	err = oci.WriteLayer(io.MultiWriter(buffered, sum), layerEntries(files))
	err = errors.Join(err, buffered.Flush())
	info, statErr := f.Stat()
	if err = errors.Join(err, statErr, f.Close()); err != nil {
		remove()
		return l, nil, fmt.Errorf("writing a layer: %w", err)
	}
	return hot.Layer{File: filepath.Clean(f.Name()), DiffID: "sha256:" + hex.EncodeToString(sum.Sum(nil)), Size: info.Size()}, remove, nil
}

// layerEntries are files as a layer takes them.
func layerEntries(files []hot.File) []oci.Entry {
	all := make([]oci.Entry, len(files))
	for i, f := range files {
		all[i] = oci.Entry{Path: f.To, From: f.From, Dir: f.Kind == digest.Dir && !f.Gone, Link: f.Link, Gone: f.Gone, Mode: f.Mode, Open: f.Open}
		if f.Owner != nil {
			all[i].UID, all[i].GID = f.Owner.UID, f.Owner.GID
		}
	}
	return all
}
