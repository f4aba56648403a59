package kind

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// errKilled is what every call meets after the moment at which a test kills devenv.
var errKilled = errors.New("killed")

// TestConverges plays a random life: runs of devenv that are killed at any call, machines that reboot, people who remove nodes. After every
// step the state must be one that the commands can go on from, and somebody else's containers must all be there.
func TestConverges(t *testing.T) {
	memory := "/dev/shm" // every state file is synced to its disk, which is most of what the test would do
	if _, err := os.Stat(memory); err != nil {
		memory = ""
	}
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(memory, "converges")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		w, ctx := newWorld(), context.Background()
		w.add("somebody-else", "somebody-else-control-plane", 0)
		cluster := resolve(t, w.clusters(dir, testSpec(1)))

		// run is one run of devenv. It is killed before its n-th call; 0: it is not.
		run := func(n int, do func(k *Clusters) error) error {
			left := n
			w.hook = func(string) error {
				w.mu.Lock()
				defer w.mu.Unlock()
				if left--; n > 0 && left <= 0 {
					return errKilled
				}
				return nil
			}
			k := w.clusters(dir, testSpec(1))
			k.wait.ready = 20 * time.Millisecond
			err := do(k)
			w.hook = nil
			if fault.Of(err) == fault.Refused {
				t.Fatalf("refused: %v", err)
			}
			return err
		}
		up := func(k *Clusters) error {
			s, err := k.Status(ctx)
			if err != nil {
				if isFault(err) && strings.Contains(err.Error(), "is broken") {
					return k.Delete(ctx) // as the message says; the next up creates it
				}
				return err
			}
			switch s.Status {
			case plan.Absent:
				return k.Create(ctx, cluster, silent)
			case plan.Stopped:
				return k.Start(ctx, cluster, silent)
			}
			return nil
		}
		kill := func(t *rapid.T) int { return rapid.IntRange(0, 25).Draw(t, "killed at call") }
		t.Repeat(map[string]func(*rapid.T){
			"up":     func(t *rapid.T) { _ = run(kill(t), up) },
			"delete": func(t *rapid.T) { _ = run(kill(t), func(k *Clusters) error { return k.Delete(ctx) }) },
			"reboot": func(*rapid.T) { w.each(func(n *node) { n.State = "exited" }) },
			"remove a node": func(t *rapid.T) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.containers = w.containers[:max(1, len(w.containers)-1)]
			},
			"": func(t *rapid.T) {
				if w.names()[0] != "somebody-else-control-plane" {
					t.Fatal("somebody else's container is gone")
				}
			},
		})
		for range 2 { // one to delete what is broken, one to create
			if err := run(0, up); err != nil {
				t.Fatal(err)
			}
		}
		s, err := w.clusters(dir, testSpec(1)).Status(ctx)
		if err != nil || s.Status != plan.Running || len(w.names()) != 3 {
			t.Fatalf("it ends as %+v, %v with %v", s, err, w.names())
		}
	})
}

func TestCreateStopsAtEveryCall(t *testing.T) {
	for n := 1; ; n++ {
		w, dir := newWorld(), t.TempDir()
		k := w.clusters(dir, testSpec(1))
		c := resolve(t, k)
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		w.hook = func(string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if calls++; calls == n {
				cancel()
			}
			return nil
		}
		err := k.Create(ctx, c, silent)
		cancel()
		if err == nil {
			if n < 10 {
				t.Fatalf("it took only %d calls", n)
			}
			return
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped at call %d: %v", n, err)
		}
		rest, _ := os.ReadDir(dir)
		if len(w.names()) > 0 || slices.ContainsFunc(rest, func(e os.DirEntry) bool { return e.Name() != filepath.Base(k.intentFile()) }) {
			t.Fatalf("stopped at call %d: %v and %v are left", n, rest, w.names())
		}
		w.hook = nil
		k.wait.strays = time.Hour // which is for a devenv that was killed
		if len(rest) > 0 {
			w.add(testName, "devenv-x-worker", 0) // which the engine was making all the while
		}
		if err := k.Create(t.Context(), c, silent); err != nil {
			t.Fatalf("after a stop at call %d: %v", n, err)
		}
	}
}
