package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestNothingIsMissed does things to a tree at random, sometimes waiting, and then whoever reads only what batches name knows
// everything that is there: for a root with everything, one inside it, and one with an ignore file that changes, too.
func TestNothingIsMissed(t *testing.T) {
	names := []string{"a", "b", "c"}
	top := t.TempDir()
	rounds := 0
	rapid.Check(t, func(r *rapid.T) {
		rounds++
		dir := filepath.Join(top, fmt.Sprint(rounds), "root")
		must(t, os.MkdirAll(dir, 0o755))
		defer os.RemoveAll(filepath.Dir(dir))
		path := func() string {
			p := dir
			for range rapid.IntRange(1, 4).Draw(r, "depth") {
				p = filepath.Join(p, rapid.SampledFrom(names).Draw(r, "name"))
			}
			return p
		}
		do := func() {
			switch op := rapid.IntRange(0, 12).Draw(r, "op"); op {
			case 0, 1, 2:
				p := path()
				_ = os.MkdirAll(filepath.Dir(p), 0o755)
				_ = os.WriteFile(p, []byte(rapid.StringN(0, 3, 3).Draw(r, "text")), 0o644)
			case 3, 4:
				_ = os.MkdirAll(path(), 0o755)
			case 5, 6, 7:
				_ = os.Rename(path(), path())
			case 8:
				_ = os.RemoveAll(path())
			case 9:
				p := path()
				_ = os.MkdirAll(filepath.Dir(p), 0o755)
				_ = os.Symlink(rapid.SampledFrom([]string{"a", "../b", ".", "nowhere"}).Draw(r, "target"), p)
			case 10:
				_ = os.Chmod(path(), os.FileMode(0o700+rapid.IntRange(0, 7).Draw(r, "mode")))
			case 11:
				away := filepath.Join(filepath.Dir(dir), "away")
				p := path()
				if os.Rename(p, away) != nil || rapid.Bool().Draw(r, "back") {
					_ = os.Rename(away, p)
				}
			case 12:
				if rapid.IntRange(0, 4).Draw(r, "root") == 0 {
					_ = os.RemoveAll(dir)
					must(t, os.MkdirAll(dir, 0o755))
					return
				}
				must(t, os.WriteFile(filepath.Join(dir, ".dockerignore"), []byte(rapid.SampledFrom([]string{"", "a\n", "**/b\n!a/b/c\n", "*\n!c\n"}).Draw(r, "ignore")), 0o644))
			}
		}
		for range rapid.IntRange(0, 8).Draw(r, "before") {
			do()
		}
		options := Options{Quiet: 2 * time.Millisecond, Cap: 20 * time.Millisecond, Check: 50 * time.Millisecond, Sweep: -1, Skip: func(string) bool { return false }}
		w := watchFor(t, options, Root{Name: "all", Path: dir}, Root{Name: "inner", Path: filepath.Join(dir, "a/b")}, contextRoot("ignoring", dir))
		defer w.Close()
		models := []*model{w.model("all", dir, nil), w.model("inner", filepath.Join(dir, "a/b"), nil), w.model("ignoring", dir, ignoring(dir))}
		for range rapid.IntRange(1, 40).Draw(r, "operations") {
			do()
			switch rapid.IntRange(0, 9).Draw(r, "pause") {
			case 0:
				for _, m := range models {
					if err := w.tryUntilKnown(m); err != nil {
						r.Fatal(err)
					}
				}
			case 1, 2:
				time.Sleep(time.Duration(rapid.IntRange(0, 3000).Draw(r, "microseconds")) * time.Microsecond)
			}
		}
		for _, m := range models {
			if err := w.tryUntilKnown(m); err != nil {
				r.Fatal(err)
			}
		}
	})
}
