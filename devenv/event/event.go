// Package event holds what devenv tells while it works: typed, past-tense facts that the views turn into terminal
// lines or JSON. Emitting is the only output of every package below the views.
//
// A Sink is safe for concurrent use and does not block for long.
package event

import (
	"time"

	"github.com/devenv-run/devenv/devenv/plan"
)

// Event is one fact. Type is its stable name in JSON output, such as "image.built".
type Event interface{ Type() string }

// Sink takes events.
type Sink interface{ Emit(Event) }

// SinkFunc makes a function a Sink.
type SinkFunc func(Event)

// Emit calls f.
func (f SinkFunc) Emit(e Event) { f(e) }

// Discard takes events and does nothing.
var Discard Sink = SinkFunc(func(Event) {})

// PlanComputed says what is going to be done, before it is done. Where there is no cluster yet, what creates it and the images comes
// first; the rest is planned again with what the new cluster says of itself.
type PlanComputed struct {
	Plan plan.Plan `json:"-"`
	// Text is the plan's text form.
	Text string `json:"plan"`
	// DryRun says that nothing of it will be done: it answers `devenv plan`.
	DryRun bool `json:"dryRun,omitempty"`
}

// StepStarted, and the three that follow, report one step of a plan.
type StepStarted struct {
	Step plan.Step `json:"-"`
}

// StepProgress is something worth showing while a step runs: the last line of a build, "1 of 2 replicas ready".
type StepProgress struct {
	Step plan.Step `json:"-"`
	Text string    `json:"text"`
}

// StepDone says that a step succeeded.
type StepDone struct {
	Step   plan.Step     `json:"-"`
	Took   time.Duration `json:"-"`
	Detail string        `json:"detail,omitempty"` // "sent 15.2 MB to 3 nodes"
}

// StepFailed says that a step failed. Err is in most cases a *fault.Error.
type StepFailed struct {
	Step plan.Step     `json:"-"`
	Took time.Duration `json:"-"`
	Err  error         `json:"-"`
}

// StepStopped says that a step was broken off, because a newer change makes it stale, or because `devenv dev` ends.
type StepStopped struct {
	Step plan.Step     `json:"-"`
	Took time.Duration `json:"-"`
}

// StepSkipped says that a step was not tried because a step that it needs did not succeed.
type StepSkipped struct {
	Step    plan.Step `json:"-"`
	Because plan.Step `json:"-"`
}

// Notice is a line that the user should read once; nothing is wrong.
type Notice struct {
	Text string `json:"text"`
}

// Warning is something that is probably not as the user wants it.
type Warning struct {
	Text string `json:"text"`
}

// LogLine is one line of a container's output.
type LogLine struct {
	Service   string    `json:"service,omitempty"`
	Pod       string    `json:"pod"`
	Container string    `json:"container"`
	At        time.Time `json:"at,omitzero"`
	Text      string    `json:"text"`
}

// done names a finished step by what came of it.
var done = map[plan.Action]string{
	plan.Create:  "cluster.created",
	plan.Start:   "cluster.started",
	plan.Build:   "image.built",
	plan.Load:    "image.loaded",
	plan.Apply:   "object.applied",
	plan.Run:     "hook.completed",
	plan.Restart: "object.restarted",
	plan.Await:   "object.ready",
	plan.Delete:  "object.deleted",
}

// Type implements Event.
func (PlanComputed) Type() string { return "plan.computed" }

// Type implements Event.
func (StepStarted) Type() string { return "step.started" }

// Type implements Event.
func (StepProgress) Type() string { return "step.progress" }

// Type implements Event. A finished step is named by what came of it: image.built, object.applied.
func (e StepDone) Type() string { return done[e.Step.Action] }

// Type implements Event.
func (StepFailed) Type() string { return "step.failed" }

// Type implements Event.
func (StepStopped) Type() string { return "step.stopped" }

// Type implements Event.
func (StepSkipped) Type() string { return "step.skipped" }

// Type implements Event.
func (Notice) Type() string { return "notice" }

// Type implements Event.
func (Warning) Type() string { return "warning" }

// Type implements Event.
func (LogLine) Type() string { return "log.line" }
