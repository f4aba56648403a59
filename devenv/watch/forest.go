package watch

import (
	"context"
	"hash/maphash"
	"maps"
	"path/filepath"
	"slices"

	"github.com/fsnotify/fsnotify"

	"github.com/devenv-run/devenv/devenv/digest"
)

// forest is all directories that matter to any root, each watched and known once.
//
// Directories are known by path and by inode. fsnotify knows them by path only, and one that is moved keeps its kernel watch under the old
// name; so a directory that turns up at another path is taken away from the old one before it is added.
type forest struct {
	options  Options
	reader   reader
	notifier notifier
	ctx      context.Context // of the run that owns the forest: a walk of a large tree ends with it

	roots   []*root
	dirs    map[string]*dir
	byID    map[inode]*dir
	gitDirs map[string]bool
	mute    map[uint64]bool        // by device: whether the kernel may not know of changes there; see deaf
	again   map[string]fsnotify.Op // paths to settle once more, because they changed while they were looked at

	limit  error // the first error that said that no more can be watched
	warned bool
	polls  bool // a directory is polled, or was when they were last polled: most machines need never look through all of them for one
}

func newForest(options Options) *forest {
	return &forest{
		options: options, reader: reader{maphash.MakeSeed()}, dirs: map[string]*dir{}, byID: map[inode]*dir{}, gitDirs: map[string]bool{}, mute: map[uint64]bool{},
		again: map[string]fsnotify.Op{},
	}
}

// dir is a watched directory.
type dir struct {
	path    string // absolute, free of links when it was found
	id      inode
	polled  bool              // not watched, because of a limit or because it is watched under another name
	twin    bool              // polled because of the latter
	entries map[string]record // what is in it, as far as it matters
	trees   []tree
	names   map[string][]interest
}

// tree is a root's interest in all that is in a directory.
type tree struct {
	root   *root
	rel    string        // of the directory, relative to the root; "" for the root itself
	inside digest.Ignore // judges what is in the directory
	alias  string        // if not empty, the link by which the root's readers come here; changes are told as its
}

// interest is a root's interest in one name of a directory.
type interest struct {
	root   *root
	notice func()
}

// child is the tree's interest in a directory of that name, if it has any.
func (t tree) child(name string) (tree, bool) {
	if t.alias != "" {
		return t, true
	}
	rel := join(t.rel, name)
	_, inside := t.inside.Match(rel, true)
	return tree{root: t.root, rel: rel, inside: inside}, inside != nil
}

// join is a path below rel, with slashes.
func join(rel, name string) string {
	if rel == "" {
		return name
	}
	return rel + "/" + name
}

// children are the interests of d's trees in a directory of that name.
func (d *dir) children(name string) []tree {
	var all []tree
	for _, t := range d.trees {
		if c, ok := t.child(name); ok {
			all = append(all, c)
		}
	}
	return all
}

// keep says which names of d matter.
func (f *forest) keep(d *dir) func(string) bool {
	return func(name string) bool {
		return d.names[name] != nil || len(d.trees) > 0 && !f.options.Skip(name)
	}
}

// open makes path a known and watched directory, or gives nil if it is not there or not a directory.
func (f *forest) open(path string) (d *dir, fresh bool) {
	e, ok := f.reader.look(path)
	d = f.dirs[path]
	if d != nil && !e.isDir(d.id) {
		f.drop(d)
		d = nil
	}
	if !ok || !e.dir {
		return nil, false
	}
	if d == nil {
		d, fresh = &dir{path: path, id: e.id}, true
	}
	if other := f.byID[e.id]; other != nil && other != d {
		if there, _ := f.reader.look(other.path); there.isDir(e.id) {
			d.polled, d.twin, f.polls = true, true, true // the same directory at two places: a bind mount
		} else {
			f.again[other.path] |= fsnotify.Rename
			f.drop(other)
		}
	}
	if !d.twin && !f.watch(d) {
		f.drop(d)
		return nil, false
	}
	// What was there a moment ago may be another directory by now, and then that is what the kernel watches.
	if now, _ := f.reader.look(path); !now.isDir(e.id) {
		f.again[path] |= fsnotify.Create
		f.drop(d)
		return nil, false
	}
	if fresh {
		f.dirs[path] = d
		if !d.twin {
			f.byID[d.id] = d
		}
	}
	return d, fresh
}

// watch has the kernel watch d, or has it polled where limits do not allow that; false: it is not there, or not readable.
func (f *forest) watch(d *dir) bool {
	err := f.notifier.Add(d.path)
	switch {
	case err == nil:
		d.polled = false
	case limited(err):
		d.polled, f.polls = true, true
		if f.limit == nil {
			f.limit = err
		}
	default:
		return false
	}
	return true
}

// drop forgets a directory and all below it.
func (f *forest) drop(d *dir) {
	f.notifier.Remove(d.path) // also if it is polled: the watch of a directory that was replaced may be left
	if f.dirs[d.path] != d {
		return
	}
	delete(f.dirs, d.path)
	if f.byID[d.id] == d {
		delete(f.byID, d.id)
	}
	// Interests that began here end with it, and a directory that comes back may have the same inode again, so that nobody
	// would see that it is another one.
	for _, list := range d.names {
		for _, i := range list {
			i.root.stale = true
		}
	}
	for _, t := range d.trees {
		t.root.stale = t.root.stale || t.rel == "" || t.alias != ""
	}
	for name, r := range d.entries {
		if r.dir {
			if below := f.dirs[filepath.Join(d.path, name)]; below != nil {
				f.drop(below)
			}
		}
	}
}

// grow makes path and all below it known and watched for these trees, also where that was so before: a watch that got lost is set again.
// The caller tells of path as a whole, so that what is found in new directories is not told one by one.
func (f *forest) grow(path string, trees []tree) {
	if f.ctx.Err() != nil {
		return
	}
	d, fresh := f.open(path)
	if d == nil || !d.adopt(trees) {
		return
	}
	found, ok := f.read(d)
	if !ok {
		return
	}
	if !fresh {
		f.compare(d, found, func(name string, e entry, wasDir bool) {
			f.tell(d, name, e.dir || wasDir)
			if below := f.dirs[filepath.Join(path, name)]; below != nil && !e.isDir(below.id) {
				f.drop(below)
			}
		})
	}
	d.entries = make(map[string]record, len(found))
	for name, e := range found {
		d.entries[name] = e.record()
	}
	for name, e := range found {
		f.into(d, name, e)
	}
}

// into goes on with an entry of d: down if it is a directory, to where it leads if it is a link that is followed.
func (f *forest) into(d *dir, name string, e entry) {
	if f.options.Skip(name) {
		return
	}
	path := filepath.Join(d.path, name)
	switch {
	case e.dir:
		if below := d.children(name); len(below) > 0 {
			f.grow(path, below)
		}
	case e.link:
		for _, t := range d.trees {
			if t.root.Follow {
				f.follow(t, name, path)
			}
		}
	}
}

// adopt adds trees to d's; false if none of them is new or can have anything new below d. A root has one tree in a directory, and its own way
// there counts more than a link, so that links in a circle come to an end.
func (d *dir) adopt(trees []tree) bool {
	any := false
next:
	for _, t := range trees {
		for i, have := range d.trees {
			if have.root == t.root {
				if t.alias == "" || have.alias == t.alias {
					d.trees[i], any = t, true
				}
				continue next
			}
		}
		d.trees, any = append(d.trees, t), true
	}
	return any
}

// read lists d. If that is not possible, d is gone or not what it was.
func (f *forest) read(d *dir) (map[string]entry, bool) {
	found, err := f.reader.list(d.path, f.keep(d))
	if err != nil {
		f.again[d.path] |= fsnotify.Rename
		f.drop(d)
		return nil, false
	}
	return found, true
}

// compare calls differs for every name of d that is not what it was; e is empty for one that is gone.
func (f *forest) compare(d *dir, found map[string]entry, differs func(name string, e entry, wasDir bool)) {
	for name, e := range found {
		if was, known := d.entries[name]; !known || was != e.record() {
			differs(name, e, was.dir)
		}
	}
	for name, was := range d.entries {
		if _, there := found[name]; !there {
			differs(name, entry{}, was.dir)
		}
	}
}

// scan compares d with what is there, and settles what differs. It says whether anything did.
func (f *forest) scan(d *dir) bool {
	found, ok := f.read(d)
	if !ok {
		return true
	}
	var names []string
	f.compare(d, found, func(name string, _ entry, _ bool) { names = append(names, name) })
	for _, name := range names {
		f.settle(filepath.Join(d.path, name), fsnotify.Create)
	}
	return len(names) > 0
}

// structural are the events after which another thing may be at a path.
const structural = fsnotify.Create | fsnotify.Remove | fsnotify.Rename

// settle looks at a path at which something happened, tells who wants to know, and watches what has to be watched now. It
// goes by what is there; op only says whether what is there may be new, or unwatched: fsnotify stops watching a directory that moves, even
// if it comes back.
func (f *forest) settle(path string, op fsnotify.Op) {
	changed := op&structural != 0
	e, there := f.reader.look(path)
	d := f.dirs[path]
	wasDir := d != nil
	if d != nil && !e.isDir(d.id) {
		f.drop(d)
		d = nil
	}
	if changed {
		f.disturb(path)
	}
	parent, name := f.dirs[filepath.Dir(path)], filepath.Base(path)
	if parent == nil || parent.path == path {
		return
	}
	if !f.keep(parent)(name) {
		return
	}
	if was, known := parent.entries[name]; known && was.dir {
		wasDir = true
	}
	if there {
		parent.entries[name] = e.record()
	} else {
		delete(parent.entries, name)
	}
	f.tell(parent, name, e.dir || wasDir)
	if there && (changed || d == nil) {
		f.into(parent, name, e)
	}
}

// finish does what settling left: paths that changed meanwhile, and roots to place anew. Where things go on changing faster than they can
// be looked at, the rest is left for the next time.
func (f *forest) finish() {
	for range 5 {
		f.replace()
		if len(f.again) == 0 {
			return
		}
		again := f.again
		f.again = map[string]fsnotify.Op{}
		for _, path := range slices.Sorted(maps.Keys(again)) {
			f.settle(path, again[path])
		}
	}
}

// tell tells the roots that want to know of a name of d.
func (f *forest) tell(d *dir, name string, isDir bool) {
	for _, i := range d.names[name] {
		i.notice()
	}
	if f.options.Skip(name) {
		return
	}
	for _, t := range d.trees {
		if t.alias != "" {
			t.root.report(t.alias)
			continue
		}
		rel := join(t.rel, name)
		if ignored, inside := t.inside.Match(rel, isDir); !ignored || isDir && inside != nil {
			t.root.report(rel)
		}
	}
}
