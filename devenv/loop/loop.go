// Package loop decides what `devenv dev` does next. It is a pure reducer: State.Step takes an Event and the time, and returns the new
// State and Commands; the facade's one goroutine owns the State and carries the Commands out, whose ends come back as
// events. Nothing here waits, reads a clock or touches a file, so every interleaving can be played in a test.
//
// There are two kinds of work. A shortcut brings the change of one service into the cluster without asking what else there is to
// do: files into containers, or a layer on its image. A cycle is what `devenv up` does: gather, plan, run. A cycle is for a set of services,
// which it takes as they are in the working tree; every other service stays at the image that was deployed last, whatever happens
// to its files meanwhile. So a chart can be edited while a service is hot, and a service that does not compile stands in nobody's way.
//
// The rules:
//
//   - A change marks its service as wanting work, and nothing but the beginning of a work takes that mark away. A work that is cancelled,
//     or that ends because engine or cluster are away, gives it back. So the last work of a service begins after its last change.
//   - A service's change tries the shortcut first. One that falls (Full says why) becomes part of the next cycle. A change that comes in
//     one batch with changes of deploy sources goes straight into the cycle with them: they may need each other.
//   - One cycle at a time. It takes everything that wants one, and also what failed to deploy before, because what it
//     deploys may have been missing. A cycle waits a moment (Settings.Decide) for shortcuts that may be about to fall, so that a file
//     which is in the contexts of ten services makes one cycle and not ten.
//   - A shortcut never runs for a service that the running cycle works on, nor two for one service. While devenv.yaml is read again none
//     does: what a service is may be changing.
//   - A newer change cancels the work in flight that it makes stale: a shortcut of the same service; a cycle of which it
//     is a service, or which renders what changed. Not so if something in that work has waited longer than Settings.Patience: somebody who saves
//     without end gets to see something now and then. Changes that make nothing stale wait, or take their shortcut beside it.
//   - A failure is kept with its service and not tried again by itself. The next change of the service does, or a key, and what failed to
//     deploy goes along with every cycle. One for something that passes (Passes), such as a disk that is full, is tried again after a pause that
//     grows (Settings.Retries); a change does not wait for that.
//   - A service that became hot is settled, by a cycle that takes it, once it had no change for Settings.SettleAfter; one that
//     could not be settled waits for its next change, or for the key.
//   - A work whose files change while it reads them (Outrun) gives its want back and is begun again. From the third time in a row on that is told, and the next
//     one waits, longer each time (Settings.Rests): something writes into the context without end.
//   - While engine or cluster are away nothing begins, and what runs is cancelled. When they are back, a cycle over everything makes
//     sure that what is there is what should be.
//   - Leaving cancels what runs, or settles first if Settings.SettleOnExit says so.
package loop

import (
	"maps"
	"slices"
	"time"
)

// Settings do not change while a loop runs.
type Settings struct {
	SettleAfter  time.Duration // without a change, before what is hot is settled; 0: at once
	SettleOnExit bool
	Patience     time.Duration // for which a change lets newer ones cancel its work
	Decide       time.Duration // for which a cycle waits for shortcuts that may fall
	// Rests are how long a service waits whose files have changed during each of its last works, after the third of them, the fourth, …, and then always.
	Rests []time.Duration
	// Retries are how long to wait before what failed for something that passes is tried again, after the first time, the second, …, and then always.
	Retries []time.Duration
}

// Defaults are the settings of `devenv dev` without flags.
func Defaults() Settings {
	return Settings{SettleAfter: 30 * time.Second, Patience: 10 * time.Second, Decide: 100 * time.Millisecond,
		Rests:   []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second},
		Retries: []time.Duration{3 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second}}
}

// Want is what a service, or the rest of the project, needs next.
type Want int

// The wants, each more than the one before it.
const (
	Nothing Want = iota
	Short        // the shortest way that is correct
	Full         // a cycle
)

// Doing is what is being done for a service.
type Doing int

// What is being done.
const (
	Idle Doing = iota
	InShortcut
	InCycle
)

// Service is what the loop knows of a service.
type Service struct {
	Doing Doing
	Began time.Time // of what is being done
	Want  Want
	// Reason says why it has to be the full way, where Want is Full: "cmd/main.go is compiled by the Dockerfile".
	Reason string
	Paths  []string // of the changes that no work has taken yet
	// Since is when the oldest change came that no work has brought to an end; zero if there is none.
	Since time.Time
	Hot   bool
	Quiet time.Time // of the last change, or when it became hot
	// Failed says that its last work failed; Joins that the next cycle is to try again, whatever it is for.
	Failed bool
	Joins  bool
	Last   Done // its last work
	// Outruns is how many works in a row ended because files changed while they were being read, Retries how many failed for something that passes and were for the
	// same change; until Rests nothing begins for it.
	Outruns, Retries int
	Rests            time.Time

	taken     Taken // by the work in flight
	cancelled bool  // the shortcut in flight
}

// Done is a work that has ended.
type Done struct {
	Way    string // "sync", "image", "swap", "full"; empty: none yet
	Cause  string
	Reason string // why it was no shorter way
	Took   time.Duration
	At     time.Time
	Err    error
}

// Taken is what a work took from its service when it began.
type Taken struct {
	Want   Want
	Reason string
	Paths  []string
	Since  time.Time // of the oldest of its changes; zero if it has none
}

// Rest is what belongs to no service: deploy sources and devenv.yaml.
type Rest struct {
	Wanted bool
	Reload bool // devenv.yaml is to be read again
	All    bool // anything may have changed: every service is taken
	Cause  string
	Paths  []string
	Since  time.Time
	Quiet  time.Time // of the last change
	Failed bool
}

// Cycle is the cycle in flight.
type Cycle struct {
	Number    int
	Services  []string // that it takes; sorted
	All       bool     // it takes every service
	Settle    bool
	Began     time.Time
	rest      Rest
	cancelled bool
	last      bool // after it, the loop ends
}

// works says whether the cycle may change a service.
func (c *Cycle) works(service string) bool {
	return c != nil && (c.All || slices.Contains(c.Services, service))
}

// State is everything that the loop knows. Step does not change it but returns another.
type State struct {
	Settings Settings
	Services map[string]Service
	Rest     Rest
	Cycle    *Cycle // in flight; nil if there is none
	Away     error  // why nothing can be done; nil if something can
	Leaving  bool
	left     bool
	settling bool // what is hot is to be settled now; when leaving, until it is
	cycles   int
}

// New is the state in which everything is as the working tree declares it, which is what `up` left.
func New(s Settings, services []string) State {
	state := State{Settings: s, Services: map[string]Service{}}
	for _, name := range services {
		state.Services[name] = Service{}
	}
	return state
}

// Quiet says whether nothing is being done and nothing will be before the next event other than the time.
func (s State) Quiet() bool {
	for _, service := range s.Services {
		if service.Doing != Idle || service.Want != Nothing {
			return false
		}
	}
	return s.Cycle == nil && !s.Rest.Wanted && s.Away == nil
}

// Step takes an event. The commands are to be carried out in their order.
func (s State) Step(e Event, now time.Time) (State, []Command) {
	s.Services = maps.Clone(s.Services)
	if s.Cycle != nil {
		cycle := *s.Cycle
		s.Cycle = &cycle
	}
	r := reducer{State: s, now: now}
	r.take(e)
	r.dispatch()
	return r.State, r.commands
}

// Names are the services in the order in which everything here goes through them.
func (s State) Names() []string { return slices.Sorted(maps.Keys(s.Services)) }
