// Package plan compares what should be (Desired) with what is (Observed) and says what to do about it (Plan): a graph
// of steps, each with its cause. It is pure: it reads no file, asks no cluster and knows neither Docker nor
// kind, so every decision of devenv can be tested as text.
//
// A Plan's String is stable, one step a line:
//
//	[] -> #1 image grades:devenv-3f2a9c, Build, services/grades/main.go changed
//	[1] -> #2 nodes academy-worker, Load grades:devenv-3f2a9c, not on the node
//	[2] -> #3 Deployment/academy/grades, Apply, image changed
//
// The engine runs a Plan; the facade in package devenv gathers Desired and Observed.
package plan

import (
	"fmt"
	"strings"
)

// Action is what a step does. Actions are imperative; the events that report them are in the past tense.
type Action string

// The actions, in the order in which a fresh environment meets them.
const (
	Create  Action = "Create"  // create the cluster
	Start   Action = "Start"   // start a cluster that is stopped
	Build   Action = "Build"   // build a service's image in the engine
	Load    Action = "Load"    // bring an image from the engine onto nodes
	Apply   Action = "Apply"   // send an object to the API server
	Run     Action = "Run"     // run a hook to its end
	Restart Action = "Restart" // have a workload's pods made anew as it declares them
	Await   Action = "Await"   // wait until an object is ready
	Delete  Action = "Delete"  // remove an object that devenv applied
)

// Step is one thing to do. Which of the pointer fields is set follows from the action: Cluster for Create and Start, Image for
// Build and Load, Hook for Run, Object for Apply, Restart and Await, and ID for Delete.
type Step struct {
	Number  int    // 1-based; steps are numbered in the order of the plan
	Needs   []int  // numbers of the steps that must have succeeded, ascending
	Action  Action //
	Subject string // what it acts on, as a user reads it: "image grades:devenv-3f2a9c"
	Cause   string // why, as a lower-case phrase

	Source  string   // the deploy source that Object, Hook or ID belong to
	Cluster *Cluster // for Create, Start
	Image   *Image   // for Build, Load
	Nodes   []string // for Load: the nodes that lack the image
	Object  *Object  // for Apply, Restart, Await
	Hook    *Hook    // for Run
	ID      *ID      // for Delete
	Data    bool     // for Delete: data may go, and what others put into a namespace or made of a definition
}

// Plan is what to do, in an order that satisfies every step's needs.
type Plan struct {
	Steps []Step
	Kept  []Kept // what is no longer declared and stays; by name
}

// String is the stable text form described in the package comment.
func (p Plan) String() string {
	var b strings.Builder
	for _, s := range p.Steps {
		b.WriteString(s.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// String is one line of the plan's text form.
func (s Step) String() string {
	needs := make([]string, len(s.Needs))
	for i, n := range s.Needs {
		needs[i] = fmt.Sprint(n)
	}
	what := string(s.Action)
	if s.Action == Load {
		what += " " + s.Image.Short()
	}
	return fmt.Sprintf("[%s] -> #%d %s, %s, %s", strings.Join(needs, " "), s.Number, s.Subject, what, s.Cause)
}

// verb holds what an action is called while it runs, and when it is done.
var verb = map[Action][2]string{
	Create:  {"creating", "created"},
	Start:   {"starting", "started"},
	Build:   {"building", "built"},
	Load:    {"loading", "loaded"},
	Apply:   {"applying", "applied"},
	Run:     {"running", "completed"},
	Restart: {"restarting", "restarted"},
	Await:   {"waiting for", "ready"},
	Delete:  {"deleting", "deleted"},
}

// Doing is the step while it runs, as a user reads it: "building image grades:devenv-3f2a9c".
func (s Step) Doing() string { return verb[s.Action][0] + " " + s.thing() }

// Done is the step when it has succeeded: "image grades:devenv-3f2a9c built".
func (s Step) Done() string {
	return s.thing() + " " + verb[s.Action][1]
}

// thing is what a step is about. A Load acts on nodes, but is about an image.
func (s Step) thing() string {
	if s.Action == Load {
		return "image " + s.Image.Short()
	}
	return s.Subject
}

// Count is a number with its noun: 1 node, 3 nodes.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
