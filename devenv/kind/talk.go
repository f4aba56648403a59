package kind

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/devenv-run/devenv/devenv/hot"
)

// talk is a connection to an agent. A guarded function reads and writes records.
type talk struct {
	stream stream
	out    *bufio.Writer
	in     *bufio.Reader
	limit  time.Duration
	idle   *time.Timer
	slow   atomic.Bool
}

const (
	recordHeader = 5
	mostAnswer   = 1 << 20
	// pieceSize is how much of a file goes into one record.
	pieceSize = 1 << 18
)

func begin(ctx context.Context, start func(ctx context.Context) (stream, error)) (*talk, error) {
	s, err := start(ctx)
	if err != nil {
		return nil, err
	}
	t := &talk{stream: s}
	t.out, t.in = bufio.NewWriterSize(moving{t}, 1<<16), bufio.NewReader(moving{t})
	return t, nil
}

// moving notes that something goes over the connection.
type moving struct{ t *talk }

func (m moving) Write(p []byte) (int, error) {
	n, err := m.t.stream.Write(p)
	m.t.idle.Reset(m.t.limit)
	return n, err
}

func (m moving) Read(p []byte) (int, error) {
	n, err := m.t.stream.Read(p)
	m.t.idle.Reset(m.t.limit)
	return n, err
}

// guarded calls do, and closes the connection under it when ctx ends or when for the time of the limit nothing went over it.
func (t *talk) guarded(ctx context.Context, limit time.Duration, do func() error) error {
	t.limit = limit
	t.idle = time.AfterFunc(limit, func() {
		t.slow.Store(true)
		_ = t.stream.Close() // it never fails
	})
	defer t.idle.Stop()
	stop := context.AfterFunc(ctx, func() { _ = t.stream.Close() })
	err := do()
	if !stop() {
		return ctx.Err()
	}
	if err != nil && t.slow.Load() {
		return fmt.Errorf("the node did not answer within %s", limit)
	}
	return err
}

// hello reads what the agent says when it starts.
func (t *talk) hello() error {
	kind, data, err := t.record()
	switch {
	case err == nil && kind == 'H':
		return nil
	case err == nil:
		return fmt.Errorf("%w: %s", hot.ErrNotInside, data)
	}
	return missing(t.stream, err)
}

// record reads a record.
func (t *talk) record() (kind byte, data string, err error) {
	var header [recordHeader]byte
	if _, err := io.ReadFull(t.in, header[:]); err != nil {
		return 0, "", &brokenError{t.reason(err)}
	}
	n := binary.BigEndian.Uint32(header[1:])
	if n > mostAnswer {
		return 0, "", &brokenError{fmt.Errorf("it said something of %d bytes", n)}
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(t.in, body); err != nil {
		return 0, "", &brokenError{t.reason(err)}
	}
	return header[0], string(body), nil
}

// reason is why nothing can be read any more: what the command said, if it said anything.
func (t *talk) reason(err error) error {
	if output := t.stream.said(); output != "" {
		return &commandError{args: []string{"exec"}, output: output, err: err}
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// send writes a record of some parts.
func (t *talk) send(kind byte, parts ...string) error {
	return t.sendData(kind, []byte(strings.Join(parts, "\x00")))
}

func (t *talk) sendData(kind byte, data []byte) error {
	var header [recordHeader]byte
	header[0] = kind
	binary.BigEndian.PutUint32(header[1:], uint32(len(data))) //nolint:gosec // a path or a piece of a file
	if _, err := t.out.Write(header[:]); err != nil {
		return &brokenError{err}
	}
	if _, err := t.out.Write(data); err != nil {
		return &brokenError{err}
	}
	return nil
}
