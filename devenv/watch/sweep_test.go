package watch

import (
	"fmt"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

func TestSweepPause(t *testing.T) {
	t.Parallel()
	const check = time.Second
	for _, c := range []struct{ took, want time.Duration }{
		{20 * time.Microsecond, -400 * time.Millisecond}, // a small tree: at every check
		{time.Millisecond, 4500 * time.Millisecond},      // a large one: at each fifth
		{time.Second, 9500 * time.Millisecond},           // a machine that has no time: at each tenth
	} {
		if got := sweepPause(c.took, check); got != c.want {
			t.Errorf("after %s: %s, want %s", c.took, got, c.want)
		}
	}
}

// TestSweepTakesItsTimeOnlyWithoutDoubt keeps every event away, and looks when the next step may begin.
func TestSweepTakesItsTimeOnlyWithoutDoubt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const dirs = 6
	for i := range dirs {
		put(t, fmt.Sprintf("%s/d%d/f", dir, i), "")
	}
	real := tamper(t)
	real.drop = func(fsnotify.Event) bool { return true }
	o := Options{Check: time.Hour, Sweep: 3 * time.Hour}.withDefaults()
	f := planted(t, []Root{{Name: "root", Path: dir}}, o, real.open)
	var s sweep
	// round steps until everything was read once, and says how many steps took their time.
	round := func() (slow int) {
		for first := true; first || len(s.left) > 0; first = false {
			s.next = time.Time{}
			s.step(f, o)
			if !s.next.IsZero() {
				slow++
			}
		}
		return slow
	}
	const steps = 3
	if slow := round(); slow != steps || f.hasNews() {
		t.Fatalf("%d of %d steps took their time, where nothing changed", slow, steps)
	}
	before := s.next
	s.next = time.Now().Add(time.Hour)
	if s.step(f, o); len(s.left) > 0 {
		t.Fatal("a step began before its time; the last was to wait for", time.Until(before))
	}
	put(t, dir+"/d3/f", "nobody told")
	if slow := round(); slow == steps || !f.hasNews() {
		t.Fatalf("%d of %d steps took their time, and there was something to find", slow, steps)
	}
	if slow := round(); slow != 0 || f.hasNews() {
		t.Fatalf("%d steps took their time in the round after", slow)
	}
	if slow := round(); slow != steps {
		t.Fatalf("%d of %d steps took their time after a round without a find", slow, steps)
	}
	clear(f.mute)
	for _, d := range f.dirs {
		f.mute[d.id.dev] = true // another machine's files
	}
	if slow := round(); slow != 0 {
		t.Fatalf("%d steps took their time where no event can be relied on", slow)
	}
}
