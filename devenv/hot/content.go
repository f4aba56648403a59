package hot

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// OutrunError is in the chain of what work ends with whose files changed while it read them: what it read is not what was decided on. Nothing is wrong
// with the work; with the files as they are now it has to begin again.
type OutrunError struct{ Paths []string }

func (e *OutrunError) Error() string {
	if len(e.Paths) == 0 {
		return "files changed while they were being read"
	}
	const most = 3
	named := strings.Join(e.Paths[:min(most, len(e.Paths))], ", ")
	if more := len(e.Paths) - most; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	if len(e.Paths) > 1 {
		return named + " changed while they were being read"
	}
	return named + " changed while it was being read"
}

// Outrun is the OutrunError in the chain of err; nil if there is none.
func Outrun(err error) *OutrunError {
	var outrun *OutrunError
	errors.As(err, &outrun)
	return outrun
}

// Open opens the content of a regular file. If Hash says what it has to be, reading it to its end gives an *OutrunError in the place of io.EOF where it is
// something else, as reading more of it than there was at the beginning does; and so does Open, where there is no such file any more.
func (f File) Open() (fs.File, error) {
	// A pipe that has taken the file's place would be waited for.
	file, err := os.OpenFile(f.From, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	known := f.Hash != [sha256.Size]byte{}
	switch {
	case known && errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %w", &OutrunError{Paths: []string{f.From}}, err)
	case err != nil:
		return nil, err
	case !known:
		return file, nil
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &OutrunError{Paths: []string{f.From}}
	}
	if err != nil {
		_ = file.Close() // nothing was read
		return nil, err
	}
	return &content{File: file, path: f.From, left: info.Size(), want: f.Hash, sum: sha256.New()}, nil
}

// content is a file that is compared with its hash while it is read.
type content struct {
	fs.File
	path string
	left int64 // of its size when it was opened
	want [sha256.Size]byte
	sum  hash.Hash
}

func (c *content) Read(p []byte) (int, error) {
	n, err := c.File.Read(p)
	c.sum.Write(p[:n])
	c.left -= int64(n)
	if c.left < 0 || errors.Is(err, io.EOF) && !bytes.Equal(c.sum.Sum(nil), c.want[:]) {
		return n, &OutrunError{Paths: []string{c.path}}
	}
	return n, err
}
