package kind

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// metadata is where containerd in a node image keeps which images it has.
const metadata = "/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db"

// Contents says which images a node image brings along: full reference → digest of its manifest. No node pulls these. The node image is named
// by reference or ID; the result is empty if the engine does not hold it. No node runs for this: containerd's own database is read.
func (k *Clusters) Contents(ctx context.Context, nodeImage string) (map[string]string, error) {
	held, err := k.Engine.Images(ctx, []string{nodeImage})
	if err != nil || held[nodeImage] == "" {
		return nil, err
	}
	what := "looking into the node image " + nodeImage
	// A container that never runs is how the engine gives out an image's files.
	out, err := k.docker.run(ctx, nil, "container", "create", "--network", "none", "--label", "run.devenv.look=true", nodeImage)
	if err != nil {
		return nil, k.engineFault(ctx, what, err)
	}
	id := strings.TrimSpace(string(out))
	defer func() {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.wait.undo)
		defer cancel()
		_, _ = k.docker.run(undo, nil, "container", "rm", "--force", "--volumes", id) // it does nothing and holds nothing
	}()
	archive, err := k.docker.run(ctx, nil, "container", "cp", id+":"+metadata, "-")
	if said(err, "could not find the file", "no such file") {
		return nil, nil // no image of kind's
	}
	if err != nil {
		return nil, k.engineFault(ctx, what, err)
	}
	database, err := onlyFile(archive)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	images, err := imagesIn(database)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return images, nil
}

// onlyFile is the first file of an archive.
func onlyFile(archive []byte) ([]byte, error) {
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := r.Next()
		if err != nil {
			return nil, err
		}
		if header.Typeflag == tar.TypeReg {
			return io.ReadAll(r)
		}
	}
}

// imagesIn reads the images of the namespace that Kubernetes uses out of containerd's database. Its buckets are those of containerd's package
// core/metadata: v1, the namespace, images, an image's name, target.
func imagesIn(database []byte) (images map[string]string, err error) {
	dir, err := os.MkdirTemp("", "devenv-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "meta.db")
	if err := os.WriteFile(path, database, 0o600); err != nil {
		return nil, err
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	images = map[string]string{}
	return images, db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("v1"))
		for _, name := range []string{"k8s.io", "images"} {
			if b != nil {
				b = b.Bucket([]byte(name))
			}
		}
		if b == nil {
			return nil
		}
		return b.ForEachBucket(func(name []byte) error {
			if target := b.Bucket(name).Bucket([]byte("target")); target != nil {
				images[string(name)] = string(target.Get([]byte("digest")))
			}
			return nil
		})
	})
}
