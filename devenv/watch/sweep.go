package watch

import (
	"maps"
	"slices"
	"time"
)

// How much of one processor a sweep may take while nothing casts doubt on the events, as a divisor, and how many times as long as
// Options.Sweep it may take for that.
const (
	sweepShare = 5000
	sweepDelay = 10
)

// sweep compares the whole tree with what is known of it, a little at a time: the net under everything else. In a large tree that is most of
// what watching costs while nothing happens, so there it takes its time. It does not where it is needed: after it found something, until it
// went through everything once more without, and where the machine cannot know of all changes.
type sweep struct {
	left  []string  // directories left of this round
	next  time.Time // when it goes on
	found bool      // something in this round
	doubt bool      // this round does not take its time
}

// step reads the next few directories, and sets their watches again, should they have been lost or were they beyond a limit.
func (s *sweep) step(f *forest, o Options) {
	began := time.Now()
	if o.Sweep < 0 || began.Before(s.next) {
		return
	}
	if len(s.left) == 0 {
		s.left = slices.Collect(maps.Keys(f.dirs))
		s.doubt, s.found = s.found || f.deaf(), false
	}
	ticks := max(1, int(o.Sweep/o.Check))
	n := min(len(s.left), (len(f.dirs)+ticks-1)/ticks)
	for _, path := range s.left[:n] {
		d := f.dirs[path]
		if d == nil {
			continue
		}
		if !d.twin {
			f.watch(d)
		}
		// An event that is about to be taken looks the same as one that never came; then a round is quick without need.
		if f.scan(d) && !d.polled { // scan finds out, too, that it is gone
			s.found, s.doubt = true, true
		}
	}
	s.left = s.left[n:]
	if !s.doubt {
		s.next = began.Add(sweepPause(time.Since(began), o.Check))
	}
}

// sweepPause is how long after the beginning of a step that took so long the next one may begin, where steps can begin every check.
func sweepPause(took, check time.Duration) time.Duration {
	// Half a check less, because checks are not exactly on time.
	return min(sweepShare*took, sweepDelay*check) - check/2
}
