package watch

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestGitCheckout changes 2,000 files with git: one batch.
func TestGitCheckout(t *testing.T) {
	t.Parallel()
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not on this machine: ", err)
	}
	for name, linked := range map[string]bool{"": false, "linked working tree": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			run := func(args ...string) {
				t.Helper()
				cmd := exec.Command(git, append([]string{"-c", "core.fsync=none"}, args...)...)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("git %v: %v\n%s", args, err, out)
				}
			}
			write := func(text string) {
				for i := range 2000 {
					put(t, fmt.Sprintf("%s/services/d%02d/f%d", dir, i%40, i), text+fmt.Sprint(i))
				}
			}
			run("init", "-q", "-b", "one")
			write("one")
			run("add", ".")
			run("commit", "-qm", "one")
			run("checkout", "-qb", "two")
			write("two")
			must(t, os.RemoveAll(dir+"/services/d00"))
			put(t, dir+"/services/new/f", "")
			run("add", ".")
			run("commit", "-qm", "two")
			if linked {
				run("branch", "three", "one")
				tree := filepath.Join(t.TempDir(), "tree")
				run("worktree", "add", "-q", tree, "three")
				dir = tree
				run("checkout", "-q", "--detach", "two")
			}
			options := quick
			options.Quiet = 50 * time.Millisecond
			w := watchFor(t, options, Root{Name: "root", Path: dir + "/services"})
			m := w.model("root", dir+"/services", nil)
			run("checkout", "-q", "one")
			b := w.next()
			if len(b.Changes) != 1 || b.Changes[0].Rescan {
				t.Errorf("%d changes", len(b.Changes))
			}
			there, err := m.read()
			must(t, err)
			if len(m.known) != len(there) {
				t.Errorf("the batch told of %d of %d", len(m.known), len(there))
			}
			w.untilKnown(m)
			if len(w.told) != 1 {
				t.Errorf("%d batches", len(w.told))
			}
		})
	}
}

// TestGitThatCrashed has a lock that nobody holds.
func TestGitThatCrashed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir+"/.git/index.lock", "")
	old := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(dir+"/.git/index.lock", old, old))
	w := watchFor(t, quick, Root{Name: "root", Path: dir})
	began := time.Now()
	put(t, dir+"/f", "")
	w.until("root", "f")
	if took := time.Since(began); took > 5*time.Second {
		t.Error("held back for", took)
	}
}
