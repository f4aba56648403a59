package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Entry is one path of a layer. It is a folder if it has neither source nor content nor link.
type Entry struct {
	Path    string // absolute, in the image
	Source  string // file on this machine whose content it gets
	Content []byte // or the content itself
	Link    string // or the target of a symbolic link
	Mode    fs.FileMode
}

// Layer is a packed layer: the same entries give the same bytes, wherever and whenever it is packed.
type Layer struct {
	Blob   []byte // tar, compressed with zstd
	Digest string // of the blob
	DiffID string // of the tar
}

// packLayer packs entries, and the folders that lead to them.
func packLayer(entries []Entry) (Layer, error) {
	entries = withParents(entries)
	var blob bytes.Buffer
	compressor, err := zstd.NewWriter(&blob, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(2))
	if err != nil {
		return Layer{}, err
	}
	plain := sha256.New()
	archive := tar.NewWriter(io.MultiWriter(compressor, plain))
	for _, entry := range entries {
		if err := entry.write(archive); err != nil {
			return Layer{}, fmt.Errorf("%s: %w", entry.Path, err)
		}
	}
	if err := archive.Close(); err != nil {
		return Layer{}, err
	}
	if err := compressor.Close(); err != nil {
		return Layer{}, err
	}
	return Layer{Blob: blob.Bytes(), Digest: digest(blob.Bytes()), DiffID: "sha256:" + hex.EncodeToString(plain.Sum(nil))}, nil
}

func (e Entry) write(archive *tar.Writer) error {
	header := &tar.Header{Name: strings.TrimPrefix(e.Path, "/"), Mode: int64(e.Mode.Perm()), Format: tar.FormatPAX}
	if e.Mode&fs.ModeSticky != 0 {
		header.Mode |= 0o1000
	}
	switch {
	case e.Link != "":
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, e.Link, 0o777
		return archive.WriteHeader(header)
	case e.Source != "":
		file, err := os.Open(e.Source)
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		header.Typeflag, header.Size = tar.TypeReg, info.Size()
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		_, err = io.Copy(archive, file)
		return err
	case e.Content != nil:
		header.Typeflag, header.Size = tar.TypeReg, int64(len(e.Content))
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		_, err := archive.Write(e.Content)
		return err
	}
	header.Typeflag, header.Name = tar.TypeDir, header.Name+"/"
	return archive.WriteHeader(header)
}

// withParents returns the entries in the order of their paths, with the folders between them.
func withParents(entries []Entry) []Entry {
	known := map[string]bool{"/": true}
	for _, entry := range entries {
		known[entry.Path] = true
	}
	all := slices.Clone(entries)
	for _, entry := range entries {
		for folder := path.Dir(entry.Path); !known[folder]; folder = path.Dir(folder) {
			known[folder] = true
			all = append(all, Entry{Path: folder, Mode: 0o755})
		}
	}
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// treeEntries returns the entries of a folder on this machine, which stands for the root of the image.
func treeEntries(root string) ([]Entry, error) {
	root, err := filepath.EvalSymlinks(root) // a walk does not enter a folder that is a link
	if err != nil {
		return nil, err
	}
	var entries []Entry
	err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || file == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		entry := Entry{Path: "/" + filepath.ToSlash(strings.TrimPrefix(file, root+string(filepath.Separator))), Mode: info.Mode()}
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			if entry.Link, err = os.Readlink(file); err != nil {
				return err
			}
		case d.Type().IsRegular():
			entry.Source = file
		case !d.IsDir():
			return fmt.Errorf("%s: neither file, folder nor link", file)
		}
		entries = append(entries, entry)
		return nil
	})
	if err == nil && len(entries) == 0 {
		err = fmt.Errorf("%s: empty", root)
	}
	return entries, err
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}
