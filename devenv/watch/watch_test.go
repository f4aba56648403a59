package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"
)

// TestChanges does something in a root that has a.txt, d/b.txt, d/e/c.txt and link → outside, beside a directory outside/ with x.txt and
// y/z.txt. Who reads only what is told has to know all that is there, at the end and whenever known is called. exact, if
// given, are all paths that may be told.
func TestChanges(t *testing.T) {
	type change struct {
		name  string
		act   func(t *testing.T, root string, known func())
		exact []string
	}
	rename := func(t *testing.T, root, from, to string) {
		must(t, os.Rename(filepath.Join(root, from), filepath.Join(root, to)))
	}
	for _, c := range []change{
		{name: "a file is written", act: func(t *testing.T, root string, _ func()) {
			put(t, root+"/d/b.txt", "new")
		}, exact: []string{"d/b.txt"}},
		{name: "a file is created", act: func(t *testing.T, root string, _ func()) {
			put(t, root+"/d/new.txt", "new")
		}, exact: []string{"d/new.txt"}},
		{name: "a file is deleted", act: func(t *testing.T, root string, _ func()) {
			must(t, os.Remove(root+"/d/b.txt"))
		}, exact: []string{"d/b.txt"}},
		{name: "a file is renamed", act: func(t *testing.T, root string, _ func()) {
			rename(t, root, "a.txt", "d/a.txt")
		}, exact: []string{"a.txt", "d/a.txt"}},
		{name: "only a mode changes", act: func(t *testing.T, root string, _ func()) {
			must(t, os.Chmod(root+"/a.txt", 0o755))
		}, exact: []string{"a.txt"}},
		{name: "the mode of a directory changes", act: func(t *testing.T, root string, _ func()) {
			must(t, os.Chmod(root+"/d/e", 0o700))
		}, exact: []string{"d/e"}},
		{name: "an editor writes a temporary file and renames it", act: func(t *testing.T, root string, _ func()) {
			put(t, root+"/d/b.txt~", "new")
			rename(t, root, "d/b.txt~", "d/b.txt")
		}, exact: []string{"d/b.txt"}},
		{name: "vim saves with a backup", act: func(t *testing.T, root string, _ func()) {
			put(t, root+"/d/.b.txt.swp", "swap")
			put(t, root+"/d/4913", "")
			must(t, os.Remove(root+"/d/4913"))
			rename(t, root, "d/b.txt", "d/b.txt~")
			put(t, root+"/d/b.txt", "new")
			must(t, os.Remove(root+"/d/b.txt~"))
			must(t, os.Remove(root+"/d/.b.txt.swp"))
		}, exact: []string{"d/b.txt"}},
		{name: "a JetBrains IDE writes safely", act: func(t *testing.T, root string, _ func()) {
			put(t, root+"/d/b.txt___jb_tmp___", "new")
			rename(t, root, "d/b.txt", "d/b.txt___jb_old___")
			rename(t, root, "d/b.txt___jb_tmp___", "d/b.txt")
			must(t, os.Remove(root+"/d/b.txt___jb_old___"))
		}, exact: []string{"d/b.txt"}},
		{name: "directories appear, and files in them at once", act: func(t *testing.T, root string, _ func()) {
			put(t, root+"/n/o/p/q.txt", "new")
		}},
		{name: "a file in a directory that appeared", act: func(t *testing.T, root string, known func()) {
			must(t, os.MkdirAll(root+"/n/o", 0o755))
			known()
			put(t, root+"/n/o/q.txt", "new")
		}, exact: []string{"n", "n/o", "n/o/q.txt"}},
		{name: "a directory vanishes", act: func(t *testing.T, root string, _ func()) {
			must(t, os.RemoveAll(root+"/d"))
		}},
		{name: "a directory vanishes and comes back", act: func(t *testing.T, root string, known func()) {
			must(t, os.RemoveAll(root+"/d"))
			put(t, root+"/d/e/c.txt", "new")
			known()
			put(t, root+"/d/e/later.txt", "new")
		}},
		{name: "a directory is moved, and written to in its new place", act: func(t *testing.T, root string, known func()) {
			rename(t, root, "d", "0moved")
			known()
			put(t, root+"/0moved/e/c.txt", "new")
		}, exact: []string{"d", "0moved", "0moved/e/c.txt"}},
		{name: "a directory is moved into one that was just made", act: func(t *testing.T, root string, known func()) {
			must(t, os.Mkdir(root+"/0new", 0o755))
			rename(t, root, "d", "0new/d")
			known()
			put(t, root+"/0new/d/e/c.txt", "new")
		}},
		{name: "a directory is moved there and back", act: func(t *testing.T, root string, known func()) {
			rename(t, root, "d", "moved")
			rename(t, root, "moved", "d")
			known()
			put(t, root+"/d/b.txt", "new")
			put(t, root+"/d/e/c.txt", "new")
		}},
		{name: "two directories change places", act: func(t *testing.T, root string, known func()) {
			put(t, root+"/f/e/x.txt", "")
			known()
			rename(t, root, "d", "t")
			rename(t, root, "f", "d")
			rename(t, root, "t", "f")
			known()
			put(t, root+"/d/e/x.txt", "new")
			put(t, root+"/f/e/c.txt", "new")
		}},
		{name: "a directory is moved out, changed, and moved in", act: func(t *testing.T, root string, known func()) {
			rename(t, root, "d", "../gone")
			known()
			put(t, root+"/../gone/e/new.txt", "new")
			rename(t, root, "../gone", "d")
			known()
			put(t, root+"/d/e/later.txt", "new")
		}},
		{name: "a file takes the place of a directory", act: func(t *testing.T, root string, _ func()) {
			must(t, os.RemoveAll(root+"/d"))
			put(t, root+"/d", "file")
		}},
		{name: "a directory takes the place of a file", act: func(t *testing.T, root string, known func()) {
			must(t, os.Remove(root+"/a.txt"))
			put(t, root+"/a.txt/in.txt", "new")
			known()
			put(t, root+"/a.txt/later.txt", "new")
		}},
		{name: "a link takes the place of a directory", act: func(t *testing.T, root string, known func()) {
			must(t, os.RemoveAll(root+"/d"))
			must(t, os.Symlink("../outside", root+"/d"))
			known()
			put(t, root+"/d/y/z.txt", "behind a link")
			put(t, root+"/a.txt", "new")
		}, exact: []string{"a.txt", "d", "d/b.txt", "d/e", "d/e/c.txt"}},
		{name: "a link leads elsewhere", act: func(t *testing.T, root string, _ func()) {
			must(t, os.Remove(root+"/link"))
			must(t, os.Symlink("d", root+"/link"))
		}, exact: []string{"link"}},
		{name: "what is behind a link is not the root's", act: func(t *testing.T, root string, _ func()) {
			put(t, root+"/link/x.txt", "new")
			put(t, root+"/link/y/z.txt", "new")
			put(t, root+"/a.txt", "new")
		}, exact: []string{"a.txt"}},
		{name: "links in a circle", act: func(t *testing.T, root string, known func()) {
			must(t, os.Symlink("..", root+"/d/up"))
			known()
			put(t, root+"/d/up/a.txt", "new")
		}, exact: []string{"a.txt", "d/up"}},
		{name: "the root vanishes and comes back", act: func(t *testing.T, root string, known func()) {
			must(t, os.RemoveAll(root))
			known()
			put(t, root+"/d/b.txt", "new")
			known()
			put(t, root+"/d/later.txt", "new")
		}},
		{name: "the root is replaced", act: func(t *testing.T, root string, known func()) {
			put(t, root+".new/d/b.txt", "new")
			must(t, os.Rename(root, root+".old"))
			must(t, os.Rename(root+".new", root))
			known()
			put(t, root+"/d/later.txt", "new")
		}},
		{name: "a directory above the root is replaced", act: func(t *testing.T, root string, known func()) {
			above := filepath.Dir(root)
			put(t, above+".new/root/d/b.txt", "new")
			must(t, os.Rename(above, above+".old"))
			must(t, os.Rename(above+".new", above))
			known()
			put(t, root+"/d/later.txt", "new")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root := filepath.Join(t.TempDir(), "project", "root")
			for _, file := range []string{"a.txt", "d/b.txt", "d/e/c.txt", "../outside/x.txt", "../outside/y/z.txt"} {
				put(t, filepath.Join(root, file), "old")
			}
			must(t, os.Symlink("../outside", root+"/link"))
			w := watchFor(t, quick, Root{Name: "root", Path: root})
			m := w.model("root", root, nil)
			c.act(t, root, func() { w.untilKnown(m) })
			w.untilKnown(m)
			for _, path := range w.paths("root") {
				if c.exact != nil && !slices.Contains(c.exact, path) {
					t.Errorf("%s was told; what changed is %v", path, c.exact)
				}
			}
		})
	}
}

func TestIgnoredDirectoriesAreNeverWatched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, f := range []string{"src/a.go", "node_modules/m/index.js", ".git/objects/00/x", "kept/deep/f", "dropped/deep/f"} {
		put(t, filepath.Join(dir, f), "")
	}
	put(t, dir+"/.dockerignore", "node_modules\nkept\n!kept/deep\ndropped\n")
	real := tamper(t)
	w := watchWith(t, quick, real.open, contextRoot("root", dir))
	want := []string{filepath.Dir(dir), dir, dir + "/kept", dir + "/kept/deep", dir + "/src"}
	if diff := cmp.Diff(want, real.watched()); diff != "" {
		t.Error(diff)
	}
	put(t, dir+"/node_modules/m/new.js", "")
	put(t, dir+"/.git/index", "")
	put(t, dir+"/kept/not.txt", "")
	put(t, dir+"/kept/deep/f", "new")
	w.never("root", "kept/deep/f", "node_modules/m/new.js", ".git/index", "kept/not.txt")
	must(t, os.RemoveAll(dir+"/node_modules"))
	put(t, dir+"/node_modules/again/index.js", "")
	put(t, dir+"/src/a.go", "new")
	w.never("root", "src/a.go", "node_modules/again/index.js")
	if diff := cmp.Diff(want, real.watched()); diff != "" {
		t.Error(diff)
	}
}

func TestIgnoreFileThatChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir+"/out/f", "")
	put(t, dir+"/src/f", "")
	w := watchFor(t, quick, contextRoot("root", dir))
	for i, step := range []struct{ ignore, told, never string }{
		{"out\n.dockerignore\n", "src", "out"}, // created
		{"src\n.dockerignore\n", "out", "src"}, // written, while it ignores itself
		{"[x\n", "out", "src"},                 // not valid: the rules stay
		{"out\n", "src", "out"},
	} {
		w.told = nil
		put(t, dir+"/.dockerignore~", step.ignore) // in one step: a file that is half written has rules of its own
		must(t, os.Rename(dir+"/.dockerignore~", dir+"/.dockerignore"))
		w.until("root", ".dockerignore")
		for len(w.told) > 0 && !w.told[len(w.told)-1].Rescan {
			w.next()
		}
		w.told = nil
		put(t, filepath.Join(dir, step.never, fmt.Sprint("new", i)), "")
		put(t, filepath.Join(dir, step.told, fmt.Sprint("new", i)), "")
		w.until("root", fmt.Sprint(step.told, "/new", i))
		for _, c := range w.told {
			if !c.Rescan && covers(c, "root", fmt.Sprint(step.never, "/new", i)) {
				t.Errorf("step %d: %v", i, c)
			}
		}
	}
}

// TestIgnoreFileThatGoesWithItsRoot puts a context without rules in the place of one with rules. No event tells of the rules, as it is when
// the directory is another one by the time they are looked at.
func TestIgnoreFileThatGoesWithItsRoot(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "root")
	put(t, dir+"/.dockerignore", "out\n")
	put(t, dir+"/out/f", "")
	put(t, dir+".new/out/f", "")
	real := tamper(t)
	real.drop = func(fsnotify.Event) bool { return true }
	w := watchWith(t, quick, real.open, contextRoot("root", dir))
	m := w.model("root", dir, ignoring(dir))
	must(t, os.Rename(dir, dir+".old"))
	must(t, os.Rename(dir+".new", dir))
	w.untilKnown(m)
	real.set(func() { real.drop = func(fsnotify.Event) bool { return false } })
	put(t, dir+"/out/f", "new")
	w.untilKnown(m)
}

func TestFollowedLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir+"/chart/Chart.yaml", "")
	put(t, dir+"/shared/templates/t.yaml", "")
	put(t, dir+"/shared/values.yaml", "")
	must(t, os.Symlink("../shared/templates", dir+"/chart/templates"))
	must(t, os.Symlink("../shared/values.yaml", dir+"/chart/values.yaml"))
	must(t, os.Symlink("../chart", dir+"/shared/templates/circle"))
	must(t, os.Symlink("..", dir+"/shared/templates/up"))
	must(t, os.Symlink("../nowhere", dir+"/chart/later"))
	w := watchFor(t, quick, Root{Name: "chart", Path: dir + "/chart", Follow: true})
	put(t, dir+"/shared/templates/t.yaml", "new")
	w.until("chart", "templates")
	put(t, dir+"/shared/values.yaml", "new")
	w.until("chart", "values.yaml")
	if diff := cmp.Diff([]string{"templates", "values.yaml"}, w.paths("chart")); diff != "" {
		t.Error(diff)
	}
	w.told = nil
	put(t, dir+"/nowhere/f", "")
	w.until("chart", "later")
	w.told = nil
	must(t, os.Remove(dir+"/chart/templates"))
	must(t, os.Symlink("../nowhere", dir+"/chart/templates"))
	w.until("chart", "templates")
	for !w.told[len(w.told)-1].Rescan {
		w.next()
	}
	w.told = nil
	put(t, dir+"/nowhere/f", "new")
	w.next()
	if w.told[0].Rescan || w.told[0].Paths[0] != "later" && w.told[0].Paths[0] != "templates" {
		t.Error(w.told)
	}
}

func TestRootsNeedNames(t *testing.T) {
	t.Parallel()
	for _, roots := range [][]Root{{{Path: "."}}, {{Name: "a", Path: "."}, {Name: "a", Path: ".."}}} {
		if w, err := Start(t.Context(), roots, quick); err == nil {
			w.Close()
			t.Error("no error for", roots)
		}
	}
}

func TestClutter(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		".git": true, "4913": true, "main.go~": true, ".main.go.swp": true, ".main.go.swo": true, ".#main.go": true, "#main.go#": true,
		"main.go___jb_tmp___": true, ".DS_Store": true,
		"main.go": false, ".gitignore": false, ".swp": false, "x.swp": false, ".env": false, "#": false, "##": false, "~": true, "4914": false,
		".a.swift": false, ".dockerignore": false,
	} {
		if Clutter(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
