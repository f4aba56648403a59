package watch

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// played is a notifier that tells what a test makes it tell.
type played struct {
	events chan fsnotify.Event
	lost   chan struct{}
}

func (played) Add(string) error                { return nil }
func (played) Remove(string)                   {}
func (p played) Events() <-chan fsnotify.Event { return p.events }
func (p played) Lost() <-chan struct{}         { return p.lost }
func (played) Close()                          {}

// play runs a test with a clock of its own.
func play(t *testing.T, test func(t *testing.T, dir string, p played, w *Watcher)) {
	dir := t.TempDir()
	put(t, dir+"/f", "")
	synctest.Test(t, func(t *testing.T) {
		p := played{make(chan fsnotify.Event), make(chan struct{})}
		w, err := start(t.Context(), []Root{{Name: "root", Path: dir}}, Options{Sweep: -1}, func() (notifier, error) { return p, nil })
		must(t, err)
		defer w.Close()
		test(t, dir, p, w)
	})
}

func TestQuiet(t *testing.T) {
	for _, test := range []struct {
		paths        int
		pause, whole time.Duration
	}{
		{1, 15 * time.Millisecond, 5*15*time.Millisecond + 20*time.Millisecond},
		{2, 15 * time.Millisecond, 5*15*time.Millisecond + 20*time.Millisecond},
		{3, 15 * time.Millisecond, 5*15*time.Millisecond + 50*time.Millisecond},
		{6, 15 * time.Millisecond, 5*15*time.Millisecond + 50*time.Millisecond},
	} {
		t.Run(fmt.Sprint(test.paths, " paths"), func(t *testing.T) {
			play(t, func(t *testing.T, dir string, p played, w *Watcher) {
				began := time.Now()
				for i := range 6 {
					if i > 0 {
						time.Sleep(test.pause)
					}
					p.events <- fsnotify.Event{Name: fmt.Sprint(dir, "/f", i%test.paths), Op: fsnotify.Write}
				}
				b := <-w.Batches()
				if took := time.Since(began); took != test.whole || len(b.Changes[0].Paths) != test.paths {
					t.Error("a batch after", took, b)
				}
			})
		})
	}
}

func TestCap(t *testing.T) {
	play(t, func(t *testing.T, dir string, p played, w *Watcher) {
		began := time.Now()
		go func() {
			for i := range 350 {
				p.events <- fsnotify.Event{Name: fmt.Sprint(dir, "/f", i%7), Op: fsnotify.Write}
				time.Sleep(10 * time.Millisecond)
			}
		}()
		for i := range 3 {
			<-w.Batches()
			took := time.Since(began)
			if want := time.Duration(i+1) * time.Second; took < want || took > want+50*time.Millisecond {
				t.Errorf("batch %d after %v", i, took)
			}
		}
		<-w.Batches() // the rest
		synctest.Wait()
	})
}

func TestWhatDoesNotMatterKeepsNothingBack(t *testing.T) {
	play(t, func(t *testing.T, dir string, p played, w *Watcher) {
		began := time.Now()
		go func() {
			p.events <- fsnotify.Event{Name: dir + "/f", Op: fsnotify.Write}
			for range 100 {
				p.events <- fsnotify.Event{Name: dir + "/f~", Op: fsnotify.Write}
				time.Sleep(10 * time.Millisecond)
			}
		}()
		<-w.Batches()
		if took := time.Since(began); took != 20*time.Millisecond {
			t.Error("a batch after", took)
		}
		time.Sleep(2 * time.Second)
		select {
		case b := <-w.Batches():
			t.Error("a batch of nothing:", b)
		default:
		}
	})
}

func TestLostEventsAreTold(t *testing.T) {
	play(t, func(t *testing.T, _ string, p played, w *Watcher) {
		began := time.Now()
		p.lost <- struct{}{}
		b := <-w.Batches()
		if len(b.Changes) != 1 || !b.Changes[0].Rescan || time.Since(began) != 50*time.Millisecond {
			t.Error(b, time.Since(began))
		}
	})
}

func TestChangesWhileABatchWaits(t *testing.T) {
	play(t, func(t *testing.T, dir string, p played, w *Watcher) {
		p.events <- fsnotify.Event{Name: dir + "/f", Op: fsnotify.Write}
		time.Sleep(time.Second)
		put(t, dir+"/g", "")
		p.events <- fsnotify.Event{Name: dir + "/g", Op: fsnotify.Create}
		time.Sleep(time.Second)
		if b := <-w.Batches(); len(b.Changes) != 1 || len(b.Changes[0].Paths) != 2 {
			t.Error(b)
		}
		time.Sleep(time.Minute)
		select {
		case b := <-w.Batches():
			t.Error("told twice:", b)
		default:
		}
	})
}
