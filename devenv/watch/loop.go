package watch

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// loop is the goroutine that owns a forest: it takes events, and gives batches once they are due.
type loop struct {
	forest  *forest
	options Options
	batches chan<- Batch

	touched map[string]fsnotify.Op // events that wait to be settled
	lost    bool                   // events were dropped
	first   time.Time              // of the news that are in no batch yet; zero if there are none
	last    time.Time

	nextPoll time.Time
	sweep    sweep
}

// fewPaths is up to how many paths a batch may be brief for.
const fewPaths = 2

// run works until ctx ends.
func (l *loop) run(ctx context.Context) {
	l.touched = map[string]fsnotify.Op{}
	tick := time.NewTicker(l.options.Check)
	defer tick.Stop()
	due := time.NewTimer(time.Hour)
	due.Stop()
	defer due.Stop()
	var offer chan<- Batch // nil while no batch is ready
	var batch Batch
	for {
		select {
		case <-ctx.Done():
			return
		case e, open := <-l.forest.notifier.Events():
			if !open {
				<-ctx.Done() // it is closed by nobody else
				return
			}
			l.touch(e)
			l.settle()
		case <-l.forest.notifier.Lost():
			l.lost = true
			l.news(due)
		case <-tick.C:
			l.tick()
		case <-due.C:
			if l.unread() && time.Since(l.first) < l.options.Cap {
				l.news(due)
				break
			}
			if l.complete(due) {
				// A batch that still waits for its receiver becomes a larger one.
				if batch = l.batch(); len(batch.Changes) > 0 {
					offer = l.batches
				}
			}
		case offer <- batch:
			for _, r := range l.forest.roots {
				r.ready = news{}
			}
			offer = nil
		}
		if l.forest.hasNews() {
			l.news(due)
		}
	}
}

// hasNews says whether something was reported since it was last asked.
func (f *forest) hasNews() (fresh bool) {
	for _, r := range f.roots {
		fresh, r.fresh = fresh || r.fresh, false
	}
	return fresh
}

// news puts the next batch off until there was quiet, or until the cap.
func (l *loop) news(due *time.Timer) {
	l.last = time.Now()
	if l.first.IsZero() {
		l.first = l.last
	}
	due.Reset(min(l.quiet(), time.Until(l.first.Add(l.options.Cap))))
}

// quiet is how long nothing may change from now on before the batch is complete.
func (l *loop) quiet() time.Duration {
	paths := 0
	for _, r := range l.forest.roots {
		if r.recent.rescan {
			return l.options.Quiet
		}
		paths = max(paths, len(r.recent.paths)) // roots may overlap
	}
	if l.lost || paths > fewPaths {
		return l.options.Quiet
	}
	return l.options.Brief
}

// unread takes the events that are there already, and says whether they are news. Where the machine is busy a period of quiet is over before they were looked
// at, and they belong to the same batch.
func (l *loop) unread() bool {
	select {
	case e, open := <-l.forest.notifier.Events():
		if !open {
			return false
		}
		l.touch(e)
		l.settle()
		return l.forest.hasNews()
	default:
		return false
	}
}

// touch takes an event, and all that are there already: of many events at one path, one look is enough.
func (l *loop) touch(e fsnotify.Event) {
	l.touched[e.Name] |= e.Op
	for range buffered {
		select {
		case e, open := <-l.forest.notifier.Events():
			if !open {
				return
			}
			l.touched[e.Name] |= e.Op
		default:
			return
		}
	}
}

// settle looks at everything touched, directories before what is in them.
func (l *loop) settle() {
	for _, path := range slices.Sorted(maps.Keys(l.touched)) {
		l.forest.settle(path, l.touched[path])
	}
	clear(l.touched)
	l.forest.finish()
	l.forest.warnOfLimit()
}

// complete ends the period of a batch: what is recent becomes ready. Not so while git is at work.
func (l *loop) complete(due *time.Timer) bool {
	now := time.Now()
	if now.Sub(l.first) < l.options.Hold && l.forest.gitBusy(now, l.options.Hold) {
		due.Reset(l.options.Quiet)
		return false
	}
	if l.lost {
		l.lost = false
		l.forest.regrow()
		l.forest.finish()
		l.forest.hasNews() // of which this batch tells
	}
	l.first = time.Time{}
	for _, r := range l.forest.roots {
		r.ready.move(&r.recent)
	}
	return true
}

// batch is what is ready.
func (l *loop) batch() Batch {
	var b Batch
	for _, r := range l.forest.roots {
		if c := r.ready.change(r.Name); c != nil {
			b.Changes = append(b.Changes, *c)
		}
	}
	return b
}

// tick does what no event asks for: places of roots, polling, and a part of the sweep.
func (l *loop) tick() {
	f := l.forest
	f.check()
	f.finish()
	if now := time.Now(); f.polls && !now.Before(l.nextPoll) {
		f.polls = false
		for _, d := range f.dirs {
			if d.polled && f.dirs[d.path] == d {
				f.polls = true
				f.scan(d)
			}
		}
		took := time.Since(now)
		l.nextPoll = now.Add(20 * took)
	}
	l.sweep.step(f, l.options)
	f.finish()
	f.warnOfLimit()
}
