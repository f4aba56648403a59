// Package watch says which files of a working tree changed, in batches: Start watches a set of Roots (build contexts, charts,
// manifests, devenv.yaml), and every Batch names the paths that changed since the one before.
//
// A Batch is a hint where to look, never the truth: whoever receives it reads the tree again and compares digests. So a path that is named
// without need costs a little work, and a path that is not named is a fault. Everything here leans to that side: an event from the
// kernel only says "look at this path", and what is there decides; what the kernel dropped is found by reading everything again; a
// directory that cannot be watched is polled; and a slow sweep compares the whole tree with what is known of it, in
// case all of that was not enough.
//
// Links are what digest sees: things of their own, not what they point to, except on the way to a root. Charts, overlays and manifests are
// read by programs that follow links, and their roots say so (Root.Follow).
//
// One goroutine owns all state: the forest of watched directories (forest.go), which every root shares, so that 50 contexts of one
// repository cost what one costs.
package watch

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/devenv-run/devenv/devenv/digest"
)

// Root is a file or a directory to watch, with everything below it. It need not exist, and it may vanish and come back.
type Root struct {
	// Name tells the root from the others; batches carry it.
	Name string
	// Path is where it is. A relative one is relative to the working directory at the time of Start.
	Path string
	// Ignore reads the root's ignore rules. It is called by Start and again whenever one of IgnoreFiles changed, always before the
	// batch that says so. Directories in which nothing can be of interest are neither watched nor read. Nil: nothing is ignored. When it
	// fails, the rules stay what they were: whoever reads the tree meets the same error and can explain it better.
	Ignore func() (digest.Ignore, error)
	// IgnoreFiles are what Ignore reads, whether they exist or not.
	IgnoreFiles []string
	// Follow says that the root's readers follow symbolic links. A change behind a link is told as a change of the link.
	Follow bool
}

// Batch is what changed in a period that was followed by quiet, or that became too long.
type Batch struct {
	Changes []Change // one for every root that changed, in the order of the roots
}

// Change is what changed in one root.
type Change struct {
	Root string // its Name
	// Paths are relative to the root, with slashes, sorted; "." is the root itself. A path stands for everything below it, too, and for
	// the directories above it: one that is ignored is part of a context as soon as something in it is.
	Paths []string
	// Rescan says that anything in the root may have changed, also what Paths does not name: events were lost, the ignore rules
	// changed, or the root is another directory than before.
	Rescan bool
}

// Options are how long things take and who is told of what. Zero values mean the defaults.
type Options struct {
	// Quiet is how long nothing may change before a batch is complete: 50 ms. An editor's save and its temporary files
	// take less than 10 ms, and a checkout's writes are less than that apart.
	Quiet time.Duration
	// Brief is Quiet for a batch of one or two paths, which is what most saves are: 20 ms. Should more follow it is another batch.
	Brief time.Duration
	// Cap is how long a stream of changes can keep a batch back: 1 s.
	Cap time.Duration
	// Hold is how long git can keep a batch back while it changes the working tree (it holds index.lock): 10 s.
	Hold time.Duration
	// Check is how often the places of the roots are compared with what they were, which finds what no event tells, such as a
	// directory far above a root that was renamed; and how often directories that cannot be watched are polled: 1 s. Polling that
	// takes long happens less often, so that it stays below 5 % of one processor.
	Check time.Duration
	// Sweep is the time in which the whole tree is read once, a little at every Check: 1 minute. In a large tree it takes up to ten times as
	// long, so that it stays below 0.02 % of one processor; not so while it finds what no event told, nor where files are on a
	// file system that others can change without this machine's kernel knowing. Negative: never.
	Sweep time.Duration
	// Skip says which names are of no interest in any root, directories with all that is in them. Default: Clutter.
	Skip func(name string) bool
	// Warn is told once when the machine's limits do not let every directory be watched; it receives a *fault.Error and is called
	// by Start or on the watcher's goroutine. Default: nobody is told.
	Warn func(error)
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		of    *time.Duration
		value time.Duration
	}{{&o.Quiet, 50 * time.Millisecond}, {&o.Cap, time.Second}, {&o.Hold, 10 * time.Second}, {&o.Check, time.Second}, {&o.Sweep, time.Minute}} {
		if *d.of == 0 {
			*d.of = d.value
		}
	}
	if o.Brief == 0 {
		o.Brief = min(o.Quiet, 20*time.Millisecond)
	}
	if o.Skip == nil {
		o.Skip = Clutter
	}
	if o.Warn == nil {
		o.Warn = func(error) {}
	}
	return o
}

// Watcher delivers batches until its context ends or it is closed.
type Watcher struct {
	batches chan Batch
	cancel  context.CancelFunc
	done    chan struct{}
}

// Start begins to watch and returns once every change from then on will be in a batch: read the tree after Start, not before. ctx ends
// the watching. Names of roots that are empty or the same are an error; so is a cancelled ctx. To watch
// other roots, start another Watcher before this one is closed.
func Start(ctx context.Context, roots []Root, options Options) (*Watcher, error) {
	return start(ctx, roots, options, newNotifier)
}

// start is Start for any source of events; open may fail, and then everything is polled.
func start(ctx context.Context, roots []Root, options Options, open func() (notifier, error)) (*Watcher, error) {
	options = options.withDefaults()
	f := newForest(options)
	names := map[string]bool{}
	for _, r := range roots {
		if r.Name == "" || names[r.Name] {
			return nil, fmt.Errorf("watch: root %s needs a name of its own, not %q", r.Path, r.Name)
		}
		names[r.Name] = true
		if err := f.addRoot(r); err != nil {
			return nil, fmt.Errorf("watch: root %s: %w", r.Name, err)
		}
	}
	var err error
	if f.notifier, err = open(); err != nil {
		f.notifier, f.limit = silence{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	f.plant(ctx)
	if err := ctx.Err(); err != nil {
		cancel()
		f.notifier.Close()
		return nil, err
	}
	f.warnOfLimit()
	w := &Watcher{batches: make(chan Batch), cancel: cancel, done: make(chan struct{})}
	l := &loop{forest: f, options: options, batches: w.batches}
	go func() {
		defer close(w.done)
		defer close(w.batches)
		defer f.notifier.Close()
		l.run(ctx)
	}()
	return w, nil
}

// Batches delivers the batches. A receiver that takes its time gets what changed meanwhile as one batch. The channel is closed when
// the watching ends.
func (w *Watcher) Batches() <-chan Batch { return w.batches }

// Close ends the watching and waits until nothing of it is left. It may be called more than once.
func (w *Watcher) Close() {
	w.cancel()
	<-w.done
}

// Clutter says whether a name is that of something which git or an editor keeps beside the files that it is about: git's own directory, and
// swap, backup and temporary files. Such a file counts for a digest if no ignore file names it, but no change of one is ever what
// somebody wants a build for; with the next change that is, it is read like everything else.
func Clutter(name string) bool {
	switch name {
	case ".git", ".hg", ".svn", ".jj", ".DS_Store", "4913": // vim tries whether it may create files with the last
		return true
	}
	if strings.HasPrefix(name, ".#") || strings.HasPrefix(name, ".goutputstream-") || // emacs's locks; GLib, for gedit and others
		len(name) > 2 && name[0] == '#' && name[len(name)-1] == '#' { // emacs's automatic saves
		return true
	}
	if strings.HasSuffix(name, "~") || strings.HasSuffix(name, "___jb_tmp___") || strings.HasSuffix(name, "___jb_old___") {
		return true
	}
	ext := filepath.Ext(name) // .name.swp, and vim counts down when that one exists
	return name[0] == '.' && len(ext) == 4 && ext[:3] == ".sw" && ext[3] >= 'a' && ext[3] <= 'z' && name != ext
}
