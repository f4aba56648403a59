package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// Entry is a path of an image that a layer changes.
type Entry struct {
	Path string // absolute, clean
	From string // path on this machine of the content; for a regular file, which everything is that Dir, Link and Gone do not make something else
	// Open opens the content; nil: what is at From is. Its errors, also at its end, are WriteLayer's.
	Open     func() (fs.File, error)
	Dir      bool
	Link     string // where a symbolic link leads
	Gone     bool   // the path is removed, with what is below it
	Mode     uint32 // permissions, and the set-user-ID (04000), set-group-ID (02000) and sticky (01000) bits
	UID, GID int
}

// The names by which a layer says what it takes away from those below it.
const (
	Whiteout = ".wh."         // before the name of a file: it is removed
	opaque   = ".wh..wh..opq" // in a directory: all that was in it
)

// WriteLayer writes the archive of a layer, not compressed, which makes of the layers below it what entries say, in their order. Directories that are not among the
// entries stay as they are. A regular file has the time that it has on this machine, as after a Dockerfile's COPY: web servers tell versions apart by
// it. Everything else has none. So the same files give the same bytes.
func WriteLayer(w io.Writer, entries []Entry) error {
	out := tar.NewWriter(w)
	gone := map[string]bool{} // said and not made again yet
	for _, e := range entries {
		if e.Gone {
			gone[e.Path] = true
		}
	}
	for _, e := range entries {
		if !path.IsAbs(e.Path) || path.Clean(e.Path) != e.Path || e.Path == "/" || strings.HasPrefix(path.Base(e.Path), Whiteout) {
			return fmt.Errorf("%q is not a path that a layer can hold", e.Path)
		}
		if e.Gone {
			if slices.ContainsFunc(entries, func(o Entry) bool {
				return !o.Gone && within(o.Path, e.Path) || o.Gone && o.Path != e.Path && within(e.Path, o.Path)
			}) {
				continue // what is made again needs more than a whiteout, see emptied; what is in something that goes needs none
			}
			if err := write(out, path.Join(path.Dir(e.Path), Whiteout+path.Base(e.Path)), &tar.Header{Typeflag: tar.TypeReg, Mode: 0o600}, nil); err != nil {
				return err
			}
			continue
		}
		if err := emptied(out, e, gone); err != nil {
			return err
		}
		if err := writeEntry(out, e); err != nil {
			return fmt.Errorf("a layer with %s: %w", e.Path, err)
		}
		if e.Dir && gone[e.Path] {
			delete(gone, e.Path)
			if err := write(out, path.Join(e.Path, opaque), &tar.Header{Typeflag: tar.TypeReg, Mode: 0o600}, nil); err != nil {
				return err
			}
		}
	}
	return out.Close()
}

// within says whether p is dir or below it.
func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// emptied writes the directories above an entry that are gone and nobody makes, as the entry needs them.
func emptied(out *tar.Writer, e Entry, gone map[string]bool) error {
	var above []string
	for up := path.Dir(e.Path); up != "/"; up = path.Dir(up) {
		if gone[up] {
			above = append(above, up)
		}
	}
	for _, up := range slices.Backward(above) {
		delete(gone, up)
		for _, part := range []struct {
			name string
			h    *tar.Header
		}{{up, &tar.Header{Typeflag: tar.TypeDir, Mode: 0o755}}, {path.Join(up, opaque), &tar.Header{Typeflag: tar.TypeReg, Mode: 0o600}}} {
			if err := write(out, part.name, part.h, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeEntry(out *tar.Writer, e Entry) error {
	h := &tar.Header{Mode: int64(e.Mode & 0o7777), Uid: e.UID, Gid: e.GID}
	switch {
	case e.Dir:
		h.Typeflag = tar.TypeDir
		return write(out, e.Path, h, nil)
	case e.Link != "":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, e.Link, 0o777
		return write(out, e.Path, h, nil)
	}
	open := e.Open
	if open == nil {
		open = func() (fs.File, error) { return os.Open(e.From) }
	}
	f, err := open()
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New(e.From + " is not a regular file")
	}
	h.Typeflag, h.Size, h.ModTime = tar.TypeReg, info.Size(), info.ModTime().Truncate(time.Second)
	return write(out, e.Path, h, f)
}

func write(out *tar.Writer, name string, h *tar.Header, content io.Reader) error {
	h.Name = strings.TrimPrefix(name, "/")
	if h.Typeflag == tar.TypeDir {
		h.Name += "/"
	}
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	if content == nil {
		return nil
	}
	if _, err := io.CopyN(out, content, h.Size); err != nil {
		return err
	}
	// What is appended meanwhile is not part of it, unless whoever opened it minds.
	if _, err := content.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
