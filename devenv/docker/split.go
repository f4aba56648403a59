package docker

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/vbatts/tar-split/tar/asm"
	"github.com/vbatts/tar-split/tar/storage"
)

// Names in the directory of a layer that came from elsewhere: what the engine noted of it, and what it unpacked of it.
const (
	splitName = "split"
	treeName  = "tree"
)

// joined writes the archive of a layer that came from elsewhere, as it came. An engine notes all of such an archive but what is in its files
// (package asm), because it has to be able to give it out again.
func (r *repacking) joined(w io.Writer, dir string) error {
	if err := r.next(); err != nil {
		return err
	}
	if r.at == nil || r.at.Name != dir+splitName {
		return fmt.Errorf("%w: nothing is noted of the layer in %s", errOther, dir)
	}
	noted, err := io.ReadAll(r.in) // a hundredth of the layer, which comes after it
	if err != nil {
		return err
	}
	expanded, err := gzip.NewReader(bytes.NewReader(noted))
	if err != nil {
		return err
	}
	files := &scattered{repacking: r, tree: dir + treeName + "/", kept: map[string]string{}}
	defer files.close()
	if err := asm.WriteOutputTarStream(files, storage.NewJSONUnpacker(expanded), w); err != nil {
		return err
	}
	for r.at != nil && strings.HasPrefix(r.at.Name, dir) {
		if err := r.next(); err != nil {
			return err
		}
	}
	return nil
}

// scattered gives out what is in the files of a layer, in the order in which the layer has them. Mostly that is the order in which they come. What comes too
// early is kept on disk until it is asked for.
type scattered struct {
	*repacking
	tree string            // the directory of the files, with a slash at its end
	dir  string            // of what is kept; empty before anything is
	kept map[string]string // names of files that came, relative to tree → where they are kept; empty: nowhere any more
}

// Get implements storage.FileGetter. It is asked once for each file that is not empty, and not for hard links.
func (s *scattered) Get(name string) (io.ReadCloser, error) {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	for {
		if file := s.kept[name]; file != "" {
			return os.Open(file)
		}
		if err := s.next(); err != nil {
			return nil, err
		}
		if s.at == nil || !strings.HasPrefix(s.at.Name, s.tree) {
			return nil, fmt.Errorf("%w: %s did not come", errOther, name)
		}
		at := strings.TrimPrefix(s.at.Name, s.tree)
		switch {
		case s.at.Typeflag == tar.TypeLink: // of several names for one file another one may have come first
			s.kept[at] = s.kept[strings.TrimPrefix(s.at.Linkname, s.tree)]
		case s.at.Typeflag != tar.TypeReg || s.at.Size == 0:
		case at == name:
			return io.NopCloser(s.in), nil
		default:
			if err := s.keep(at); err != nil {
				return nil, err
			}
		}
	}
}

// keep keeps the file that comes.
func (s *scattered) keep(name string) (err error) {
	if s.dir == "" {
		if s.dir, err = s.into.scratch(); err != nil {
			return err
		}
	}
	f, err := os.Create(path.Join(s.dir, strconv.Itoa(len(s.kept))))
	if err != nil {
		return err
	}
	s.kept[name] = f.Name()
	_, err = io.CopyBuffer(f, s.in, s.buffer)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

func (s *scattered) close() {
	if s.dir != "" {
		_ = os.RemoveAll(s.dir) // what is left goes with the spool
	}
}
