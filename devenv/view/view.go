// Package view turns events into what a person or a program reads: a live screen on a terminal, plain lines without one, one
// JSON object a line, or nothing but errors. A view is an event.Sink; it decides how things look and nothing else.
//
//   - Human writes lines, and on a terminal a live region below them that shows every running step with its time.
//   - JSON writes the machine events documented in docs/events.md.
//   - Quiet writes answers (a rendering, a status, a path) and errors, and no progress.
package view

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/devenv-run/devenv/devenv/event"
)

// View shows events until it is closed. Close removes what is only there while work goes on.
type View interface {
	event.Sink
	Close()
}

// Options are what a view needs to know of its surroundings.
type Options struct {
	Out      io.Writer // answers, and in a human view progress too
	Err      io.Writer // errors in human and quiet views
	Terminal bool      // Out is a terminal: show a live region
	Color    bool
	Width    func() int       // columns of the terminal
	Height   func() int       // its lines
	Now      func() time.Time // nil: time.Now
}

// New makes the view named by -o: human, json or quiet.
func New(format string, o Options) (View, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Width == nil {
		o.Width = func() int { return 80 }
	}
	if o.Height == nil {
		o.Height = func() int { return 24 }
	}
	switch format {
	case "human":
		return &final{View: newHuman(o)}, nil
	case "json":
		return &final{View: &machine{out: o.Out, now: o.Now}}, nil
	case "quiet":
		return &final{View: &quiet{text: printer{color: o.Color, now: o.Now}, out: o.Out, err: o.Err}}, nil
	}
	return nil, fmt.Errorf("unknown output %q: choose human, json or quiet", format)
}

// final drops what comes after the result, which is always the last event.
type final struct {
	View
	mu   sync.Mutex
	over bool
}

// Emit implements event.Sink.
func (f *final) Emit(e event.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return
	}
	_, f.over = e.(event.Result)
	f.View.Emit(e)
}

// Tee sends every event to all of sinks.
func Tee(sinks ...event.Sink) event.Sink {
	return event.SinkFunc(func(e event.Event) {
		for _, s := range sinks {
			s.Emit(e)
		}
	})
}

// Log writes events to a debug log. Log lines of containers stay out of it: they may be many, and may hold secrets.
func Log(l *slog.Logger) event.Sink {
	return event.SinkFunc(func(e event.Event) {
		switch e := e.(type) {
		case event.LogLine, event.Rendered, event.Text, event.DevServices:
		case event.Parity:
			l.Info(e.Type(), "summary", e.Summary, "against", e.Against)
		case event.StepProgress:
			l.Debug(e.Type(), "step", e.Step.Number, "text", e.Text)
		case event.PlanComputed:
			l.Info(e.Type(), "plan", e.Text)
		case event.Why:
			l.Info(e.Type(), "subject", e.Subject, "answer", e.Answer)
		case event.StepStarted:
			l.Info(e.Type(), "step", e.Step.String())
		case event.StepDone:
			l.Info(e.Type(), "step", e.Step.Number, "subject", e.Step.Subject, "took", e.Took, "detail", e.Detail)
		case event.StepFailed:
			l.Error(e.Type(), "step", e.Step.Number, "subject", e.Step.Subject, "took", e.Took, "error", e.Err)
		case event.Result:
			l.Info(e.Type(), "ok", e.OK, "exitCode", e.ExitCode, "steps", e.Steps, "took", e.Took, "error", e.Err)
		default:
			l.Info(e.Type(), "event", e)
		}
	})
}
