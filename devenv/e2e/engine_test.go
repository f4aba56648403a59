package e2e

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEngineRestarts restarts the Docker Engine under a dev, which ends every container of this machine: it runs alone, before the scenarios that run beside
// each other, and only where the machine is there for that.
func TestEngineRestarts(t *testing.T) {
	checkout(t)
	restart := strings.Fields(os.Getenv("DEVENV_E2E_RESTART_ENGINE"))
	if len(restart) == 0 {
		t.Skip("DEVENV_E2E_RESTART_ENGINE names no command that restarts this machine's Docker Engine; all its containers would stop")
	}
	p := newHotPlace(t, "e2e-engine")
	p.onlyFiles(t)
	w := p.dev(t, "--settle-after", "1h")
	same := func(what string) {
		t.Helper()
		want := p.built(t)
		eventually(t, what, func() error {
			if got := p.inContainer(t); !cmp.Equal(want, got) {
				return errors.New("(-build +container)\n" + cmp.Diff(want, got))
			}
			return nil
		})
	}
	from := w.now()
	p.write(t, "files/synced/a.txt", unique("before"))
	w.wait(from, "dev.shortcut.done", func(e devEvent) bool { return e.OK && e.Way == "sync" })

	from = w.now()
	stopped := make(chan error, 1)
	go func() {
		out, err := exec.Command(restart[0], restart[1:]...).CombinedOutput()
		t.Logf("%s", out)
		stopped <- err
	}()
	eventually(t, "the engine does not answer", func() error {
		if exec.Command("docker", "version").Run() == nil {
			return errors.New("it does")
		}
		return nil
	})
	p.write(t, "files/synced/a.txt", unique("meanwhile"))
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	w.wait(from, "dev.away", nil)
	w.wait(from, "dev.back", nil)
	same("what was saved meanwhile is in the container")
	if n := w.count(from, "dev.away"); n > 2 { // the engine, and then the cluster
		t.Errorf("said %d times\n%s", n, w.since(from))
	}
	from = w.now()
	p.write(t, "files/synced/a.txt", unique("after"))
	w.wait(from, "dev.shortcut.done", func(e devEvent) bool { return e.OK && e.Way == "sync" })
	w.stop()
	p.devenv(t, "up").must(t, 0)
	p.requireSettled(t)
	same("settled")
}
