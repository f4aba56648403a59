package digest_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/fault"
)

// write makes a file with a mode, whatever the umask.
func write(t testing.TB, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lines is a manifest as text: kind, mode, path, and content by the name that known gives its hash.
func lines(m digest.Manifest, known ...string) []string {
	contents := map[[sha256.Size]byte]string{sha256.Sum256(nil): "empty"}
	for _, k := range known {
		contents[sha256.Sum256([]byte(k))] = k
	}
	var text []string
	for _, e := range m {
		line := fmt.Sprintf("%c %04o %s", e.Kind, e.Mode, e.Path)
		switch e.Kind {
		case digest.File:
			line += fmt.Sprintf(" %d %s", e.Size, contents[e.Hash])
		case digest.Link:
			line += " -> " + e.Link
		}
		text = append(text, line)
	}
	return text
}

func walk(t testing.TB, root string, ignore digest.Ignore, cache *digest.Cache) digest.Manifest {
	t.Helper()
	m, err := digest.Walk(t.Context(), root, ignore, cache)
	must(t, err)
	return m
}

func TestWalkRecordsWhatBuildKitTransfers(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "run.sh"), "run", 0o755)
	write(t, filepath.Join(root, "a/b.txt"), "b", 0o644)
	write(t, filepath.Join(root, "a-b"), "dash", 0o640)
	write(t, filepath.Join(root, "su"), "su", 0o755|fs.ModeSetuid)
	must(t, os.MkdirAll(filepath.Join(root, "empty"), 0o755))
	must(t, os.Chmod(filepath.Join(root, "empty"), 0o1777|fs.ModeSticky))
	must(t, os.Symlink("a/b.txt", filepath.Join(root, "link")))
	must(t, os.Symlink("a", filepath.Join(root, "dirlink")))
	must(t, os.Symlink("nowhere", filepath.Join(root, "dangling")))
	must(t, os.Link(filepath.Join(root, "run.sh"), filepath.Join(root, "hard")))
	must(t, syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600))
	listener, err := net.Listen("unix", filepath.Join(root, "sock"))
	must(t, err)
	defer listener.Close()
	must(t, os.Chmod(filepath.Join(root, "sock"), 0o755))

	got := lines(walk(t, root, nil, nil), "run", "b", "dash", "su")
	want := []string{
		"d 0755 a",
		"f 0640 a-b 4 dash",
		"f 0644 a/b.txt 1 b",
		"l 0000 dangling -> nowhere",
		"l 0000 dirlink -> a",
		"d 1777 empty",
		"f 0755 hard 3 run",
		"l 0000 link -> a/b.txt",
		"p 0600 pipe",
		"f 0755 run.sh 3 run",
		"f 0755 sock 0 empty",
		"f 4755 su 2 su",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWalkFollowsTheRootOnly(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "real/f"), "f", 0o644)
	must(t, os.Symlink("real", filepath.Join(root, "link")))
	if diff := cmp.Diff(walk(t, filepath.Join(root, "real"), nil, nil), walk(t, filepath.Join(root, "link"), nil, nil)); diff != "" {
		t.Error(diff)
	}
}

// ignoreFunc is an Ignore by a function of the path alone that prunes nothing.
type ignoreFunc func(path string, dir bool) bool

func (f ignoreFunc) Match(path string, dir bool) (bool, digest.Ignore) { return f(path, dir), f }

// prune ignores a directory with all that is in it.
type prune string

func (p prune) Match(path string, dir bool) (bool, digest.Ignore) {
	if path == string(p) {
		return true, nil
	}
	return false, p
}

func TestWalkLeavesOutWhatIsIgnored(t *testing.T) {
	root := t.TempDir()
	for _, f := range []string{"keep", "drop", "dir/deep/er/keep", "dir/deep/drop", "dir/drop", "other/drop"} {
		write(t, filepath.Join(root, f), "x", 0o644)
	}
	got := lines(walk(t, root, ignoreFunc(func(path string, dir bool) bool { return filepath.Base(path) != "keep" }), nil), "x")
	want := []string{ // directories of what is kept are kept, those without are not
		"d 0755 dir",
		"d 0755 dir/deep",
		"d 0755 dir/deep/er",
		"f 0644 dir/deep/er/keep 1 x",
		"f 0644 keep 1 x",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = lines(walk(t, root, prune("dir"), nil), "x")
	want = []string{"f 0644 drop 1 x", "f 0644 keep 1 x", "d 0755 other", "f 0644 other/drop 1 x"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWalkSurvivesFilesThatVanish(t *testing.T) {
	root := t.TempDir()
	for _, f := range []string{"a", "b", "dir/c", "dir/d"} {
		write(t, filepath.Join(root, f), f, 0o644)
	}
	// Match is called after a directory was listed and before its entry is looked at.
	vanish := ignoreFunc(func(path string, dir bool) bool {
		if path == "a" || path == "dir" {
			must(t, os.RemoveAll(filepath.Join(root, path)))
		}
		return false
	})
	if diff := cmp.Diff([]string{"f 0644 b 1 b"}, lines(walk(t, root, vanish, nil), "b")); diff != "" {
		t.Error(diff)
	}
}

func TestWalkSaysWhatItCannotRead(t *testing.T) {
	for name, root := range map[string]string{"missing": filepath.Join(t.TempDir(), "x"), "file": os.Args[0]} {
		_, err := digest.Walk(t.Context(), root, nil, nil)
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Config || f.Where == "" || f.Next == "" {
			t.Errorf("%s: %#v", name, err)
		}
	}
	root := t.TempDir()
	write(t, filepath.Join(root, "secret"), "x", 0)
	write(t, filepath.Join(root, "private/x"), "x", 0o644)
	must(t, os.Chmod(filepath.Join(root, "private"), 0))
	t.Cleanup(func() { os.Chmod(filepath.Join(root, "private"), 0o755) })
	if _, err := os.ReadFile(filepath.Join(root, "secret")); err == nil {
		t.Skip("this user can read everything")
	}
	for _, path := range []string{"secret", "private"} {
		only := ignoreFunc(func(p string, dir bool) bool { return !strings.HasPrefix(p, path) })
		_, err := digest.Walk(t.Context(), root, only, nil)
		var f *fault.Error
		if !errors.As(err, &f) || !strings.Contains(f.Where, path) || !strings.Contains(f.Next, ".dockerignore") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if m := walk(t, root, ignoreFunc(func(string, bool) bool { return true }), nil); len(m) != 0 {
		t.Errorf("ignored files need not be readable, got %v", m)
	}
}

func TestWalkStops(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "a"), "a", 0o644)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := digest.Walk(ctx, root, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	stop := ignoreFunc(func(string, bool) bool { cancel(); return false })
	if _, err := digest.Walk(ctx, root, stop, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
