package view

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// refresh is how often the live region is drawn anew, so that times and the spinner move.
const refresh = 100 * time.Millisecond

var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// human is the view for people. With a terminal, finished things become lines that stay, and running steps are a live
// region below them; without one there are only lines, and long steps also say when they begin.
type human struct {
	Options
	text printer

	mu      sync.Mutex
	running []live             // in the order in which they began
	drawn   int                // lines of the live region on the screen
	board   *event.DevServices // what stands below the running steps; nil if `dev` does not run
	tick    *time.Ticker       // runs while something moves; nil without a terminal
	moves   bool
	closed  chan struct{}
	stopped chan struct{}
}

// live is a step that is running.
type live struct {
	step  plan.Step
	began time.Time
	last  string // last progress
}

func newHuman(o Options) *human {
	h := &human{Options: o, text: printer{color: o.Color, now: o.Now}, closed: make(chan struct{}), stopped: make(chan struct{})}
	if !o.Terminal {
		close(h.stopped)
		return h
	}
	h.tick = time.NewTicker(refresh)
	h.tick.Stop()
	go func() {
		defer close(h.stopped)
		defer h.tick.Stop()
		for {
			select {
			case <-h.tick.C:
				h.mu.Lock()
				h.redraw("")
				h.mu.Unlock()
			case <-h.closed:
				return
			}
		}
	}()
	return h
}

// pace has the live region drawn anew for as long as something in it moves.
func (h *human) pace() {
	moves := len(h.running) > 0 || changing(h.board)
	if h.tick == nil || moves == h.moves {
		return
	}
	if h.moves = moves; moves {
		h.tick.Reset(refresh)
	} else {
		h.tick.Stop()
	}
}

// Close implements View.
func (h *human) Close() {
	close(h.closed)
	<-h.stopped
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running, h.board = nil, nil
	h.redraw("")
}

// Emit implements event.Sink.
func (h *human) Emit(e event.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.pace()
	switch e := e.(type) {
	case event.PlanComputed:
		if e.DryRun {
			h.redraw(h.text.answer(e))
		} else if len(e.Plan.Steps) > 0 {
			h.redraw(h.text.paint(dim, plan.Count(len(e.Plan.Steps), "step")+" to do") + "\n")
		}
	case event.StepStarted:
		h.running = append(h.running, live{step: e.Step, began: h.Now()})
		if !h.Terminal && slow(e.Step.Action) {
			h.redraw("  " + e.Step.Doing() + " (" + e.Step.Cause + ")\n")
		} else {
			h.redraw("")
		}
	case event.StepProgress:
		for i := range h.running {
			if h.running[i].step.Number == e.Step.Number {
				h.running[i].last = e.Text
			}
		}
	case event.StepDone:
		h.finish(e.Step, h.text.done(e)+"\n")
	case event.StepFailed:
		h.finish(e.Step, h.text.failed(e)+"\n")
	case event.StepStopped:
		h.finish(e.Step, "")
	case event.StepSkipped:
		h.redraw(h.text.skipped(e) + "\n")
	case event.Notice:
		h.redraw(h.text.paint(cyan, "·") + " " + e.Text + "\n")
	case event.Warning:
		h.redraw(h.text.paint(yellow, "!") + " " + e.Text + "\n")
	case event.Deleted:
		h.redraw(h.text.paint(green, "✓") + " " + e.Subject + " deleted\n")
	case event.Kept:
		h.redraw(h.text.paint(yellow, "·") + " " + e.Subject + " kept: " + e.Reason + "\n")
	case event.Returned:
		h.redraw(h.text.returned(e))
	case event.Result:
		h.result(e)
	case event.DevServices:
		if h.Terminal {
			h.board = &e
			h.redraw("")
		}
	case event.Watching, event.Changed, event.CycleDone, event.ShortcutDone, event.Away, event.Back:
		h.redraw(h.text.dev(e))
	default:
		h.redraw(h.text.answer(e))
	}
}

// slow actions say when they begin where no live region shows it.
func slow(a plan.Action) bool {
	switch a {
	case plan.Create, plan.Start, plan.Build, plan.Load, plan.Run:
		return true
	}
	return false
}

func (h *human) finish(s plan.Step, line string) {
	h.running = slices.DeleteFunc(h.running, func(l live) bool { return l.step.Number == s.Number })
	h.redraw(line)
}

func (h *human) result(e event.Result) {
	h.running, h.board = nil, nil
	h.redraw("")
	switch {
	case e.OK && e.Summary != "":
		fmt.Fprintln(h.Out, h.text.paint(green, e.Summary)+" "+h.text.paint(dim, "("+duration(e.Took)+")"))
	case e.OK:
	case fault.Of(e.Err) == fault.Interrupted:
		fmt.Fprintln(h.Err, h.text.paint(yellow, "Interrupted.")+" What was running was finished or undone; the same command goes on from here.")
		for _, err := range fault.All(e.Err) {
			if fault.Of(err) != fault.Interrupted {
				io.WriteString(h.Err, h.text.error(err))
			}
		}
	default:
		io.WriteString(h.Err, h.text.error(e.Err))
	}
}

// redraw writes lines above the live region, and the region again below them, in one write so that nothing flickers.
func (h *human) redraw(lines string) {
	if !h.Terminal {
		io.WriteString(h.Out, lines)
		return
	}
	if lines == "" && h.drawn == 0 && len(h.running) == 0 && h.board == nil {
		return
	}
	var b strings.Builder
	if h.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r\x1b[J", h.drawn)
	}
	b.WriteString(lines)
	now := h.Now()
	frame := spinner[int(now.UnixMilli()/int64(refresh/time.Millisecond))%len(spinner)]
	for _, l := range h.running {
		line := fmt.Sprintf("%s %s %s", frame, l.step.Doing(), duration(now.Sub(l.began)))
		if l.last != "" {
			line += "  " + l.last
		}
		b.WriteString(clip(line, h.Width()-1) + "\n")
	}
	h.drawn = len(h.running)
	for _, line := range h.text.board(h.board, frame, now, h.Width()-1, h.Height()/2) {
		b.WriteString(line + "\n")
		h.drawn++
	}
	io.WriteString(h.Out, b.String())
}

// clip cuts a line to so many columns and drops what would move the cursor, because a line that wraps breaks the region.
func clip(line string, columns int) string {
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, line)
	if columns < 1 || utf8.RuneCountInString(line) <= columns {
		return line
	}
	runes := []rune(line)
	return string(runes[:columns-1]) + "…"
}
