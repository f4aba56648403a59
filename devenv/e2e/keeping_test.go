package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestWhatTheClusterDecides: a chart that draws a password only if there is none, and a workload that an autoscaler scales. What was
// decided in the cluster stays, and nothing is done about it.
func TestWhatTheClusterDecides(t *testing.T) {
	parallel(t, 65*time.Second)
	w := newWorld(t, "e2e-keep", "")
	if err := os.Remove(filepath.Join(w.dir, "devenv.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(w.dir, os.DirFS("testdata/keeping")); err != nil {
		t.Fatal(err)
	}
	get := func(object, field string) string {
		return w.kubectl(t, "-n", "app", "get", object, "-o", "jsonpath={"+field+"}")
	}
	idle := func(t *testing.T) {
		t.Helper()
		if n := w.devenv(t, "up").must(t, 0).steps(t); n != 0 {
			t.Errorf("with nothing to do, up takes %d steps", n)
		}
	}

	w.devenv(t, "up").must(t, 0)
	password := get("secret/db", ".data.password")
	t.Run("the autoscaler raises the declared number, and up leaves it", func(t *testing.T) {
		eventually(t, "the autoscaler acts", func() error {
			// Ready too, or up has to wait for the third pod.
			if n := get("deployment/web", ".spec.replicas}/{.status.readyReplicas"); n != "3/3" {
				return fmt.Errorf("%s replicas are ready", n)
			}
			return nil
		})
		idle(t)
	})
	t.Run("another change of the workload leaves it too", func(t *testing.T) {
		w.edit(t, "keeping/values.yaml", "first", "second")
		w.devenv(t, "up").must(t, 0)
		if turn := get("deployment/web", ".spec.template.metadata.labels.turn"); turn != "second" {
			t.Errorf("the change did not arrive: %q", turn)
		}
		if n := get("deployment/web", ".spec.replicas"); n != "3" {
			t.Errorf("%s replicas after another change, want 3", n)
		}
		idle(t)
	})
	t.Run("the password is still the one that was drawn", func(t *testing.T) {
		if now := get("secret/db", ".data.password"); password == "" || now != password {
			t.Error("the password was drawn again")
		}
	})
}
