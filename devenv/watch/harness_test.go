package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/dockerfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what has to come.
const patience = 30 * time.Second

// quick makes tests short, and leaves the sweep out, so that what is found was told by an event.
var quick = Options{Quiet: 10 * time.Millisecond, Cap: 200 * time.Millisecond, Check: 100 * time.Millisecond, Sweep: -1}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put writes a file, with its directories.
func put(t testing.TB, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

// watching is a running watcher and all that it told.
type watching struct {
	*Watcher
	t      testing.TB
	told   []Change
	models []*model
}

func watchFor(t testing.TB, options Options, roots ...Root) *watching {
	t.Helper()
	return watchWith(t, options, newNotifier, roots...)
}

func watchWith(t testing.TB, options Options, open func() (notifier, error), roots ...Root) *watching {
	t.Helper()
	w, err := start(t.Context(), roots, options, open)
	must(t, err)
	t.Cleanup(w.Close)
	return &watching{Watcher: w, t: t}
}

// covers says whether a change tells that path may have changed.
func covers(c Change, root, path string) bool {
	return c.Root == root && (c.Rescan || slices.ContainsFunc(c.Paths, func(p string) bool {
		return p == "." || p == path || strings.HasPrefix(path, p+"/")
	}))
}

// next waits for one batch.
func (w *watching) next() Batch {
	w.t.Helper()
	select {
	case b, open := <-w.Batches():
		if !open {
			w.t.Fatal("the watching ended")
		}
		must(w.t, w.take(b))
		return b
	case <-time.After(patience):
		w.t.Fatalf("no batch came; before: %v", w.told)
		panic("unreachable")
	}
}

// take notes a batch.
func (w *watching) take(b Batch) error {
	w.told = append(w.told, b.Changes...)
	for _, m := range w.models {
		for _, c := range b.Changes {
			if err := m.apply(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// until waits until all of root's paths were told.
func (w *watching) until(root string, paths ...string) {
	w.t.Helper()
	for _, path := range paths {
		for !slices.ContainsFunc(w.told, func(c Change) bool { return covers(c, root, path) }) {
			w.next()
		}
	}
}

// paths are all paths told of a root so far.
func (w *watching) paths(root string) []string {
	all := []string{}
	for _, c := range w.told {
		if c.Root == root {
			all = append(all, c.Paths...)
			if c.Rescan {
				all = append(all, "RESCAN")
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// never fails if a path was told; a change that was made later, sentinel, shows that it would have been told by now.
func (w *watching) never(root, sentinel string, paths ...string) {
	w.t.Helper()
	w.until(root, sentinel)
	for _, path := range paths {
		if slices.ContainsFunc(w.told, func(c Change) bool { return covers(c, root, path) }) {
			w.t.Errorf("%s was told: %v", path, w.told)
		}
	}
}

// ignoring is the Ignore of a Root whose ignore file is there.
func ignoring(dir string) func() (digest.Ignore, error) {
	return func() (digest.Ignore, error) {
		ignore, err := dockerfile.ReadIgnore(dir, filepath.Join(dir, "Dockerfile"))
		if err != nil {
			return nil, err
		}
		return ignore, nil
	}
}

// contextRoot is a Root as a build context has it.
func contextRoot(name, dir string) Root {
	return Root{Name: name, Path: dir, Ignore: ignoring(dir), IgnoreFiles: []string{filepath.Join(dir, ".dockerignore")}}
}

// tampered is a real notifier behind which a test puts a machine's limits and losses.
type tampered struct {
	notifier
	events chan fsnotify.Event
	lost   chan struct{}
	stop   chan struct{}
	pump   sync.WaitGroup

	mu    sync.Mutex
	limit int // directories that may be watched
	added map[string]bool
	drop  func(fsnotify.Event) bool
}

func tamper(t testing.TB) *tampered {
	real, err := newNotifier()
	must(t, err)
	w := &tampered{
		notifier: real, events: make(chan fsnotify.Event), lost: make(chan struct{}, 1), stop: make(chan struct{}),
		limit: 1 << 30, added: map[string]bool{}, drop: func(fsnotify.Event) bool { return false },
	}
	w.pump.Go(func() {
		for e := range real.Events() {
			w.mu.Lock()
			drop := w.drop(e)
			w.mu.Unlock()
			if drop {
				continue
			}
			select {
			case w.events <- e:
			case <-w.stop:
			}
		}
	})
	return w
}

func (w *tampered) open() (notifier, error)       { return w, nil }
func (w *tampered) Events() <-chan fsnotify.Event { return w.events }
func (w *tampered) Lost() <-chan struct{}         { return w.lost }
func (w *tampered) Close()                        { close(w.stop); w.notifier.Close(); w.pump.Wait() }

func (w *tampered) Add(path string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.added[path] && len(w.added) >= w.limit {
		return syscall.ENOSPC
	}
	err := w.notifier.Add(path)
	if err == nil {
		w.added[path] = true
	}
	return err
}

func (w *tampered) Remove(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.added, path)
	w.notifier.Remove(path)
}

// set changes how it tampers.
func (w *tampered) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *tampered) watched() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for path := range w.added {
		all = append(all, path)
	}
	slices.Sort(all)
	return all
}

// model is what somebody knows of a root who read it once, after Start, and from then on only what batches name.
type model struct {
	name, root string
	ignore     func() (digest.Ignore, error)
	known      map[string]string
}

// read reads what is there as a digest sees it: kind, mode, content and link's target, by path.
func (m *model) read() (map[string]string, error) {
	var ignore digest.Ignore
	if m.ignore != nil {
		var err error
		if ignore, err = m.ignore(); err != nil {
			return nil, err
		}
	}
	if info, err := os.Stat(m.root); err != nil {
		return map[string]string{}, nil
	} else if !info.IsDir() {
		text, err := os.ReadFile(m.root)
		return map[string]string{".": string(text)}, err
	}
	manifest, err := digest.Walk(context.Background(), m.root, ignore, nil)
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, e := range manifest {
		all[e.Path] = fmt.Sprintf("%c %o %x %s", e.Kind, e.Mode, e.Hash, e.Link)
	}
	return all, nil
}

// apply reads again what a change names.
func (m *model) apply(c Change) error {
	if c.Root != m.name {
		return nil
	}
	now, err := m.read()
	if err != nil {
		return err
	}
	n := news{paths: map[string]struct{}{}, rescan: c.Rescan}
	for _, path := range c.Paths {
		n.paths[path] = struct{}{}
	}
	// A directory that is ignored is in a context as soon as something in it is: what is told implies what is above.
	parents := map[string]bool{}
	for _, path := range c.Paths {
		for up := filepath.Dir(path); up != "."; up = filepath.Dir(up) {
			parents[up] = true
		}
	}
	named := func(path string, _ string) bool {
		_, itself := n.paths[path]
		return itself || n.rescan || parents[path] || n.above(path)
	}
	maps.DeleteFunc(m.known, named)
	for path, e := range now {
		if named(path, "") {
			m.known[path] = e
		}
	}
	return nil
}

// model begins one that follows w.
func (w *watching) model(name, root string, ignore func() (digest.Ignore, error)) *model {
	w.t.Helper()
	m := &model{name: name, root: root, ignore: ignore}
	var err error
	m.known, err = m.read()
	must(w.t, err)
	w.models = append(w.models, m)
	return m
}

// untilKnown waits until the model knows what is there, and fails with the difference.
func (w *watching) untilKnown(m *model) {
	w.t.Helper()
	if err := w.tryUntilKnown(m); err != nil {
		w.t.Fatal(err)
	}
}

func (w *watching) tryUntilKnown(m *model) error {
	for deadline := time.After(patience); ; {
		there, err := m.read()
		if err == nil && maps.Equal(m.known, there) {
			return nil
		}
		select {
		case b, open := <-w.Batches():
			if !open {
				return errors.New("the watching ended")
			}
			if err := w.take(b); err != nil {
				return err
			}
		case <-deadline:
			return fmt.Errorf("missed (- known, + there): %s (%v)\ntold: %v", cmp.Diff(m.known, there), err, w.told)
		}
	}
}
