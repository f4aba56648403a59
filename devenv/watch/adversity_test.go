package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/devenv-run/devenv/devenv/fault"
)

func TestEventsThatWereLost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir+"/root/d/f", "")
	put(t, dir+"/chart/f", "")
	put(t, dir+"/shared/f", "")
	put(t, dir+"/file", "")
	must(t, os.Symlink("../shared", dir+"/chart/link"))
	real := tamper(t)
	w := watchWith(t, quick, real.open, contextRoot("root", dir+"/root"), Root{Name: "chart", Path: dir + "/chart", Follow: true}, Root{Name: "file", Path: dir + "/file"})
	m := w.model("root", dir+"/root", ignoring(dir+"/root"))
	dropped := make(chan string, 1000)
	real.set(func() { real.drop = func(e fsnotify.Event) bool { dropped <- e.Name; return true } })
	put(t, dir+"/root/new/deep/f", "")
	put(t, dir+"/root/ignored/f", "")
	must(t, os.Rename(dir+"/root/d", dir+"/root/moved"))
	put(t, dir+"/root/.dockerignore", "ignored\n")
	for name := ""; name != dir+"/root/.dockerignore"; {
		name = <-dropped
	}
	real.set(func() { real.drop = func(fsnotify.Event) bool { return false } })
	real.lost <- struct{}{}
	b := w.next()
	if len(b.Changes) != 3 || !b.Changes[0].Rescan || !b.Changes[1].Rescan || !b.Changes[2].Rescan {
		t.Errorf("after lost events not all is to be read again: %v", b)
	}
	w.untilKnown(m)
	// And all is watched again, by the rules that hold now.
	w.told = nil
	put(t, dir+"/root/ignored/f", "new")
	put(t, dir+"/root/new/deep/f", "new")
	put(t, dir+"/root/moved/f", "new")
	put(t, dir+"/shared/f", "new")
	w.untilKnown(m)
	w.until("chart", "link")
	for _, c := range w.told {
		if !c.Rescan && covers(c, "root", "ignored/f") {
			t.Error("an ignored file was told:", c)
		}
	}
}

// TestKernelQueueOverflows makes more events than the kernel's queue holds while nobody takes them.
func TestKernelQueueOverflows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir+"/f", "")
	real, err := newNotifier()
	must(t, err)
	defer real.Close()
	must(t, real.Add(dir))
	data, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	if err != nil {
		t.Skip("only Linux has such a queue")
	}
	var size int
	if _, err := fmt.Sscan(string(data), &size); err != nil || size > 100_000 {
		t.Skip("a queue of", size)
	}
	for i := range size + 2*buffered { // two names, because the kernel merges equal events that follow each other
		must(t, os.Chmod(dir+"/f", os.FileMode(0o600+i%2)))
		must(t, os.Chmod(dir, os.FileMode(0o700+i%2)))
	}
	for deadline := time.After(patience); ; {
		select {
		case <-real.Lost():
			return
		case <-real.Events():
		case <-deadline:
			t.Fatal("nothing was lost")
		}
	}
}

func TestLimitOfWatches(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 20 {
		put(t, fmt.Sprintf("%s/d%02d/f", dir, i), "")
	}
	real := tamper(t)
	real.limit = 5
	var warned []error
	options := quick
	options.Check, options.Sweep = 20*time.Millisecond, 40*time.Millisecond
	options.Warn = func(err error) { warned = append(warned, err) }
	w := watchWith(t, options, real.open, Root{Name: "root", Path: dir})
	m := w.model("root", dir, nil)
	if len(warned) != 1 {
		t.Fatal(warned)
	}
	var f *fault.Error
	if !errors.As(warned[0], &f) || f.Kind != fault.Machine || !errors.Is(f, syscall.ENOSPC) || f.What != "17 of 22 directories cannot be watched and are polled" {
		t.Errorf("%v", warned[0])
	}
	if now, err := os.ReadFile("/proc/sys/fs/inotify/max_user_watches"); err == nil {
		for _, part := range []string{"it is " + strings.TrimSpace(string(now)), "sudo sysctl fs.inotify.max_user_watches=524288", "/etc/sysctl.d/"} {
			if !strings.Contains(f.Next, part) {
				t.Errorf("%q lacks %q", f.Next, part)
			}
		}
	}
	for i := range 20 {
		put(t, fmt.Sprintf("%s/d%02d/f", dir, i), "new")
		put(t, fmt.Sprintf("%s/d%02d/deep/er/f", dir, i), "new")
	}
	w.untilKnown(m)
	must(t, os.RemoveAll(dir+"/d07"))
	must(t, os.Rename(dir+"/d08", dir+"/d09/d08"))
	put(t, dir+"/d09/d08/later", "")
	w.untilKnown(m)
	// Once there is room, everything gets watched.
	real.set(func() { real.limit = 1 << 20 })
	for deadline := time.Now().Add(patience); len(real.watched()) < 2+19+2*19; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still polled:", len(real.watched()))
		}
	}
	put(t, dir+"/d19/deep/er/f", "again")
	w.untilKnown(m)
	w.Close()
	if len(warned) != 1 {
		t.Error("told more than once:", warned)
	}
}

func TestNoWatcherToBeHad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir+"/d/f", "")
	put(t, dir+"/.dockerignore", "out\n")
	options, warned := quick, error(nil)
	options.Warn = func(err error) { warned = err }
	w := watchWith(t, options, func() (notifier, error) { return nil, fmt.Errorf("inotify: %w", syscall.EMFILE) }, contextRoot("root", dir))
	m := w.model("root", dir, ignoring(dir))
	var f *fault.Error
	if !errors.As(warned, &f) || !errors.Is(f, syscall.EMFILE) {
		t.Fatal(warned)
	}
	if _, err := os.Stat("/proc/sys/fs/inotify"); err == nil && !strings.Contains(f.Next, "fs.inotify.max_user_instances=") {
		t.Error(f.Next)
	}
	put(t, dir+"/d/f", "new")
	put(t, dir+"/new/deep/f", "new")
	w.untilKnown(m)
	must(t, os.RemoveAll(dir+"/new"))
	must(t, os.Chmod(dir+"/d/f", 0o755))
	w.untilKnown(m)
	put(t, dir+"/.dockerignore", "d\n")
	w.untilKnown(m)
	must(t, os.RemoveAll(dir))
	w.untilKnown(m)
	put(t, dir+"/back/f", "")
	w.untilKnown(m)
}

// TestSweep keeps every event away: what is told, the sweep found.
func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 30 {
		put(t, fmt.Sprintf("%s/d%02d/f", dir, i), "")
	}
	real := tamper(t)
	real.drop = func(fsnotify.Event) bool { return true }
	options := quick
	options.Check, options.Sweep = 10*time.Millisecond, 50*time.Millisecond
	w := watchWith(t, options, real.open, Root{Name: "root", Path: dir})
	m := w.model("root", dir, nil)
	put(t, dir+"/d03/f", "new")
	must(t, os.Remove(dir+"/d04/f"))
	must(t, os.Rename(dir+"/d05", dir+"/d06/d05"))
	put(t, dir+"/new/deep/f", "")
	must(t, os.RemoveAll(dir+"/d07"))
	put(t, dir+"/d07/f", "another directory")
	must(t, os.Chmod(dir+"/d08/f", 0o755))
	put(t, dir+"/d09/f", "same time")
	must(t, os.Chtimes(dir+"/d09/f", time.Unix(1, 0), time.Unix(1, 0)))
	w.untilKnown(m)
	put(t, dir+"/d09/f", "same size")
	must(t, os.Chtimes(dir+"/d09/f", time.Unix(1, 0), time.Unix(1, 0)))
	w.untilKnown(m)
}

func TestSweepOfAnUnchangedTreeTellsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 30 {
		put(t, fmt.Sprintf("%s/d%02d/f", dir, i), "")
	}
	real := tamper(t)
	swept := make(chan struct{}, 1)
	options := quick
	options.Check, options.Sweep = time.Millisecond, 5*time.Millisecond
	var adds atomic.Int64
	w := watchWith(t, options, func() (notifier, error) { return counted{real, &adds, swept}, nil }, Root{Name: "root", Path: dir})
	put(t, dir+"/d00/f", "known to the sweep, too")
	w.until("root", "d00/f")
	w.told = nil
	adds.Store(0)
	select {
	case <-swept: // the whole tree more than twice
	case b := <-w.Batches():
		// The write may be told in two batches; the sweep may not add a third.
		if len(b.Changes) != 1 || len(b.Changes[0].Paths) != 1 || b.Changes[0].Paths[0] != "d00/f" {
			t.Fatal(b)
		}
		<-swept
	}
	select {
	case b := <-w.Batches():
		t.Error("nothing changed:", b)
	default:
	}
}

// counted says when enough directories were watched again.
type counted struct {
	notifier
	adds  *atomic.Int64
	swept chan struct{}
}

func (c counted) Add(path string) error {
	if c.adds.Add(1) == 100 {
		c.swept <- struct{}{}
	}
	return c.notifier.Add(path)
}

func TestEndOfContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	w, err := Start(ctx, []Root{{Name: "root", Path: t.TempDir()}}, quick)
	must(t, err)
	cancel()
	if _, open := <-w.Batches(); open {
		t.Error("a batch after the end")
	}
	w.Close()
	w.Close()
	if w, err := Start(ctx, []Root{{Name: "root", Path: t.TempDir()}}, quick); !errors.Is(err, context.Canceled) {
		t.Error(w, err)
	}
}

func TestCloseWhileBusy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, err := Start(t.Context(), []Root{{Name: "root", Path: dir}}, quick)
	must(t, err)
	for i := range 500 {
		put(t, fmt.Sprintf("%s/%d/f", dir, i), "")
		if i == 300 {
			w.Close() // nobody ever received a batch
		}
	}
}

// TestStartMissesNothing changes files all the time, and reads the tree as soon as Start returns.
func TestStartMissesNothing(t *testing.T) {
	t.Parallel()
	for range 5 {
		dir := t.TempDir()
		for i := range 100 {
			put(t, fmt.Sprintf("%s/d%d/f", dir, i), "")
		}
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				path := fmt.Sprintf("%s/d%d", dir, i%100)
				if i%3 == 0 {
					_ = os.Rename(path, path+"x") // fails where that is there already
				}
				put(t, path+"/f", fmt.Sprint(i))
			}
		}()
		w := watchFor(t, quick, Root{Name: "root", Path: dir})
		m := w.model("root", dir, nil)
		w.next()
		w.next()
		close(stop)
		<-done
		w.untilKnown(m)
		w.Close()
	}
}

func TestSlowReceiverGetsOneBatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	real := tamper(t)
	w := watchWith(t, quick, real.open, Root{Name: "root", Path: dir})
	m := w.model("root", dir, nil)
	for i := range 30 {
		put(t, fmt.Sprintf("%s/f%d", dir, i), "")
		time.Sleep(quick.Quiet) // each would be a batch of its own
	}
	// The last one is known once its directory's event was taken; a batch that is offered is never older than that.
	put(t, dir+"/last/f", "")
	for deadline := time.Now().Add(patience); !strings.Contains(strings.Join(real.watched(), " "), dir+"/last"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not seen")
		}
	}
	w.untilKnown(m)
	if len(w.told) > 2 { // the last change may have come too late for the first batch
		t.Error(w.told)
	}
}

func TestManyPathsBecomeARescan(t *testing.T) {
	t.Parallel()
	var n, ready news
	for i := range manyPaths {
		n.add(fmt.Sprint(i))
		n.add("0")
	}
	if n.rescan {
		t.Fatal("too early")
	}
	for i := range manyPaths + 10 {
		n.add(fmt.Sprint("more", i))
	}
	ready.move(&n)
	if c := ready.change("root"); !c.Rescan || len(c.Paths) != 1 || c.Paths[0] != "." || len(ready.paths) > manyPaths+1 {
		t.Error(c.Rescan, len(c.Paths), len(ready.paths))
	}
}
