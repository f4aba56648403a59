package docker

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	bkclient "github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session/filesync"
)

// File is a regular file that a build made.
type File struct {
	Path     string // where it is on this machine, with Time
	Mode     uint32 // permissions, and the set-user-ID (04000), set-group-ID (02000) and sticky (01000) bits
	UID, GID int
	Time     time.Time
	Digest   string // sha256:… of its content
}

// ErrAdded is in the chain of a build's error that no line of the user's Dockerfile is to blame for.
var ErrAdded = errors.New("not in the Dockerfile")

// kindError says that a build made something else than plain files.
type kindError struct {
	name string // in the root of the result
	is   string
}

func (e *kindError) Error() string { return fmt.Sprintf("%s is %s, and no plain file", e.name, e.is) }

// NotPlain says whether, and what, in the root directory of a build's result is something else than a file of content, mode, owner and time; is says what.
func NotPlain(err error) (name, is string, ok bool) {
	var k *kindError
	if errors.As(err, &k) {
		return k.name, k.is, true
	}
	return "", "", false
}

// Files builds like Build, but the engine gets no image: what the root directory of the target's last stage has is received into the directory dir, which
// has to be there and empty, and the result is by name. It has to be regular files only; else NotPlain knows the error. Steps are shared with Build through BuildKit's cache.
// After an error dir may hold files.
func (e *Engine) Files(ctx context.Context, b Build, dir string, report func(string)) (map[string]File, error) {
	r := &receiver{dir: dir}
	err := e.build(ctx, b, export{
		entry:  bkclient.ExportEntry{Type: bkclient.ExporterTar},
		target: filesync.NewFSSyncTarget(filesync.WithFSSync(0, r.open)),
	}, report)
	r.work.Wait() // that of a build that failed ends with its connection
	switch {
	case ctx.Err() != nil:
		return nil, err
	case r.err != nil: // the build's error is that nobody took what it made
		return nil, fmt.Errorf("%s: %w: %w", b.what(), ErrAdded, r.err)
	case err == nil && r.files == nil:
		err = fmt.Errorf("%s: %w: the engine sent nothing", b.what(), ErrAdded)
	}
	return r.files, err
}

// receiver takes the archive that BuildKit makes of a result.
type receiver struct {
	dir   string
	work  sync.WaitGroup
	files map[string]File // once work is done; nil if something lacks
	err   error
}

// open is a filesync.FileOutputFunc.
func (r *receiver) open(map[string]string) (io.WriteCloser, error) {
	in, out := io.Pipe()
	t := &tape{PipeWriter: out, read: make(chan struct{})}
	r.work.Go(func() {
		defer close(t.read)
		r.files, r.err = unpack(in, r.dir)
		_ = in.CloseWithError(r.err) // ends what still writes
	})
	return t, nil
}

// tape is the way of an archive to who reads it. Close returns once that one is done.
type tape struct {
	*io.PipeWriter
	read chan struct{}
}

// Close implements io.Closer.
func (t *tape) Close() error {
	err := t.PipeWriter.Close()
	<-t.read
	return err
}

// unpack writes the files of an archive into a directory. What is no plain file in its root is a *kindError.
func unpack(archive io.Reader, dir string) (map[string]File, error) {
	files := map[string]File{}
	for in := tar.NewReader(archive); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, archive) // what pads it
			return files, err
		}
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if name == "" {
			continue
		}
		if is := unusual(h); is != "" || strings.Contains(name, "/") {
			return nil, &kindError{name, is}
		}
		f := File{Path: filepath.Join(dir, name), Mode: uint32(h.Mode) & 0o7777, UID: h.Uid, GID: h.Gid, Time: h.ModTime}
		if f.Digest, err = keep(f, in); err != nil {
			return nil, err
		}
		files[name] = f
	}
}

// unusual says what an entry is that is no regular file, or has more than content, mode, owner and time.
func unusual(h *tar.Header) string {
	switch h.Typeflag {
	case tar.TypeReg:
	case tar.TypeDir:
		return "a directory"
	case tar.TypeSymlink, tar.TypeLink:
		return "a link"
	default:
		return "something special"
	}
	for record := range h.PAXRecords {
		// Those of a security module of this machine are no part of an image.
		if attribute, ok := strings.CutPrefix(record, "SCHILY.xattr."); ok && (attribute == "security.capability" || strings.HasPrefix(attribute, "user.")) {
			return "a file with " + attribute
		}
	}
	return ""
}

// keep writes a file and returns the digest of what is in it.
func keep(f File, content io.Reader) (string, error) {
	out, err := os.OpenFile(f.Path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, sum), content)
	if err = errors.Join(err, out.Close()); err == nil {
		err = os.Chtimes(f.Path, f.Time, f.Time)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), err
}
