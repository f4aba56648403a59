package kind

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"
)

// receiver takes a stream to its end. An error makes it drop out.
type receiver func(ctx context.Context, in io.Reader) error

// exportError is a source that failed, and with it every one of its receivers.
type exportError struct{ err error }

func (e *exportError) Error() string { return e.err.Error() }
func (e *exportError) Unwrap() error { return e.err }

const (
	chunkSize = 1 << 20
	// chunksAhead is how many chunks a receiver may be behind the others before they wait for it.
	chunksAhead = 16
)

var (
	errSlow   = errors.New("it took no data")
	errEndure = errors.New("it did not come to an end")
	// errNobody tells the source that every receiver has left.
	errNobody = errors.New("nobody receives the archive any more")
)

// limits bound how long a receiver may keep the others waiting.
type limits struct {
	stall  time.Duration // without reading what there is to read
	finish time.Duration // after it has read everything
}

// distribute copies what source writes to all the receivers at once. It returns the number of bytes and, for every receiver, what it
// failed with. A receiver that fails drops out and the others go on; so does one that exceeds a limit, so that it cannot hold them
// back for ever. When none is left the source is stopped, by an error from its writer. All receivers have returned when
// distribute does.
func distribute(ctx context.Context, l limits, source func(ctx context.Context, w io.Writer) error, receivers []receiver) (int64, []error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &fan{ctx: ctx}
	errs := make([]error, len(receivers))
	var running sync.WaitGroup
	for i, receive := range receivers {
		lane := newLane(ctx)
		f.lanes = append(f.lanes, lane)
		running.Go(func() { errs[i] = lane.run(receive) })
		running.Go(func() { lane.watch(l) })
	}
	w := bufio.NewWriterSize(f, chunkSize)
	err := source(ctx, w)
	if err == nil {
		err = w.Flush()
	}
	if f.abandoned {
		err = nil // the source did not fail, it was stopped; the receivers say why they left
	}
	// After a failure receivers get the error where the rest of the stream should be, and end by themselves: killed, they could
	// not clear up.
	for _, lane := range f.lanes {
		lane.end(err)
	}
	running.Wait()
	if err != nil {
		for i := range errs {
			errs[i] = &exportError{err}
		}
	}
	return f.sent, errs
}

// fan is the writer that the source gets.
type fan struct {
	ctx       context.Context
	lanes     []*lane
	sent      int64
	abandoned bool // by every receiver
}

// Write hands p to every receiver that is left, in pieces, so that one receiver can be at the beginning of something big while
// another is at its end.
func (f *fan) Write(p []byte) (int, error) {
	for piece := range slices.Chunk(p, chunkSize) {
		if err := f.ctx.Err(); err != nil {
			return 0, err
		}
		chunk := bytes.Clone(piece) // the source uses p again, and receivers read at their own pace
		left := 0
		for _, l := range f.lanes {
			if l.offer(chunk) {
				left++
			}
		}
		if left == 0 {
			f.abandoned = true
			return 0, errNobody
		}
		f.sent += int64(len(piece))
	}
	return len(p), nil
}
