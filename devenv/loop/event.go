package loop

import "time"

// Event is something that happened.
type Event interface{ event() }

// Changed is a batch of changes.
type Changed struct {
	Services map[string][]string // paths by service, as messages show them
	Sources  []string            // paths of charts, overlays, values, manifests
	Config   []string            // devenv.yaml and what is merged over it
	All      bool                // events were lost: anything may have changed
}

// Key is what a person asked for.
type Key int

// The keys.
const (
	Rebuild Key = iota // look at everything again, and try again what failed
	Settle             // settle what is hot now
	Quit
)

// Pressed is a key, or a signal.
type Pressed struct{ Key Key }

// ShortcutEnded says what came of a TryShortcut. At most one of Fell, Err and Stopped is set.
type ShortcutEnded struct {
	Service   string
	Way       string // the way that was taken
	Unchanged bool   // the files are what they were: nothing was done
	Hot       bool   // the service runs something else now than what is declared
	Fell      bool   // no shortcut is correct: the full way is needed
	Full      string // why; may be empty
	Err       error  // it failed, and the full way would too
	Passes    bool   // Err is of something that passes without any change, such as a disk that is full
	Stopped   bool   // it was cancelled, or stopped by what went away
	Outrun    bool   // it was stopped because files changed while it read them
	Cause     string
}

// CycleEnded says what came of a StartCycle.
type CycleEnded struct {
	Stopped  bool // it was cancelled, or stopped by what went away
	Err      error
	Cause    string
	Outcomes map[string]Outcome // of the services that it did something for, or failed to
	Outrun   []string           // the services of which files changed while it read them; for the others it came to its end, unless Stopped
}

// Outcome is what a cycle came to for one service.
type Outcome struct {
	Err    error
	Joins  bool // it failed for something that others may declare: the next cycle is to try again
	Passes bool // it failed for something that passes without any change
	Reason string
}

// Reloaded says which services there are, once devenv.yaml was read again. It comes while the cycle that reads it runs.
type Reloaded struct{ Services []string }

// Left says that engine or cluster cannot be reached.
type Left struct{ Err error }

// Returned says that they can be again.
type Returned struct{}

// Tick says that it is later; it answers Wake.
type Tick struct{}

func (Changed) event()       {}
func (Pressed) event()       {}
func (ShortcutEnded) event() {}
func (CycleEnded) event()    {}
func (Reloaded) event()      {}
func (Left) event()          {}
func (Returned) event()      {}
func (Tick) event()          {}

// Command is something to do. Every TryShortcut ends with a ShortcutEnded, and every StartCycle with a CycleEnded, cancelled or not.
type Command interface{ command() }

// TryShortcut has a service's change take the shortest way, if there is one.
type TryShortcut struct {
	Service string
	Paths   []string
	Changed time.Time // when the last of them changed
	Again   bool      // it is what failed before, and nothing has changed since
}

// StartCycle has services, and what belongs to none, become what the working tree declares.
type StartCycle struct {
	Number   int
	Services []string // that are taken from the tree; the others stay at what was deployed last
	All      bool     // all are taken
	Reload   bool     // read devenv.yaml first
	Settle   bool     // for what is hot: only the declared way will do
	Again    bool     // it is for nothing else than what failed before, and nothing has changed since
	Paths    []string // of the changes that caused it
	// Reasons say why services take no shorter way.
	Reasons map[string]string
	Cause   string    // where it was no change: "settling", "rebuild", "the cluster is back"
	Changed time.Time // when the last of Paths changed; zero without any
}

// CancelShortcut stops a service's shortcut.
type CancelShortcut struct{ Service string }

// CancelCycle stops the cycle in flight.
type CancelCycle struct{}

// AwaitReturn has the facade look for engine and cluster until they are there, and say Returned.
type AwaitReturn struct{}

// TellRestless has the facade say that files of a service change whenever they are read. It comes again for as long as they do.
type TellRestless struct{ Service string }

// Wake asks for a Tick at a time. A later Wake replaces it.
type Wake struct{ At time.Time }

// Leave ends the loop. Nothing is in flight.
type Leave struct{}

func (TryShortcut) command()    {}
func (StartCycle) command()     {}
func (CancelShortcut) command() {}
func (CancelCycle) command()    {}
func (AwaitReturn) command()    {}
func (Wake) command()           {}
func (TellRestless) command()   {}
func (Leave) command()          {}
