package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestStopAnywhere interrupts and kills up in the middle of everything that it does; the next up goes on from there.
func TestStopAnywhere(t *testing.T) {
	parallel(t, 130*time.Second)
	w := newWorld(t, "e2e-stop", "")

	// stopAfter begins an up, sends it a signal when enough time has passed, and returns how it ended.
	stopAfter := func(t *testing.T, signal os.Signal, wait time.Duration) run {
		t.Helper()
		cmd, stdout, stderr := w.start(context.Background(), "up")
		began := time.Now()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(wait, func() {
			if signal == os.Kill {
				// Only devenv itself: its children may go on, as they do when it is killed by its process id.
				_ = cmd.Process.Kill()
			} else {
				// The whole group, as a terminal does at Ctrl-C.
				_ = syscall.Kill(-cmd.Process.Pid, signal.(syscall.Signal))
			}
		})
		defer timer.Stop()
		err := cmd.Wait()
		if signal == os.Kill {
			t.Logf("killed after %v", wait)
			return run{}
		}
		return finished(t, []string{"up"}, err, time.Since(began), stdout, stderr)
	}

	t.Run("Ctrl-C while the cluster is being created undoes it", func(t *testing.T) {
		stopAfter(t, syscall.SIGINT, 6*time.Second).must(t, 130)
		if left := containers(t, w.cluster()); len(left) != 0 {
			t.Errorf("a half-made cluster is left: %v", left)
		}
	})
	t.Run("kill -9 while the cluster is being created", func(t *testing.T) {
		stopAfter(t, os.Kill, 8*time.Second)
	})
	t.Run("the next up begins anew, and a build that fails stops nothing that does not need it", func(t *testing.T) {
		broken := filepath.Join(w.dir, "services/grades/cmd/grades/broken.go")
		if err := os.WriteFile(broken, []byte("package main\n\nvar x int = \"text\"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		r := w.devenv(t, "up").must(t, 4)
		if err := os.Remove(broken); err != nil {
			t.Fatal(err)
		}
		if ready := r.subjects("object.ready"); !slices.Contains(ready, "StatefulSet/academy/postgres") {
			t.Errorf("the database was not deployed; ready: %v", ready)
		}
		if skipped := r.subjects("step.skipped"); !slices.Contains(skipped, "Deployment/academy/grades") {
			t.Errorf("nobody says that grades is left out; skipped: %v", skipped)
		}
	})
	t.Run("the next up converges", func(t *testing.T) {
		w.devenv(t, "up").must(t, 0)
		w.smoke(t)
	})
	// Every edit is one that no earlier run has built.
	version := "1.4.2"
	edit := func(t *testing.T) {
		t.Helper()
		next := unique("stop")
		w.edit(t, "services/recommender/academy_recommender/__init__.py", `"`+version+`"`, `"`+next+`"`)
		version = next
	}
	t.Run("kill -9 at any moment of a rollout", func(t *testing.T) {
		for _, wait := range []time.Duration{200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second} {
			edit(t)
			stopAfter(t, os.Kill, wait)
		}
		w.devenv(t, "up").must(t, 0)
		if n := w.devenv(t, "up").must(t, 0).steps(t); n != 0 {
			t.Errorf("not converged: %d steps", n)
		}
		w.smoke(t)
	})
	t.Run("Ctrl-C in the middle of a rollout stops cleanly and says so", func(t *testing.T) {
		edit(t)
		r := stopAfter(t, syscall.SIGINT, 800*time.Millisecond)
		if r.must(t, 130); !strings.Contains(r.summary(), "stopping: what runs is being finished or undone") {
			t.Errorf("nobody says that it stops:\n%s", r.summary())
		}
		w.devenv(t, "up").must(t, 0)
	})
	t.Run("two at once: the second is told who holds the environment", func(t *testing.T) {
		edit(t)
		cmd, _, _ := w.start(context.Background(), "up")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pid := fmt.Sprintf("pid %d", cmd.Process.Pid)
		eventually(t, "the first up holds the lock", func() error {
			if holder, err := os.ReadFile(w.state("lock")); err != nil || strings.TrimSpace(string(holder)) != pid {
				return fmt.Errorf("%s holds it (%v)", holder, err)
			}
			return nil
		})
		if r := w.devenv(t, "up").must(t, 8); !strings.Contains(r.failure(), pid) {
			t.Errorf("the error does not name the process:\n%s", r.failure())
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the first up: %v", err)
		}
	})
}
