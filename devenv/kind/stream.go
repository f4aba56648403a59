package kind

import (
	"context"
	"io"
	"sync"
)

// stream is a program in a node that goes on while it is spoken to: what is written is its standard input, what is read its standard output. Close ends
// its standard input, and so the program.
type stream struct {
	io.ReadWriteCloser
	errors *ending
}

// open starts a program in a container.
func (k *Clusters) open(ctx context.Context, id string, command ...string) (stream, error) {
	said := &ending{}
	s, err := k.Engine.Exec(ctx, id, command, said)
	if err != nil {
		return stream{}, unstarted(err)
	}
	return stream{ReadWriteCloser: s, errors: said}, nil
}

// said is the end of what the program has printed on standard error.
func (s stream) said() string { return s.errors.String() }

// ending keeps the end of what is written to it.
type ending struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (e *ending) Write(p []byte) (int, error) {
	const most = 4096
	e.mu.Lock()
	defer e.mu.Unlock()
	e.text = append(e.text, p...)
	e.text = e.text[max(len(e.text)-most, 0):]
	return len(p), nil
}

func (e *ending) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return string(e.text)
}
