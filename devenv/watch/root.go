package watch

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/devenv-run/devenv/devenv/digest"
)

// root is a Root and what is known of it.
type root struct {
	Root
	abs         string // Path, absolute
	ignoreFiles []string
	ignore      digest.Ignore

	real  string            // where it is, without links; empty if it is not there
	id    inode             // of what is there
	isDir bool              // whether that is a directory
	links map[string]string // followed links → where they lead

	moved  bool // it has to be placed anew if it is not what it was
	stale  bool // it has to be placed anew
	reload bool // its ignore rules have to be read anew, and it has to be placed anew

	recent news // what was reported since the last batch was complete
	ready  news // what the batch says that waits for its receiver
	fresh  bool // something was reported since the loop last looked
}

// report remembers a changed path.
func (r *root) report(rel string) { r.fresh = true; r.recent.add(rel) }

// reportAll remembers that anything may have changed.
func (r *root) reportAll() { r.fresh, r.recent.rescan = true, true }

// everything ignores nothing.
type everything struct{}

func (everything) Match(string, bool) (bool, digest.Ignore) { return false, everything{} }

func (f *forest) addRoot(given Root) error {
	r := &root{Root: given, ignore: everything{}, links: map[string]string{}}
	var err error
	if r.abs, err = filepath.Abs(given.Path); err != nil {
		return err
	}
	for _, file := range given.IgnoreFiles {
		if file, err = filepath.Abs(file); err != nil {
			return err
		}
		r.ignoreFiles = append(r.ignoreFiles, file)
	}
	if git := gitDir(r.abs); git != "" {
		f.gitDirs[git] = true
	}
	f.roots = append(f.roots, r)
	return nil
}

// plant places all roots for the first time.
func (f *forest) plant(ctx context.Context) {
	f.ctx = ctx
	for _, r := range f.roots {
		f.place(r)
	}
	f.finish()
	for _, r := range f.roots { // nobody has read anything yet
		r.recent, r.fresh = news{}, false
	}
}

func (r *root) readIgnore() {
	r.reload = false
	if r.Ignore == nil {
		return
	}
	if ignore, err := r.Ignore(); err == nil {
		r.ignore = ignore
	}
}

// place finds out where the root is, and watches that and what would change it.
func (f *forest) place(r *root) {
	r.moved, r.stale = false, false
	clear(r.links)
	// Watching begins with what would make the root another one. So what is found afterwards is either still true when it is
	// looked at, or an event says that it is not.
	f.anchor(r, r.abs, func() { r.moved = true })
	for _, file := range r.ignoreFiles {
		f.anchor(r, file, func() { r.reload = true })
	}
	r.readIgnore() // also where no event asks for it: the files go and come with the directories in which they are
	r.real, r.id, r.isDir = locate(r.abs)
	switch {
	case r.real == "":
	case r.isDir:
		f.grow(r.real, []tree{{root: r, inside: r.ignore}})
	default:
		f.anchor(r, r.real, func() { r.moved = true; r.report(".") })
	}
}

// locate follows path to what it names.
func locate(path string) (real string, id inode, isDir bool) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", inode{}, false
	}
	id, isDir, ok := identify(real)
	if !ok {
		return "", inode{}, false
	}
	return real, id, isDir
}

// How often an anchor is set anew where what it is set in vanishes meanwhile, and how many links that lead nowhere are followed.
const (
	anchorTries = 5
	anchorLinks = 8
)

// anchor watches for a name that exists, or for what has to exist first. The directory in which it is is watched if it
// can hold a file, which editors replace; one level above a directory is enough of that. Where it is a link to nowhere, what the link names is watched for, too.
func (f *forest) anchor(r *root, target string, notice func()) {
	for links := 0; target != "" && links < anchorLinks; links++ {
		target = f.anchorOnce(r, target, notice)
	}
}

// anchorOnce is anchor up to the first link that leads nowhere; it returns what that names.
func (f *forest) anchorOnce(r *root, target string, notice func()) (nowhere string) {
	path := target
	for tries := 0; tries < anchorTries; {
		up, _, isDir := locate(filepath.Dir(path))
		if !isDir {
			if path = filepath.Dir(path); path == filepath.Dir(path) {
				return "" // not even the file system's root can be read
			}
			continue
		}
		d, _ := f.open(up)
		if d == nil {
			tries++ // it vanished just now, or cannot be watched
			continue
		}
		name := filepath.Base(path)
		if d.names == nil {
			d.names = map[string][]interest{}
		}
		d.names[name] = append(d.names[name], interest{r, notice})
		if d.entries == nil {
			d.entries = map[string]record{}
		}
		e, there := f.reader.look(filepath.Join(up, name))
		if there {
			d.entries[name] = e.record()
		}
		if there && e.link {
			if nowhere = leadsNowhere(filepath.Join(up, name)); nowhere != "" {
				return nowhere
			}
		}
		if path == target || !there {
			return ""
		}
		path = target // what was missing came before it was watched for
		tries++
	}
	return ""
}

// leadsNowhere is what a link names if that is not there; else empty.
func leadsNowhere(link string) string {
	if _, err := filepath.EvalSymlinks(link); err == nil {
		return ""
	}
	to, err := os.Readlink(link)
	if err != nil {
		return ""
	}
	if !filepath.IsAbs(to) {
		to = filepath.Join(filepath.Dir(link), to)
	}
	return filepath.Clean(to)
}

// follow watches what a link leads to. Where it leads nowhere, the checks find out when it does.
func (f *forest) follow(t tree, name, path string) {
	alias := t.alias
	if alias == "" {
		alias = join(t.rel, name)
		if ignored, _ := t.inside.Match(alias, false); ignored {
			return
		}
	}
	target, _, isDir := locate(path)
	if was, known := t.root.links[path]; known && was == target {
		return // also the end of links in a circle
	}
	t.root.links[path] = target
	switch {
	case target == "":
	case isDir:
		f.grow(target, []tree{{root: t.root, alias: alias}})
	default:
		f.anchor(t.root, target, func() { t.root.report(alias) })
	}
}

// disturb marks the roots that something at path can make other roots.
func (f *forest) disturb(path string) {
	for _, r := range f.roots {
		if r.real == path || strings.HasPrefix(r.real, path+"/") {
			r.moved = true
		}
		if _, link := r.links[path]; link {
			r.stale = true
		}
	}
}

// check compares the places of the roots with what they were.
func (f *forest) check() {
	for _, r := range f.roots {
		if id, _, ok := identify(r.abs); ok != (r.real != "") || id != r.id {
			r.moved = true
		}
		for link, target := range r.links {
			if now, _, _ := locate(link); now != target {
				r.stale = true
			}
		}
	}
}

// replace places the roots anew that have to be.
func (f *forest) replace() {
	for _, r := range f.roots {
		if !r.moved && !r.stale && !r.reload {
			continue
		}
		real, id, isDir := locate(r.abs)
		if !r.stale && !r.reload && real != "" && real == r.real && id == r.id && isDir == r.isDir {
			r.moved = false
			if isDir {
				// It went and came back: its watch went with it, and what happened to it meanwhile nobody has seen.
				r.reportAll()
				f.grow(real, []tree{{root: r, inside: r.ignore}})
			}
			continue
		}
		before := r.real
		f.uproot(r)
		f.place(r)
		if before != "" || r.real != "" { // else only more or less of the way to it is there
			r.report(".")
			r.reportAll()
		}
	}
}

// uproot ends the root's interests, and watching what nobody else is interested in.
func (f *forest) uproot(r *root) {
	for _, d := range f.dirs {
		d.trees = slices.DeleteFunc(d.trees, func(t tree) bool { return t.root == r })
		for name, list := range d.names {
			if list = slices.DeleteFunc(list, func(i interest) bool { return i.root == r }); len(list) == 0 {
				delete(d.names, name)
			} else {
				d.names[name] = list
			}
		}
		if len(d.trees) == 0 && len(d.names) == 0 {
			f.notifier.Remove(d.path)
			delete(f.dirs, d.path)
			if f.byID[d.id] == d {
				delete(f.byID, d.id)
			}
		}
	}
}

// regrow reads everything again, after events were lost.
func (f *forest) regrow() {
	for _, r := range f.roots {
		r.reportAll()
		r.moved, r.stale = true, r.Follow
	}
	f.replace()
	for _, d := range f.dirs { // and what is watched for single names
		if len(d.trees) == 0 && f.dirs[d.path] == d && f.watch(d) {
			f.scan(d)
		}
	}
}
