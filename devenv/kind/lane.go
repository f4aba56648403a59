package kind

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// lane is the way from the source to one receiver. Its ctx ends when the receiver has returned or is given up.
type lane struct {
	ctx    context.Context
	cancel context.CancelCauseFunc

	chunks  chan []byte
	closed  atomic.Bool // no more chunks will come
	failure error       // of the source; set before closed

	rest []byte        // of the chunk that is being read
	move chan struct{} // tells watch that something was read, or that there is something to read
	done chan struct{} // closed when everything was read
	over bool          // whether done is closed
}

func newLane(ctx context.Context) *lane {
	ctx, cancel := context.WithCancelCause(ctx)
	return &lane{
		ctx: ctx, cancel: cancel,
		chunks: make(chan []byte, chunksAhead),
		move:   make(chan struct{}, 1),
		done:   make(chan struct{}),
	}
}

// run runs the receiver on what arrives in the lane. Where the lane was given up the reason counts, not what came of it.
func (l *lane) run(receive receiver) error {
	err := receive(l.ctx, l)
	cause := context.Cause(l.ctx)
	l.cancel(context.Canceled)
	if err != nil && cause != nil {
		return cause
	}
	return err
}

// watch gives the lane up when its receiver exceeds a limit. It ends with the receiver.
func (l *lane) watch(limit limits) {
	idle := time.NewTimer(limit.stall)
	defer idle.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-l.move:
			idle.Reset(limit.stall)
		case <-idle.C:
			select {
			case <-l.move: // at this very moment
				idle.Reset(limit.stall)
				continue
			default:
			}
			if !l.closed.Load() && len(l.chunks) == 0 {
				idle.Reset(limit.stall) // it is the source that is slow
				continue
			}
			l.cancel(fmt.Errorf("%w for %s", errSlow, limit.stall))
			return
		case <-l.done:
			idle.Reset(limit.finish)
			select {
			case <-l.ctx.Done():
			case <-idle.C:
				l.cancel(fmt.Errorf("%w within %s", errEndure, limit.finish))
			}
			return
		}
	}
}

// offer gives a chunk to the receiver and reports whether it is still there. It waits while the receiver is too far behind.
func (l *lane) offer(chunk []byte) bool {
	if l.ctx.Err() != nil {
		return false
	}
	if len(l.chunks) == 0 {
		l.moved()
	}
	select {
	case l.chunks <- chunk:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// end says that nothing more comes, because of err if that is not nil.
func (l *lane) end(err error) {
	l.failure = err
	l.closed.Store(true)
	close(l.chunks)
	l.moved()
}

func (l *lane) moved() {
	select {
	case l.move <- struct{}{}:
	default:
	}
}

// Read is the receiver's end of the lane.
func (l *lane) Read(p []byte) (int, error) {
	for len(l.rest) == 0 {
		select {
		case chunk, more := <-l.chunks:
			if !more {
				return 0, l.last()
			}
			l.rest = chunk
		case <-l.ctx.Done():
			return 0, context.Cause(l.ctx)
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	l.moved()
	return n, nil
}

// last is what the receiver reads when there is nothing more.
func (l *lane) last() error {
	if !l.over {
		l.over = true
		close(l.done)
	}
	if l.failure != nil {
		return l.failure
	}
	return io.EOF
}
