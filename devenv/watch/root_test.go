package watch

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRootThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := watchFor(t, quick, Root{Name: "root", Path: dir + "/a/b/c"}, Root{Name: "file", Path: dir + "/x/y/f.yaml"})
	put(t, dir+"/a/other", "")
	put(t, dir+"/a/b/c/f.txt", "")
	w.until("root", "f.txt")
	put(t, dir+"/a/b/c/d/later.txt", "")
	w.until("root", "d/later.txt")
	put(t, dir+"/x/y/f.yaml", "")
	w.until("file", ".")
}

func TestRootThatIsALink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir+"/one/f.txt", "1")
	put(t, dir+"/two/f.txt", "2")
	must(t, os.Symlink("one", dir+"/current"))
	w := watchFor(t, quick, Root{Name: "root", Path: dir + "/current"})
	put(t, dir+"/one/f.txt", "changed")
	w.until("root", "f.txt")
	if diff := cmp.Diff([]string{"f.txt"}, w.paths("root")); diff != "" {
		t.Error(diff)
	}
	must(t, os.Symlink("two", dir+"/next"))
	must(t, os.Rename(dir+"/next", dir+"/current"))
	w.until("root", ".")
	w.told = nil
	put(t, dir+"/two/f.txt", "changed")
	w.until("root", "f.txt")
}

func TestRootThatIsAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := dir + "/devenv.yaml"
	put(t, file, "1")
	put(t, dir+"/other/config.yaml", "1")
	must(t, os.Symlink("other/config.yaml", dir+"/linked.yaml"))
	w := watchFor(t, quick, Root{Name: "file", Path: file}, Root{Name: "linked", Path: dir + "/linked.yaml"}, Root{Name: "other", Path: dir + "/other"})
	for i, change := range []func(){
		func() { put(t, file, "written") },
		func() { put(t, dir+"/tmp", "replaced"); must(t, os.Rename(dir+"/tmp", file)) },
		func() { put(t, file, "written after it was replaced") },
		func() { must(t, os.Remove(file)) },
		func() { put(t, file, "back") },
		func() { must(t, os.Chmod(file, 0o600)) },
	} {
		t.Log("change", i)
		w.told = nil
		change()
		w.until("file", ".")
	}
	w.told = nil
	put(t, dir+"/neighbour.yaml", "")
	put(t, dir+"/other/config.yaml", "2")
	w.until("linked", ".")
	w.until("other", "config.yaml")
	if told := w.paths("file"); len(told) > 0 {
		t.Error("a neighbour of the file was told as the file:", told)
	}
}

func TestOverlappingRoots(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir+"/services/a/f.txt", "")
	put(t, dir+"/services/b/f.txt", "")
	put(t, dir+"/.dockerignore", "services/b\n")
	w := watchFor(t, quick, contextRoot("all", dir), contextRoot("a", dir+"/services/a"), contextRoot("b", dir+"/services/b"),
		Root{Name: "again", Path: dir + "/services/a"}, Root{Name: "file", Path: dir + "/services/a/f.txt"})
	put(t, dir+"/services/b/f.txt", "new")
	put(t, dir+"/services/a/f.txt", "new")
	w.until("b", "f.txt")
	w.until("all", "services/a/f.txt")
	w.until("a", "f.txt")
	w.until("again", "f.txt")
	w.until("file", ".")
	if diff := cmp.Diff([]string{"services/a/f.txt"}, w.paths("all")); diff != "" {
		t.Error(diff)
	}
}
