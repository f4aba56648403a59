package devenv

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/docker"
	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
)

// fakeStages makes each output of "source" and what main.go has in its first word.
type fakeStages struct {
	err   error
	built []docker.Build
}

func (f *fakeStages) Files(_ context.Context, i image, b docker.Build, dir string, _ engine.Report) (map[string]docker.File, error) {
	f.built = append(f.built, b)
	if f.err != nil {
		return nil, f.err
	}
	source, err := os.ReadFile(filepath.Join(i.build.Context, "main.go"))
	if err != nil {
		return nil, err
	}
	content, _, _ := strings.Cut(string(source), " ")
	files := map[string]docker.File{}
	for n := range strings.Count(string(b.Dockerfile), "COPY --from=") / 2 { // once by the target, once by what was added
		name := fmt.Sprint(n)
		sum := sha256.Sum256([]byte(content))
		file := docker.File{Path: filepath.Join(dir, name), Mode: 0o755, UID: 3, GID: 4, Time: time.Now(), Digest: hex.EncodeToString(sum[:])}
		if err := os.WriteFile(file.Path, []byte("program "+content), 0o600); err != nil {
			return nil, err
		}
		files[name] = file
	}
	return files, nil
}

const (
	stagedDockerfile = "FROM golang:1.26 AS build\nCOPY main.go .\nRUN go build -o /out/x .\nFROM debian:12\nWORKDIR /app\nCOPY lib /app/lib\n"
	asFile           = stagedDockerfile + "COPY --from=build /out/x /app/x\n"
	intoDirectory    = stagedDockerfile + "COPY --from=build /out/x .\n"
)

func newStagedWorld(t *testing.T, dockerfile string) *hotWorld {
	t.Helper()
	w := newHotWorldOf(t, dockerfile)
	w.write("main.go", "one")
	w.rebase()
	return w
}

// rebase makes the tree as it is what the image that runs is from.
func (w *hotWorld) rebase() {
	ref := w.s.base.ref
	w.s.base = w.look()
	w.s.base.ref = ref
	w.s.aim.contains, w.s.aim.now = w.s.base.context, w.s.base.context
}

// top is the highest layer of the image that is to run.
func (w *hotWorld) top() string {
	w.t.Helper()
	layers, held := w.topper.Layers("n1", w.s.aim.image)
	if !held {
		w.t.Fatalf("the node has no %s", w.s.aim.image)
	}
	return layers[len(layers)-1]
}

func TestWhatStagesMakeGoesOntoTheImage(t *testing.T) {
	w := newStagedWorld(t, asFile)
	w.write("main.go", "two")
	w.write("lib/b", "2")
	got, err := w.take()
	if err != nil || got.way != string(hot.Image) || !strings.HasPrefix(got.detail, "built /app/x, sent ") {
		t.Fatalf("%+v, %v", got, err)
	}
	if top := w.top(); !strings.Contains(top, "app/x\x00") || !strings.Contains(top, "program two") || !strings.Contains(top, "app/lib/b") {
		t.Errorf("the layer is %q", top)
	}
	b := w.stages.built[0]
	if added := strings.TrimPrefix(string(b.Dockerfile), asFile); b.Target != "devenv-outputs" || b.Added != 8 || !strings.Contains(added, `COPY --from=0 ["/out/x","/0"]`) {
		t.Errorf("built %q from line %d of\n%s", b.Target, b.Added, b.Dockerfile)
	}
	if left, err := os.ReadDir(w.h.project.state.path(layersDir)); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	// The same program again, and the same beside another file: what COPY made of it stays.
	before := w.s.aim.image
	w.write("main.go", "two // words")
	w.must(hot.None)
	if w.s.aim.image != before {
		t.Errorf("%s instead of %s", w.s.aim.image, before)
	}
	w.write("main.go", "three")
	w.must(hot.Image)
	if top := w.top(); !strings.Contains(top, "program three") || !strings.Contains(top, "app/lib/b") {
		t.Errorf("the layer is %q", top)
	}
}

func TestABuildOfStagesThatFails(t *testing.T) {
	w := newStagedWorld(t, asFile)
	w.write("main.go", "two")
	w.stages.err = &fault.Error{Kind: fault.Build, What: "it does not compile"}
	if got, err := w.take(); fault.Of(err) != fault.Build || got.way != "" {
		t.Errorf("%+v, %v", got, err)
	}
	w.stages.err = &hot.OutrunError{Paths: []string{"main.go"}}
	if _, err := w.take(); hot.Outrun(err) == nil {
		t.Errorf("%v", err)
	}
	if w.s.aim.image != hotBase {
		t.Errorf("the aim is %s", w.s.aim.image)
	}
}

// outputsOf asks for outputs without what comes after it.
func (w *hotWorld) outputsOf(path string) ([]hot.File, error) {
	c := change{service: w.config, now: w.look(), deployed: &w.s.base, started: func(string) {}, since: time.Now()}
	files, remove, err := w.h.outputs(w.t.Context(), w.s, c, []string{path})
	if err == nil {
		remove()
	}
	return files, err
}

func TestWhatOnlyABuildOfTheImageIsRightFor(t *testing.T) {
	w := newStagedWorld(t, asFile)
	w.write("main.go", "two")
	w.stages.err = fmt.Errorf("%w: an engine without the exporter", docker.ErrAdded)
	if _, err := w.outputsOf("main.go"); !errors.As(err, new(*fallback)) {
		t.Errorf("%v", err)
	}
	w.inside.Write(t.Context(), w.keeper.running()[0], []hot.File{{To: "/app/x", Kind: 'l', Link: "/bin/x"}})
	w.stages.err = nil
	if _, err := w.outputsOf("main.go"); !errors.As(err, new(*fallback)) || !strings.Contains(err.Error(), "is a link") {
		t.Errorf("%v", err)
	}
}

// What an output in a directory of others was before is known only of an image whose outputs were built.
func TestOutputsThatGoIntoADirectory(t *testing.T) {
	w := newStagedWorld(t, intoDirectory)
	w.write("main.go", "two")
	_, err := w.outputsOf("main.go")
	if !errors.As(err, new(*fallback)) || len(w.stages.built) > 0 {
		t.Fatalf("%v", err)
	}
	// So the image is built, as rebuild does, and what it has is learned.
	w.rebase()
	now := w.look()
	w.s.base.ref = now.ref
	w.h.learnOutputs(t.Context(), w.s, now)
	w.write("main.go", "three")
	if files, err := w.outputsOf("main.go"); err != nil || len(files) != 1 || files[0].To != "/app/x" {
		t.Errorf("%v, %v", files, err)
	}
	w.write("main.go", "four")
	if files, err := w.outputsOf("main.go"); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
	w.write("main.go", "two // as the image has it")
	if files, err := w.outputsOf("main.go"); err != nil || len(files) != 0 {
		t.Errorf("%v, %v", files, err)
	}
	// Settled: the newest is what the image has.
	w.write("main.go", "five")
	if _, err := w.outputsOf("main.go"); err != nil {
		t.Fatal(err)
	}
	w.s.base = w.look()
	w.write("main.go", "six")
	if files, err := w.outputsOf("main.go"); err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}
