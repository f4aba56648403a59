// Package parity compares what production runs with what devenv runs, field by field, and says of every difference where it comes
// from. It is pure: it renders nothing and reads nothing.
//
// The input is a list of stages (Stage): the same objects as production has them, and then as each step on the way to the cluster
// leaves them: the chosen profile, each source's local values, each divergence, the images that devenv builds. Compare looks for what
// differs between the first stage and the last (diff.go), and a difference belongs to the last stage that changed its field
// (trace.go). So a cause is never guessed from what a value looks like.
//
// Values are compared as Kubernetes reads them (shape.go, normal.go): items of lists by their merge keys, quantities by their amount,
// and what Go's types cannot tell apart, such as an empty map and none, counts as the same.
package parity

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/devenv-run/devenv/devenv/plan"
)

// Class says who answers for a difference.
type Class string

// The classes.
const (
	Automatic  Class = "automatic"  // devenv makes it, always
	Declared   Class = "declared"   // devenv.yaml does, with a reason
	Undeclared Class = "undeclared" // nobody gave a reason
)

// Cause is where a difference comes from.
type Cause struct {
	Class Class
	// Text is the reason as devenv.yaml gives it, or what else is to be said of the cause.
	Text string
	// By names what made the difference: "divergence", "local of academy", "profile ci". Empty where Text says it.
	By string
	// Where it is declared ("devenv.yaml:52:5"); empty if nowhere.
	Where string
}

// Object is one object or hook at one stage.
type Object struct {
	ID     plan.ID
	Hook   bool
	Source string         // the entry of deploy, or the add-on, that it comes from
	Origin string         // where it is declared: "deploy/chart/templates/web.yaml"
	Value  map[string]any // as decoded from JSON; numbers are json.Number. It is not changed
}

// Stage is all objects at one moment.
type Stage struct {
	// Cause is what made this stage of the one before it; the first stage needs none.
	Cause   Cause
	Objects []Object
	// Rendered says that the sources were rendered anew for this stage. What a chart draws at random differs then without a cause.
	Rendered bool
	// Holds says that what this stage changed stays its own, even where later stages change it again: they explain why devenv differs
	// from its own idea of production, and this stage made that idea another one.
	Holds bool
}

// Options of Compare.
type Options struct {
	// Again is the last stage with Rendered, rendered once more. What differs between the two differs each time.
	Again []Object
}

// unstable is the cause of what differs each time.
var unstable = Cause{Class: Undeclared, Text: "it renders differently each time: the chart draws it at random or from the clock"}

// State is what became of an object.
type State string

// The states.
const (
	Same    State = "same"
	Changed State = "changed"
	Added   State = "added"   // production does not have it
	Removed State = "removed" // only production has it
)

// Report is the difference between the first stage and the last.
type Report struct {
	Objects []Result // those of the last stage in their order, then those that only the first one has
}

// Result is what Compare found out about one object.
type Result struct {
	Object Object // of the last stage, or of the first where the last has none
	State  State
	// Changes are the fields that differ, in the order of their paths. An object that was added or removed as a whole has
	// one, without a path and without values.
	Changes []Change
}

// Change is a field that differs.
type Change struct {
	Path string // as people write it: spec.template.spec.containers[grades].image
	// Old is production's value and New the one here, as decoded from JSON; nil where there is none.
	Old, New any
	Cause    Cause
}

// Counts are the numbers of a report.
type Counts struct {
	Objects, Same                   int
	Automatic, Declared, Undeclared int // differences
}

// Counts counts.
func (r Report) Counts() Counts {
	var c Counts
	for _, o := range r.Objects {
		c.Objects++
		if o.State == Same {
			c.Same++
		}
		for _, d := range o.Changes {
			switch d.Cause.Class {
			case Automatic:
				c.Automatic++
			case Declared:
				c.Declared++
			default:
				c.Undeclared++
			}
		}
	}
	return c
}

// String is the counts as a sentence.
func (c Counts) String() string {
	return fmt.Sprintf("%s: %d as in production; differences: %d automatic, %d declared, %d undeclared",
		plan.Count(c.Objects, "object"), c.Same, c.Automatic, c.Declared, c.Undeclared)
}

// String is the report as plain text, one line a difference: stable, for tests and logs.
func (r Report) String() string {
	var b strings.Builder
	for _, o := range r.Objects {
		if o.State == Same {
			continue
		}
		fmt.Fprintf(&b, "%s %s\n", o.Object.key(), o.State)
		for _, c := range o.Changes {
			fmt.Fprintf(&b, "  %s %s: %s -> %s (%s)\n", c.Cause.Class, c.Path, text(c.Old), text(c.New), strings.TrimSpace(c.Cause.By+" "+c.Cause.Text))
		}
	}
	return b.String() + r.Counts().String() + "\n"
}

// text is a value as JSON; a dash for none.
func text(value any) string {
	if value == nil {
		return "-"
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(encoded)
}

// key names an object among others: hooks may repeat the identity of an object.
func (o Object) key() string {
	key := o.ID.Group + " " + o.ID.String()
	if o.Hook {
		key = "hook " + key
	}
	return strings.TrimSpace(key)
}
