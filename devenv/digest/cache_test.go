package digest_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/devenv-run/devenv/devenv/digest"
)

// TestCacheNeverLies changes a file as fast as it can, without a change of size and with the old time put back, and compares
// with a walk that hashes everything.
func TestCacheNeverLies(t *testing.T) {
	root, cache := t.TempDir(), digest.OpenCache(filepath.Join(t.TempDir(), "cache"))
	file := filepath.Join(root, "f")
	for i := range 300 {
		write(t, file, fmt.Sprintf("%04d", i), 0o644)
		must(t, os.Chtimes(file, time.Unix(1000, 0), time.Unix(1000, 0)))
		if diff := cmp.Diff(walk(t, root, nil, nil), walk(t, root, nil, cache)); diff != "" {
			t.Fatalf("after change %d: %s", i, diff)
		}
	}
}

// old makes a tree whose files are old enough to be remembered.
func old(t *testing.T, n int) string {
	t.Helper()
	root := t.TempDir()
	for i := range n {
		write(t, filepath.Join(root, fmt.Sprintf("d%d/f%d", i%3, i)), fmt.Sprint(i), 0o644)
	}
	waitUntilRemembered(t, root)
	return root
}

// waitUntilRemembered returns when a cache remembers all of root, as its saved size shows.
func waitUntilRemembered(t *testing.T, root string) {
	t.Helper()
	for size := int64(-1); ; {
		file := filepath.Join(t.TempDir(), "cache")
		cache := digest.OpenCache(file)
		m := walk(t, root, nil, cache)
		must(t, cache.Save())
		files := int64(0)
		for _, e := range m {
			if e.Kind == digest.File {
				files++
			}
		}
		if info, err := os.Stat(file); err == nil {
			size = info.Size()
		}
		if size >= files*73 { // a record takes that, and its path something more
			return
		}
	}
}

func TestCacheOutlivesTheProcess(t *testing.T) {
	root, file := old(t, 20), filepath.Join(t.TempDir(), "state/cache")
	cache := digest.OpenCache(file)
	want := walk(t, root, nil, cache)
	must(t, cache.Save())
	saved, err := os.ReadFile(file)
	must(t, err)

	cache = digest.OpenCache(file)
	if diff := cmp.Diff(want, walk(t, root, nil, cache)); diff != "" {
		t.Error(diff)
	}
	must(t, cache.Save())
	if again, err := os.ReadFile(file); err != nil || !bytes.Equal(again, saved) {
		t.Error("a walk that learned nothing wrote the cache", err)
	}
	if left, err := filepath.Glob(file + ".*"); err != nil || len(left) > 0 {
		t.Error("temporary files are left:", left, err)
	}
	info, err := os.Stat(file)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("others can read the cache: %v", info.Mode())
	}
}

func TestDamagedCacheIsEmpty(t *testing.T) {
	root, file := old(t, 5), filepath.Join(t.TempDir(), "cache")
	cache := digest.OpenCache(file)
	want := walk(t, root, nil, cache)
	must(t, cache.Save())
	good, err := os.ReadFile(file)
	must(t, err)
	for name, bad := range map[string][]byte{
		"empty": {}, "cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 'x'), "text": []byte("hello"),
		"flipped": append(bytes.Clone(good[:60]), append([]byte{good[60] ^ 1}, good[61:]...)...),
	} {
		must(t, os.WriteFile(file, bad, 0o600))
		cache := digest.OpenCache(file)
		if diff := cmp.Diff(want, walk(t, root, nil, cache)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		must(t, cache.Save())
		if again, err := os.ReadFile(file); err != nil || len(again) != len(good) {
			t.Errorf("%s: the cache was not written anew", name)
		}
	}
}

func TestCacheServesWalksAtTheSameTime(t *testing.T) {
	root, cache := old(t, 200), digest.OpenCache(filepath.Join(t.TempDir(), "cache"))
	want := walk(t, root, nil, nil)
	var g errgroup.Group
	for range 8 {
		g.Go(func() error {
			m, err := digest.Walk(t.Context(), root, nil, cache)
			if diff := cmp.Diff(want, m); diff != "" && err == nil {
				err = fmt.Errorf("%s", diff)
			}
			return err
		})
		g.Go(cache.Save)
	}
	must(t, g.Wait())
}

func TestCacheThatCannotBeSaved(t *testing.T) {
	root := old(t, 1)
	notDir := filepath.Join(t.TempDir(), "file")
	write(t, notDir, "", 0o600)
	cache := digest.OpenCache(filepath.Join(notDir, "cache"))
	walk(t, root, nil, cache)
	if err := cache.Save(); err == nil {
		t.Error("no error")
	}
}
