package view

import (
	"io"
	"sync"

	"github.com/devenv-run/devenv/devenv/event"
)

// quiet writes answers and errors.
type quiet struct {
	text printer
	mu   sync.Mutex
	out  io.Writer
	err  io.Writer
}

// Emit implements event.Sink.
func (q *quiet) Emit(e event.Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r, ok := e.(event.Result); ok {
		if !r.OK {
			io.WriteString(q.err, q.text.error(r.Err))
		}
		return
	}
	io.WriteString(q.out, q.text.answer(e))
}

// Close implements View.
func (q *quiet) Close() {}
