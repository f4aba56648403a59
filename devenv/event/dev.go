package event

import "time"

// Watching says that the environment is up and that changes are watched from now on.
type Watching struct {
	Services []string `json:"services"`
}

// Changed says that files are not what they were.
type Changed struct {
	Paths    []string `json:"paths"` // as messages show them; sorted, at most 1000
	Services []string `json:"services,omitempty"`
}

// CycleStarted, and the three that follow, are about one change, or several, on the way into the cluster. A cycle gathers, plans and
// carries out what `up` would, for some services or all; one that finds nothing to do tells nothing. A shortcut
// does less, for one service.
type CycleStarted struct {
	Cycle    int               `json:"cycle"`
	Services []string          `json:"services,omitempty"` // that it takes
	Cause    string            `json:"cause"`              // "services/grades/main.go changed"
	Reasons  map[string]string `json:"reasons,omitempty"`  // by service: why it took no shorter way
	Settling bool              `json:"settling,omitempty"`
}

// CycleDone says that a cycle ended. Its steps were told while it ran.
type CycleDone struct {
	Cycle    int               `json:"cycle"`
	Services []string          `json:"services,omitempty"`
	Cause    string            `json:"cause"`
	Ways     map[string]string `json:"ways,omitempty"` // by service that it did something for: full, swap
	Reasons  map[string]string `json:"reasons,omitempty"`
	Steps    int               `json:"steps"`
	OK       bool              `json:"ok"`
	Stopped  bool              `json:"stopped,omitempty"` // for a newer change, or because the command ends
	Took     time.Duration     `json:"-"`
	Since    time.Duration     `json:"-"` // since the change was seen; zero if no change caused it
	Err      error             `json:"-"`
}

// ShortcutStarted says that a service's change takes a way that is shorter than a cycle.
type ShortcutStarted struct {
	Service string `json:"service"`
	Way     string `json:"way"` // sync, image
	Cause   string `json:"cause"`
}

// ShortcutDone says that it arrived, or failed. Err is in most cases a *fault.Error.
type ShortcutDone struct {
	Service string        `json:"service"`
	Way     string        `json:"way"`
	Cause   string        `json:"cause"`
	Reason  string        `json:"reason,omitempty"` // why it was no shorter way
	Detail  string        `json:"detail,omitempty"` // "3 files into 2 pods"
	OK      bool          `json:"ok"`
	Took    time.Duration `json:"-"` // since the change was seen
	Err     error         `json:"-"`
}

// Away says that engine or cluster do not answer. devenv waits.
type Away struct {
	Err error `json:"-"`
}

// Back says that they answer again.
type Back struct {
	After time.Duration `json:"-"`
}

// DevServices says how the services stand, whenever that has changed.
type DevServices struct {
	Services []DevService `json:"services"`
	// Logs are the services whose logs are shown; empty: of none.
	Logs []string `json:"logs,omitempty"`
}

// DevService is one service while `devenv dev` runs.
type DevService struct {
	Name  string `json:"name"`
	State string `json:"state"`           // current, hot, changing, waiting, failed
	Waits string `json:"waits,omitempty"` // what it waits for: "for the cycle of grades", "for the next save"
	// Way, and the four that follow, are of its last change: sync, image, swap or full; what changed; why it was no shorter way; when it arrived or
	// failed; and how long that took.
	Way    string        `json:"way,omitempty"`
	Cause  string        `json:"cause,omitempty"`
	Reason string        `json:"reason,omitempty"`
	At     time.Time     `json:"at,omitzero"`
	Took   time.Duration `json:"-"`
	Began  time.Time     `json:"began,omitzero"` // of what changes it now
}

// Type implements Event.
func (DevServices) Type() string { return "dev.services" }

// Type implements Event.
func (Watching) Type() string { return "dev.watching" }

// Type implements Event.
func (Changed) Type() string { return "dev.changed" }

// Type implements Event.
func (CycleStarted) Type() string { return "dev.cycle.started" }

// Type implements Event.
func (CycleDone) Type() string { return "dev.cycle.done" }

// Type implements Event.
func (ShortcutStarted) Type() string { return "dev.shortcut.started" }

// Type implements Event.
func (ShortcutDone) Type() string { return "dev.shortcut.done" }

// Type implements Event.
func (Away) Type() string { return "dev.away" }

// Type implements Event.
func (Back) Type() string { return "dev.back" }
