package kind

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
)

//go:embed script/inside.pl
var scriptInside string

// agent is inside.pl in one node. It is started by the first request, serves one after the other, and is started again when its connection has broken.
//
// Both sides send records: one byte of type, four bytes of length, the highest first, and data, whose parts are separated by zero bytes.
// A request is W with a container's ID, then for every file F (path, mode) with its content as any number of C and an E, D (path, mode), L (path, mode, where it
// leads) or R (path), and a dot; S with a container's ID and a signal; or Q with a container's ID and
// paths. The answer is K, to Q with a letter for each path, or E: kind of error, path, number, text. The very first
// record is the agent's: H, or N with what the node lacks.
type agent struct {
	start func(ctx context.Context) (stream, error)
	wait  patience
	turn  chan struct{} // taken by whoever speaks
	now   *talk         // nil: none
}

func newAgent(start func(ctx context.Context) (stream, error), wait patience) *agent {
	return &agent{start: start, wait: wait, turn: make(chan struct{}, 1)}
}

// brokenError is a connection that ended before there was an answer.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return "the connection into the node broke: " + e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// ask makes a request by send and waits for the answer, which it returns. A request that finds its connection broken is made once more, so it has to be one that may be. Where
// one does not come to its end the connection goes: nobody could say where in it the agent is.
func (a *agent) ask(ctx context.Context, send func(t *talk) error) (string, error) {
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	used := a.now != nil
	said, err := a.once(ctx, send)
	if broken := (*brokenError)(nil); used && errors.As(err, &broken) && ctx.Err() == nil {
		said, err = a.once(ctx, send)
	}
	return said, err
}

func (a *agent) once(ctx context.Context, send func(t *talk) error) (said string, outcome error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if a.now == nil {
		t, err := begin(ctx, a.start)
		if err != nil {
			return "", err
		}
		a.now = t
		if err := t.guarded(ctx, a.wait.node, t.hello); err != nil {
			a.hangUp()
			return "", err
		}
	}
	t := a.now
	err := t.guarded(ctx, a.wait.load.stall, func() error {
		unsent := send(t)
		if broken := (*brokenError)(nil); errors.As(unsent, &broken) {
			return unsent
		}
		if err := t.out.Flush(); err != nil {
			return &brokenError{err}
		}
		kind, data, err := t.record()
		said, outcome = data, answer(kind, data)
		if unsent != nil {
			outcome = unsent
		}
		return err
	})
	if err != nil {
		a.hangUp()
		return "", err
	}
	return said, outcome
}

func (a *agent) hangUp() {
	if a.now != nil {
		_ = a.now.stream.Close() // it never fails
		a.now = nil
	}
}

// close ends the connection once nobody speaks any more.
func (a *agent) close() {
	a.turn <- struct{}{}
	a.hangUp()
	<-a.turn
}

// answer is the error that an agent answers with; nil if it answers that all is well.
func answer(kind byte, data string) error {
	if kind == 'K' {
		return nil
	}
	parts := strings.SplitN(data, "\x00", 4)
	if kind != 'E' || len(parts) != 4 {
		return &brokenError{fmt.Errorf("it said %c %q", kind, data)}
	}
	switch parts[0] {
	case "gone":
		return fmt.Errorf("%w: %s", hot.ErrGone, parts[3])
	case "file":
		return &fileError{path: parts[1], number: parts[2], text: parts[3]}
	case "signal":
		return &fault.Error{Kind: fault.Config, What: parts[3], Next: "Correct the signal in devenv.yaml: HUP, USR1, TERM."}
	}
	return fmt.Errorf("%w: %s", hot.ErrNotInside, strings.TrimSpace(parts[3]))
}

// ENOSPC and EROFS as Linux numbers them.
const (
	fullDisk = "28"
	readOnly = "30"
)

// fileError is a file of a container that could not be made what it is to be.
type fileError struct {
	path   string
	number string // of the error, as Linux has it; 0: it is none of the kernel's
	text   string
}

func (e *fileError) Error() string { return e.path + ": " + e.text }
