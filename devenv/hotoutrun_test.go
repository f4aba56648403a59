package devenv

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/dockerfile"
	"github.com/devenv-run/devenv/devenv/hot"
)

// stale has the hot path take the context as it was before during was called.
func (w *hotWorld) stale(during func()) (change, taken, error) {
	w.t.Helper()
	c := change{service: w.config, now: w.look(), deployed: &w.s.base, started: func(string) {}, since: time.Now()}
	during()
	got, err := w.h.take(w.t.Context(), c)
	return c, got, err
}

func (w *hotWorld) mustOutrun(err error, file string) {
	w.t.Helper()
	path := filepath.Join(w.h.project.config.Dir, "context", file)
	if o := hot.Outrun(err); o == nil || !slices.Equal(o.Paths, []string{path}) {
		w.t.Fatalf("%v, want an OutrunError of %s", err, path)
	}
}

// A file that changes after it was looked at, and changes back, does not leave what was in the middle.
func TestWhatChangedSinceTheLookIsNotSynced(t *testing.T) {
	w := newHotWorld(t)
	w.write("src/a", "2")
	c, _, err := w.stale(func() { w.write("src/a", "middle") })
	w.mustOutrun(err, "src/a")
	w.holds("/app/src/a", "")
	w.write("src/a", "2")
	if got, err := w.h.take(t.Context(), c); err != nil || got.way != "sync" {
		t.Fatalf("%+v, %v", got, err)
	}
	w.holds("/app/src/a", "2")
}

func TestWhatChangedSinceTheLookGoesOntoNoImage(t *testing.T) {
	w := newHotWorld(t)
	w.write("lib/b", "2")
	c, _, err := w.stale(func() { w.write("lib/b", "middle") })
	w.mustOutrun(err, "lib/b")
	if image := w.h.podsOf("app")[0].Containers[0].Image; image != hotBase {
		t.Errorf("the pod runs %s", image)
	}
	w.write("lib/b", "2")
	if got, err := w.h.take(t.Context(), c); err != nil || got.way != "image" {
		t.Fatalf("%+v, %v", got, err)
	}
}

// A layer goes onto the image, and what is synced beside it has changed: the next one begins with the image that runs now.
func TestWhatChangedSinceTheLookIsNotSyncedBesideALayer(t *testing.T) {
	w := newHotWorld(t)
	w.config.Dev.Sync = []config.Sync{{From: "conf", To: "/etc/conf"}}
	w.write("conf/c", "2")
	w.write("lib/b", "2")
	c, _, err := w.stale(func() { w.write("conf/c", "middle") })
	w.mustOutrun(err, "conf/c")
	w.write("conf/c", "2")
	if _, err := w.h.take(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.holds("/etc/conf/c", "2")
}

func TestAPodThatComesWhileAFileIsChangedGetsWhatTheOthersHave(t *testing.T) {
	w := newHotWorld(t)
	w.write("src/a", "2")
	w.must(hot.Sync)
	w.write("src/a", "middle")
	outrun := make(chan struct{})
	tries := 0
	w.inside.Fail = func(hot.Container, []hot.File) error {
		if tries++; tries == 2 {
			close(outrun) // once it was read, and was not the one
		}
		return nil
	}
	w.keeper.pod("two", hotBase)
	<-outrun
	w.write("src/a", "2")
	w.holds("/app/src/a", "2")
}

func TestImagesWithALayerGoOnceTheServiceIsSettled(t *testing.T) {
	w := newHotWorld(t)
	known := func(ref string) bool {
		_, held := w.topper.Layers("n1", ref)
		return held
	}
	w.write("lib/b", "2")
	w.must(hot.Image)
	first := w.s.aim.image
	w.write("lib/b", "3")
	w.must(hot.Image)
	second := w.s.aim.image
	w.keeper.publish()
	if !known(first) || !known(second) {
		t.Error("they went while the service was hot")
	}
	resume := w.h.rest(t.Context(), []string{"app"})
	w.keeper.mu.Lock()
	w.keeper.pods[0].Phase = "Terminating" // of the rollout that settles it
	w.keeper.mu.Unlock()
	w.keeper.pod("two", hotBase)
	w.s.declared, w.s.aim, w.s.had = hotBase, aim{image: hotBase, contains: w.look().context, now: w.look().context}, map[string]hot.Held{} // see deployed
	resume()
	for range 3 {
		w.keeper.publish()
	}
	if !known(second) {
		t.Error("it went while a pod had it")
	}
	w.keeper.mu.Lock()
	w.keeper.pods = w.keeper.pods[1:]
	w.keeper.mu.Unlock()
	w.keeper.publish()
	w.until("both are gone", func() bool { return !known(first) && !known(second) })
	if !known(hotBase) {
		t.Error("what is declared went too")
	}
}

func TestAFullDiskIsNoReasonToBuild(t *testing.T) {
	w := newHotWorld(t)
	w.topper.Fail = func(string, string) error { return fmt.Errorf("x: %w", hot.ErrNoSpace) }
	w.write("lib/b", "2")
	if _, err := w.take(); !errors.Is(err, hot.ErrNoSpace) {
		t.Fatalf("%v", err)
	}
	w.topper.Fail = nil
	w.must(hot.Image)
}

func TestACompilationOfFilesThatChangeIsNotUsed(t *testing.T) {
	w := newHotWorld(t)
	run := `printf middle >context/main.go && printf out >context/out`
	w.config.Dev = &config.Dev{Compile: &config.Compile{Run: run, Outputs: []config.Output{{From: "context/out", To: "/app/out"}}}}
	w.h.project.config.Services[0] = w.config
	w.write("main.go", "1")
	w.write("out", "before")
	c := change{service: w.config, now: w.look()}
	var err error
	if c.now.ignore, err = dockerfile.ReadIgnore(c.now.build.Context, filepath.Join(c.now.build.Context, "Dockerfile")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.h.project.compile(t.Context(), w.config); err != nil {
		t.Fatal(err)
	}
	w.mustOutrun(w.h.compiled(t.Context(), c), "main.go")
	w.write("main.go", "1")
	if err := w.h.compiled(t.Context(), c); err != nil {
		t.Errorf("only what it makes is another: %v", err)
	}
}
