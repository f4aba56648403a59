package image

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Spool keeps blobs in files of a directory of its own while an image is on its way. It is safe for concurrent use.
type Spool struct {
	dir string

	mu    sync.Mutex
	blobs map[string]Blob // by digest, and by the digest of what is in it
}

// Blob is a file of a Spool.
type Blob struct {
	Digest   string // sha256:… of the file
	Expanded string // sha256:… of what is in it once it is not compressed any more
	Size     int64  // bytes of the file
	Holds    int64  // bytes of what is in it once it is not compressed any more
	Format   Format
	File     string
	Plain    bool // the file is what the blob held, not compressed any more; the rest is said of the blob as it came
}

// NewSpool makes a spool in a new directory below parent, which is made if need be.
func NewSpool(parent string) (*Spool, error) {
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, "")
	if err != nil {
		return nil, err
	}
	return &Spool{dir: dir, blobs: map[string]Blob{}}, nil
}

// Close removes everything that the spool holds.
func (s *Spool) Close() error { return os.RemoveAll(s.dir) }

// Scratch makes a directory for what is needed on the way. It goes with the spool at the latest.
func (s *Spool) Scratch() (string, error) { return os.MkdirTemp(s.dir, "") }

// ErrTooMuch is the error of a blob that is bigger than its limit.
var ErrTooMuch = errors.New("more than was asked for")

// Add reads a blob to its end and keeps it as it is. limit bounds what it holds once expanded, in bytes; beyond it the error is ErrTooMuch and
// nothing is kept. A negative limit is none.
func (s *Spool) Add(r io.Reader, limit int64) (Blob, error) { return s.add(r, limit, false, nil) }

// AddPlain is Add, but keeps only what is in the blob: for one that is compressed to no purpose, because it stays on this machine. What is compressed is taken for a
// layer and given to early too, which may be nil.
func (s *Spool) AddPlain(r io.Reader, limit int64, early func() Early) (Blob, error) {
	return s.add(r, limit, true, early)
}

func (s *Spool) add(r io.Reader, limit int64, plain bool, early func() Early) (blob Blob, err error) {
	err = s.file(func(f *os.File) error {
		blob, err = s.fill(f, r, limit, plain, early)
		return err
	})
	return blob, err
}

// file makes a file for a blob. It goes again if filling it fails.
func (s *Spool) file(fill func(f *os.File) error) error {
	f, err := os.CreateTemp(s.dir, "")
	if err != nil {
		return err
	}
	err = fill(f)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the whole directory goes in the end
	}
	return err
}

func (s *Spool) fill(f *os.File, r io.Reader, limit int64, plain bool, early func() Early) (blob Blob, err error) {
	in := bufio.NewReaderSize(r, 1<<16)
	start, err := in.Peek(magicSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return Blob{}, err
	}
	blob.Format, blob.File = FormatOf(start), f.Name()
	raw := &counter{hash: sha256.New()}
	blob.Plain = plain && blob.Format != Plain
	stored := io.TeeReader(in, io.MultiWriter(f, raw))
	if blob.Plain {
		stored = io.TeeReader(in, raw)
	}
	if blob.Format == Plain {
		if err := copyAtMost(io.Discard, stored, limit); err != nil {
			return Blob{}, err
		}
		blob.Digest, blob.Size = raw.digest(), raw.n
		blob.Expanded, blob.Holds = blob.Digest, blob.Size
		s.keep(blob)
		return blob, nil
	}
	expanded, err := blob.Format.expand(stored)
	if err != nil {
		return Blob{}, fmt.Errorf("%w: a layer: %w", ErrDamaged, err)
	}
	defer expanded.Close()
	inside := &counter{hash: sha256.New()}
	var kept io.Writer = inside
	if blob.Plain {
		kept = io.MultiWriter(f, inside)
		if early != nil {
			receiver := early()
			defer func() { receiver.Done(blob.layer(), err) }()
			kept = io.MultiWriter(f, inside, receiver)
		}
	}
	if err := copyAtMost(kept, expanded, limit); err != nil {
		return Blob{}, err
	}
	// What follows the end of what is compressed is part of the blob too.
	if _, err := io.Copy(io.Discard, stored); err != nil {
		return Blob{}, err
	}
	blob.Digest, blob.Size, blob.Expanded, blob.Holds = raw.digest(), raw.n, inside.digest(), inside.n
	s.keep(blob)
	return blob, nil
}

// Take keeps the layer of a diff ID, whose archive write writes, not compressed, and gives it to early meanwhile, which may be nil. If it was something else
// that was written nothing is kept, and the error is ErrDamaged.
func (s *Spool) Take(diffID string, early func() Early, write func(w io.Writer) error) (l Layer, err error) {
	err = s.file(func(f *os.File) error {
		l, err = s.take(f, diffID, early, write)
		return err
	})
	return l, err
}

func (s *Spool) take(f *os.File, diffID string, early func() Early, write func(w io.Writer) error) (l Layer, err error) {
	inside := &counter{hash: sha256.New()}
	kept := io.MultiWriter(f, inside)
	if early != nil {
		receiver := early()
		defer func() { receiver.Done(l, err) }()
		kept = io.MultiWriter(f, inside, receiver)
	}
	if err := write(kept); err != nil {
		return Layer{}, err
	}
	if got := inside.digest(); got != diffID {
		return Layer{}, fmt.Errorf("%w: what should be layer %s is %s", ErrDamaged, diffID, got)
	}
	blob := Blob{Digest: diffID, Expanded: diffID, Size: inside.n, Holds: inside.n, File: f.Name()}
	s.keep(blob)
	return blob.layer(), nil
}

func (s *Spool) keep(b Blob) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blobs[b.Digest], s.blobs[b.Expanded] = b, b
}

// Get is the blob of a digest, or that which holds what has the digest once it is expanded.
func (s *Spool) Get(digest string) (Blob, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.blobs[digest]
	return b, ok
}

// Beside makes another spool, in the same place.
func (s *Spool) Beside() (*Spool, error) { return NewSpool(filepath.Dir(s.dir)) }

// Adopt gives the image with the blobs of the layers that are wanted in this spool, whatever becomes of the spool that they came in. The other layers are only named.
func (s *Spool) Adopt(i *Image, wanted func(diffID string) bool) (*Image, error) {
	adopted := &Image{Config: i.Config, Layers: slices.Clone(i.Layers)}
	for n, l := range i.Layers {
		to := filepath.Join(s.dir, filepath.Base(l.File))
		if !wanted(l.DiffID) || l.File == "" {
			to = ""
		} else if err := os.Link(l.File, to); err != nil && !errors.Is(err, fs.ErrExist) { // a layer may occur twice
			return nil, err
		}
		adopted.Layers[n].File = to
	}
	return adopted, nil
}

// copyAtMost copies to the end, or fails with ErrTooMuch where that is beyond limit.
func copyAtMost(w io.Writer, r io.Reader, limit int64) error {
	if limit < 0 {
		_, err := io.Copy(w, r)
		return err
	}
	n, err := io.Copy(w, io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		return ErrTooMuch
	}
	return err
}

// counter counts and hashes what is written to it.
type counter struct {
	hash hash.Hash
	n    int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.hash.Write(p)
}

func (c *counter) digest() string { return "sha256:" + hex.EncodeToString(c.hash.Sum(nil)) }

// Digest is the digest under which a blob is known: sha256:… of its bytes.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
