package kind

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/image"
)

// Images in this world: what an engine says of them and hands out, and what a node's content store makes of what it is sent.

// digestOf is the digest of a text.
func digestOf(text string) string { return image.Digest([]byte(text)) }

// content is what the layers of an image hold, the lowest first.
func (w *world) content(ref string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.layers[ref]; c != nil {
		return c
	}
	return []string{"all of " + ref}
}

func diffIDs(content []string) []string {
	ids := make([]string, len(content))
	for n, c := range content {
		ids[n] = digestOf(c)
	}
	return ids
}

// derive puts an image into the engine that has the layers of another and one more.
func (w *world) derive(ref, from string) {
	content := append(slices.Clone(w.content(from)), "what is new in "+ref)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.layers[ref], w.images[ref] = content, "sha256:5"
}

func (w *world) noImage(ref string) error {
	if held, _ := w.Images(context.Background(), []string{ref}); held[ref] == "" {
		return &fault.Error{Kind: fault.Machine, What: "image " + ref, Err: errors.New("no such image"), Next: "Build it."}
	}
	return nil
}

// Export writes the reference and a lot of padding, which is what the archive of an engine is in this world.
func (w *world) Export(_ context.Context, refs []string, out io.Writer) error {
	if err := w.noImage(refs[0]); err != nil {
		return err
	}
	name, _ := canonical(refs[0])
	_, err := io.WriteString(out, name+"\n"+strings.Repeat("layer\n", 1<<20))
	return err
}

func (w *world) Describe(_ context.Context, ref string) (image.Description, error) {
	return image.Description{Layers: diffIDs(w.content(ref)), Size: 6 << 20}, w.noImage(ref)
}

func (w *world) Fetch(ctx context.Context, want image.Want) (*image.Image, error) {
	if err := errors.Join(w.call("fetch "+want.Ref+" "+fmt.Sprint(len(want.Wanted))), ctx.Err(), w.noImage(want.Ref)); err != nil {
		return nil, err
	}
	content := w.content(want.Ref)
	config, err := json.Marshal(map[string]any{"rootfs": map[string]any{"diff_ids": diffIDs(content)}})
	if err != nil {
		return nil, err
	}
	i := &image.Image{Config: config}
	for _, c := range content {
		l := image.Layer{DiffID: digestOf(c), Digest: digestOf(c)}
		if want.Wants(l.DiffID) {
			b, err := want.Spool.Add(strings.NewReader(c), -1)
			if err != nil {
				return nil, err
			}
			l.Size, l.File = b.Size, b.File
		}
		i.Layers = append(i.Layers, l)
	}
	return i, nil
}

// listLayers is layers.sh.
func (n *node) listLayers(wanted []string) []byte {
	var out strings.Builder
	for _, id := range wanted {
		if c, ok := n.content[id]; ok {
			fmt.Fprintf(&out, "%s %d 00000000 containerd.io/distribution.source.x=y,containerd.io/uncompressed=%s\n", id, len(c), id)
		}
	}
	return []byte(out.String())
}

// importLayout is what ctr makes of an OCI layout: an image whose layers are in the archive or in the content store, or an error.
func (w *world) importLayout(n *node, archive []byte) (ref string, err error) {
	files := map[string][]byte{}
	for in := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		if files[h.Name], err = io.ReadAll(in); err != nil {
			return "", err
		}
	}
	var index struct {
		Manifests []struct {
			Digest      string
			Annotations map[string]string
		}
	}
	var manifest struct{ Layers []struct{ Digest string } }
	if err := json.Unmarshal(files["index.json"], &index); err != nil {
		return "", err
	}
	blob := func(digest string) []byte { return files["blobs/"+strings.Replace(digest, ":", "/", 1)] }
	if err := json.Unmarshal(blob(index.Manifests[0].Digest), &manifest); err != nil {
		return "", err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range manifest.Layers {
		if data := blob(l.Digest); data != nil {
			n.content[l.Digest] = string(data)
		}
		if _, ok := n.content[l.Digest]; !ok {
			return "", fmt.Errorf("content digest %s: not found", l.Digest)
		}
	}
	return index.Manifests[0].Annotations["io.containerd.image.name"], nil
}
