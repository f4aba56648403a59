package loop_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/devenv-run/devenv/devenv/loop"
)

// world carries out what a loop commands, in whatever order rapid chooses, and holds it to the rules.
type world struct {
	t        *rapid.T
	state    loop.State
	now      time.Time
	moment   int // number of the last event
	changed  map[string]int
	rest     int            // the last change of the rest
	began    map[string]int // when the last work of a service began that was not cancelled
	restDone int
	shortcut map[string]*inFlight
	cycle    *inFlight
	command  loop.StartCycle
	away     bool
	awaited  bool
	wake     time.Time
	left     bool
	outruns  map[string]int // of a service, in a row
	rests    map[string]time.Time
	settled  map[string]int // settle cycles since the service became hot and had no change
}

type inFlight struct {
	began     int
	cancelled bool
}

var services = []string{"a", "b", "c"}

func newWorld(t *rapid.T) *world {
	s := loop.Defaults()
	s.SettleOnExit = rapid.Bool().Draw(t, "settle on exit")
	return &world{
		t: t, state: loop.New(s, services), now: time.Unix(1_000_000, 0), changed: map[string]int{}, began: map[string]int{},
		shortcut: map[string]*inFlight{}, settled: map[string]int{}, outruns: map[string]int{}, rests: map[string]time.Time{},
	}
}

func (w *world) step(e loop.Event) {
	w.t.Helper()
	w.moment++
	before := maps.Clone(w.state.Services)
	old := w.state
	next, commands := w.state.Step(e, w.now)
	for name, s := range before {
		if fmt.Sprint(old.Services[name]) != fmt.Sprint(s) {
			w.t.Fatalf("Step changed the state that it was given")
		}
	}
	w.state = next
	w.wake = time.Time{}
	for _, c := range commands {
		w.carryOut(c)
	}
}

func (w *world) carryOut(c loop.Command) {
	w.t.Helper()
	if w.left {
		w.t.Fatalf("%T after the end", c)
	}
	switch c := c.(type) {
	case loop.TryShortcut:
		if w.shortcut[c.Service] != nil {
			w.t.Fatalf("two shortcuts of %s", c.Service)
		}
		if w.cycle != nil && w.command.Reload {
			w.t.Fatalf("a shortcut of %s, while devenv.yaml is read again", c.Service)
		}
		if w.cycle != nil && (w.command.All || slices.Contains(w.command.Services, c.Service)) {
			w.t.Fatalf("a shortcut of %s, which the running cycle works on", c.Service)
		}
		w.mustBeThere(c)
		w.mustRest(c.Service)
		w.shortcut[c.Service] = &inFlight{began: w.moment}
	case loop.StartCycle:
		if w.cycle != nil {
			w.t.Fatal("two cycles")
		}
		for _, name := range services {
			if w.shortcut[name] != nil && c.Reload {
				w.t.Fatalf("devenv.yaml is read again while the shortcut of %s runs", name)
			}
			if w.shortcut[name] != nil && (c.All || slices.Contains(c.Services, name)) {
				w.t.Fatalf("a cycle of %s, whose shortcut runs", name)
			}
		}
		w.mustBeThere(c)
		if !w.state.Leaving {
			w.mustRest(c.Services...)
		}
		w.cycle, w.command = &inFlight{began: w.moment}, c
	case loop.CancelShortcut:
		if f := w.shortcut[c.Service]; f == nil || f.cancelled {
			w.t.Fatalf("%s has no shortcut to cancel", c.Service)
		} else {
			f.cancelled = true
		}
	case loop.CancelCycle:
		if w.cycle == nil || w.cycle.cancelled {
			w.t.Fatal("no cycle to cancel")
		}
		w.cycle.cancelled = true
	case loop.AwaitReturn:
		if w.awaited {
			w.t.Fatal("awaited twice")
		}
		w.awaited = true
	case loop.Wake:
		w.wake = c.At
	case loop.Leave:
		if w.cycle != nil || w.running() > 0 {
			w.t.Fatal("left with work in flight")
		}
		w.left = true
	}
}

func (w *world) mustBeThere(c loop.Command) {
	if w.away {
		w.t.Fatalf("%T while the cluster is away", c)
	}
}

// outrun says that files of a service changed while they were read, or not any more.
func (w *world) outrun(name string, is bool) {
	if !is {
		w.outruns[name], w.rests[name] = 0, time.Time{}
		return
	}
	if w.outruns[name]++; w.outruns[name] >= 3 {
		w.rests[name] = w.now.Add(min(time.Second<<(w.outruns[name]-3), 8*time.Second))
	}
}

func (w *world) mustRest(names ...string) {
	w.t.Helper()
	for _, name := range names {
		if w.now.Before(w.rests[name]) {
			w.t.Fatalf("%s begins before its files have rested", name)
		}
	}
}

func (w *world) running() (n int) {
	for _, f := range w.shortcut {
		if f != nil {
			n++
		}
	}
	return n
}

// endShortcut ends a shortcut in one of the ways in which it may.
func (w *world) endShortcut(name string, how int) {
	f := w.shortcut[name]
	w.shortcut[name] = nil
	e := loop.ShortcutEnded{Service: name, Way: "sync"}
	switch {
	case f.cancelled && how != 0, w.away:
		e.Stopped = true
	case how <= 1:
		e.Hot = true
	case how == 2:
		e.Fell = true
	case how == 3:
		e.Err = errors.New("does not compile")
	case how == 6:
		e.Err, e.Passes = errors.New("the disk is full"), true
	case how == 4:
		e.Unchanged = true
	case how == 5:
		e.Stopped, e.Outrun = true, true
	}
	if !e.Stopped && !e.Fell {
		w.began[name] = f.began
	}
	if e.Outrun || !e.Stopped && !e.Fell {
		w.outrun(name, e.Outrun)
	}
	w.step(e)
}

func (w *world) endCycle(how int) {
	f, c := w.cycle, w.command
	w.cycle = nil
	e := loop.CycleEnded{Outcomes: map[string]loop.Outcome{}}
	switch {
	case f.cancelled && how != 0, w.away:
		e.Stopped = true
	case how == 1:
		e.Err = errors.New("a chart is wrong")
	default:
		for i, name := range c.Services {
			switch (how + i) % 5 {
			case 4:
				e.Outrun = append(e.Outrun, name)
			case 2:
				e.Outcomes[name] = loop.Outcome{Err: errors.New("not ready"), Joins: how%2 == 0, Passes: how%3 == 0}
			case 3:
				e.Outcomes[name] = loop.Outcome{}
			}
		}
	}
	if !e.Stopped {
		for _, name := range c.Services {
			outrun := slices.Contains(e.Outrun, name)
			if w.outrun(name, outrun); !outrun {
				w.began[name] = f.began
			}
		}
		w.restDone = f.began
	}
	w.step(e)
}

// actions are what may happen next.
func (w *world) actions() map[string]func(*rapid.T) {
	all := map[string]func(*rapid.T){
		"change": func(t *rapid.T) {
			e := loop.Changed{Services: map[string][]string{}}
			for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(services), 0, 3, rapid.ID).Draw(t, "services") {
				e.Services[name] = []string{name + "/f"}
				w.changed[name] = w.moment + 1
			}
			switch rapid.IntRange(0, 9).Draw(t, "rest") {
			case 0:
				e.Sources = []string{"chart"}
			case 1:
				e.Config = []string{"devenv.yaml"}
				clear(w.rests)
			case 2:
				e.All = true
			default:
				w.step(e)
				return
			}
			w.rest = w.moment + 1
			w.step(e)
		},
		"time": func(t *rapid.T) {
			w.now = w.now.Add(time.Duration(rapid.SampledFrom([]int{1, 50, 200, 3_000, 31_000}).Draw(t, "ms")) * time.Millisecond)
			w.step(loop.Tick{})
		},
		"key": func(t *rapid.T) {
			key := rapid.SampledFrom([]loop.Key{loop.Rebuild, loop.Settle}).Draw(t, "key")
			if key == loop.Rebuild {
				clear(w.rests)
			}
			w.step(loop.Pressed{Key: key})
		},
		"finish": func(t *rapid.T) { w.finish(rapid.IntRange(0, 9).Draw(t, "how")) },
	}
	if !w.away {
		all["leave the cluster"] = func(*rapid.T) {
			w.away = true
			w.step(loop.Left{Err: errors.New("no answer")})
		}
	} else {
		all["back"] = func(*rapid.T) { w.back() }
	}
	return all
}

func (w *world) back() {
	if !w.awaited {
		w.t.Fatal("nobody awaits the return")
	}
	w.away, w.awaited = false, false
	w.step(loop.Returned{})
}

// finish ends one work in flight, if there is one.
func (w *world) finish(how int) bool {
	for _, name := range services {
		if w.shortcut[name] != nil {
			w.endShortcut(name, how)
			return true
		}
	}
	if w.cycle != nil {
		w.endCycle(how)
		return true
	}
	return false
}

// calm lets everything come to an end. how is how works end.
func (w *world) calm(how func() int) {
	if w.away {
		w.back()
	}
	for range 200 {
		switch {
		case w.finish(how()):
		case !w.wake.IsZero():
			w.now = w.wake
			w.step(loop.Tick{})
		default:
			return
		}
	}
	w.t.Fatal("it does not come to rest")
}

func TestNoChangeIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			all := w.actions()
			name := rapid.SampledFrom(slices.Sorted(maps.Keys(all))).Draw(t, "action")
			all[name](t)
		}
		w.calm(func() int { return rapid.IntRange(0, 9).Draw(t, "how") })
		if !w.state.Quiet() {
			t.Fatalf("at rest, and not quiet: %+v", w.state)
		}
		for _, name := range services {
			if w.began[name] < w.changed[name] {
				t.Errorf("the last change of %s was event %d, its last work began at %d", name, w.changed[name], w.began[name])
			}
			s := w.state.Services[name]
			if s.Hot && !s.Failed {
				t.Errorf("%s is hot, did not fail, and nobody settles it", name)
			}
			if w.state.Waits(name) == "" && s.Failed {
				t.Errorf("%s failed and waits for nothing", name)
			}
		}
		if w.restDone < w.rest {
			t.Errorf("the last change of the rest was event %d, its last cycle began at %d", w.rest, w.restDone)
		}
	})
}

func TestLeavingEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(0, 40).Draw(t, "events") {
			all := w.actions()
			name := rapid.SampledFrom(slices.Sorted(maps.Keys(all))).Draw(t, "action")
			all[name](t)
		}
		hot, there := false, !w.away
		for _, s := range w.state.Services {
			hot = hot || s.Hot && s.Doing == loop.Idle
		}
		number := w.command.Number
		w.step(loop.Pressed{Key: loop.Quit})
		for range 20 {
			if w.left {
				break
			}
			if !w.finish(rapid.IntRange(0, 9).Draw(t, "how")) {
				t.Fatalf("nothing is in flight and it does not leave: %+v", w.state)
			}
		}
		if !w.left {
			t.Fatal("it does not leave")
		}
		if settled := w.command.Number > number && w.command.Settle; w.state.Settings.SettleOnExit && hot && there && w.state.Away == nil && !settled {
			for _, s := range w.state.Services {
				if s.Hot && !s.Failed {
					t.Fatal("left without settling")
				}
			}
		}
	})
}
