package docker

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/devenv-run/devenv/devenv/image"
)

// repackInto takes what repack finds.
type repackInto struct {
	// layer is called for each layer with the name of its directory, and writes the layer's archive by the function that it is given.
	layer func(dir string, write func(io.Writer) error) error
	// file is called for each file beside the layers.
	file func(name string, r io.Reader) error
	// scratch makes a directory for what has to be kept until its turn comes.
	scratch func() (dir string, err error)
}

// splitPrefix is before the names of directories of layers that came from elsewhere.
const splitPrefix = "s"

// repack takes the archives of layers out of an archive of a directory, root, that has a directory for each of them with what an engine with overlay2 has
// unpacked of it.
//
// Engines write layers and directories by the same code. What differs are the names, and that a removed file, which in a layer is an empty one of another
// name, is a device in overlayfs. That a directory replaces one of the same name is noted where no archive has it, so such a layer does not become what
// it was; whether one does, its digest says. A layer that came from elsewhere other code has written; see joined.
func repack(archive io.Reader, root string, into repackInto) error {
	r := &repacking{in: tar.NewReader(archive), into: into, removed: map[string]bool{}, buffer: make([]byte, repackChunk)}
	if err := r.next(); err != nil {
		return err
	}
	for r.at != nil {
		name, inside := strings.CutPrefix(r.at.Name, root+"/")
		name, below, isDir := strings.Cut(name, "/")
		switch {
		case inside && name == "": // the root itself
			if err := r.next(); err != nil {
				return err
			}
		case inside && !isDir && r.at.Typeflag == tar.TypeReg:
			if err := into.file(name, r.in); err != nil {
				return err
			}
			if err := r.next(); err != nil {
				return err
			}
		case !inside || !isDir || below != "":
			return fmt.Errorf("%w: %s", errOther, r.at.Name)
		default:
			write := r.layer
			if strings.HasPrefix(name, splitPrefix) {
				write = r.joined
			}
			if err := into.layer(name, func(w io.Writer) error { return write(w, root+"/"+name+"/") }); err != nil {
				return err
			}
		}
	}
	return nil
}

// errOther is about an archive that is not the one that was asked for.
var errOther = errors.New("the engine sent something else than was asked for")

// repackChunk is in how big pieces layers are copied.
const repackChunk = 1 << 18

// repacking is an archive that is read, at the entry at; nil: at its end.
type repacking struct {
	in      *tar.Reader
	into    repackInto
	at      *tar.Header
	removed map[string]bool // names of the devices for removed files
	buffer  []byte
}

func (r *repacking) next() error {
	h, err := r.in.Next()
	if errors.Is(err, io.EOF) {
		h, err = nil, nil
	}
	r.at = h
	return err
}

// layer writes the archive of what is in dir.
func (r *repacking) layer(w io.Writer, dir string) error {
	out := tar.NewWriter(w)
	for {
		if err := r.next(); err != nil {
			return err
		}
		if r.at == nil || !strings.HasPrefix(r.at.Name, dir) {
			return out.Close()
		}
		h, err := r.inLayer(dir)
		if err != nil {
			return err
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.CopyBuffer(out, r.in, r.buffer); err != nil {
			return err
		}
	}
}

// inLayer is the header that what is found in dir has in a layer.
func (r *repacking) inLayer(dir string) (*tar.Header, error) {
	h := *r.at
	h.Format = tar.FormatPAX // as engines write all that they write
	h.Name = strings.TrimPrefix(h.Name, dir)
	h.PAXRecords = attributes(h.PAXRecords)
	removed := h.Typeflag == tar.TypeChar && h.Devmajor == 0 && h.Devminor == 0
	if h.Typeflag == tar.TypeLink {
		to, ok := strings.CutPrefix(h.Linkname, dir)
		if !ok {
			return nil, fmt.Errorf("%w: %s, a link to %s", errOther, h.Name, h.Linkname)
		}
		removed = r.removed[h.Linkname] // overlayfs has one device for several removed files
		h.Linkname = to
	}
	if removed {
		r.removed[r.at.Name] = true
		parent, name := path.Split(h.Name)
		h.Name, h.Typeflag, h.Mode = parent+image.Whiteout+name, tar.TypeReg, 0o600
	}
	return &h, nil
}

// attributes are those records of an entry that its other fields do not stand for: a name may be too long for a field where it was found, and not in the layer.
func attributes(records map[string]string) map[string]string {
	var kept map[string]string
	for name, value := range records {
		if strings.HasPrefix(name, "SCHILY.xattr.") {
			if kept == nil {
				kept = map[string]string{}
			}
			kept[name] = value
		}
	}
	return kept
}
