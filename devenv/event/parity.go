package event

import "github.com/devenv-run/devenv/devenv/plan"

// Parity is what differs from production, object by object and field by field. It answers `devenv parity`.
type Parity struct {
	// Against is what was compared with where that is not production as devenv renders it: a file, or a cluster's context.
	Against string         `json:"against,omitempty"`
	Objects []ParityObject `json:"objects"` // also those without a difference
	// NotCompared are objects of which production's side could not be read.
	NotCompared []ParityGap  `json:"notCompared,omitempty"`
	Counts      ParityCounts `json:"counts"`
	Summary     string       `json:"summary"` // the counts as a sentence
}

// ParityObject is an object or hook.
type ParityObject struct {
	ID      plan.ID        `json:"id"`
	Hook    bool           `json:"hook,omitempty"`
	Source  string         `json:"source,omitempty"` // entry of deploy, or add-on
	Origin  string         `json:"origin,omitempty"` // file that declares it
	State   string         `json:"state"`            // same, changed, added, removed
	Changes []ParityChange `json:"changes,omitempty"`
}

// ParityChange is one difference. Without a path it is that the whole object is there, or is not.
type ParityChange struct {
	Path  string `json:"path,omitempty"` // spec.template.spec.containers[grades].image
	Old   any    `json:"old,omitempty"`  // production's value; values of Secrets are hashes
	New   any    `json:"new,omitempty"`
	Class string `json:"class"` // automatic, declared, undeclared
	// Cause is the reason that devenv.yaml gives, or what else is to be said; By names what makes the difference ("divergence"), and Where
	// is where that is declared.
	Cause string `json:"cause,omitempty"`
	By    string `json:"by,omitempty"`
	Where string `json:"where,omitempty"`
}

// ParityGap is an object that was not compared.
type ParityGap struct {
	ID     plan.ID `json:"id"`
	Reason string  `json:"reason"`
}

// ParityCounts are objects, and differences by class.
type ParityCounts struct {
	Objects     int `json:"objects"`
	Same        int `json:"same"`
	Automatic   int `json:"automatic"`
	Declared    int `json:"declared"`
	Undeclared  int `json:"undeclared"`
	NotCompared int `json:"notCompared,omitempty"`
}

// Type implements Event.
func (Parity) Type() string { return "parity" }
