package devenvtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// Recipe is what a build of a test does.
type Recipe struct {
	Content string // what is in the image; the same content gives the same image
	Output  string // what the build prints
	Fails   bool   // whether it fails after that
	Waits   bool   // whether it prints "waiting" and then runs until it is stopped
}

// Workshop is a builder that can be told what to build.
type Workshop interface {
	engine.Builder
	// Set says what a build of the image does from now on.
	Set(t *testing.T, i plan.Image, r Recipe)
	// Holds is the ID of the image that the reference stands for, or "" where there is none.
	Holds(t *testing.T, ref string) string
}

// patience is how long a suite waits for something that a working implementation does much sooner.
const patience = 2 * time.Minute

// BuilderSuite is the contract of engine.Builder. open makes a workshop for one test; references are unique to it.
func BuilderSuite(t *testing.T, open func(t *testing.T) Workshop) {
	tests := map[string]func(t *testing.T, w Workshop){
		"a build brings the image under its reference":                   builderBuilds,
		"building the same again gives the same image":                   builderRepeats,
		"a failed build says what the build printed and changes nothing": builderFails,
		"a build stops when its context ends":                            builderStops,
		"builds run side by side, and one that fails disturbs no other":  builderRunsMany,
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) { tests[name](t, open(t)) })
	}
}

// testImage is an image of a service, under a reference that devenv would give it.
func testImage(service string) plan.Image {
	return plan.Image{Service: service, Ref: "devenv.test/suite/" + service + ":devenv-0123456789ab"}
}

// run builds an image and returns the progress beside the error. Progress after the build has returned fails the test.
func run(ctx context.Context, t *testing.T, w Workshop, i plan.Image) (lines []string, err error) {
	t.Helper()
	var mu sync.Mutex
	returned := false
	err = w.Build(ctx, i, func(text string) {
		mu.Lock()
		defer mu.Unlock()
		if returned {
			t.Errorf("progress after the build has returned: %q", text)
		}
		lines = append(lines, text)
	})
	mu.Lock()
	defer mu.Unlock()
	returned = true
	return lines, err
}

func builderBuilds(t *testing.T, w Workshop) {
	i := testImage("grades")
	w.Set(t, i, Recipe{Content: "one", Output: "compiling grades"})
	if id := w.Holds(t, i.Ref); id != "" {
		t.Fatalf("the image is there before it is built: %s", id)
	}
	lines, err := run(t.Context(), t, w, i)
	if err != nil {
		t.Fatal(err)
	}
	if w.Holds(t, i.Ref) == "" {
		t.Error("the image is not there after it was built")
	}
	if !strings.Contains(strings.Join(lines, "\n"), "compiling grades") {
		t.Errorf("the build's output is not in the progress: %q", lines)
	}
}

func builderRepeats(t *testing.T, w Workshop) {
	i := testImage("grades")
	var ids []string
	for range 2 {
		w.Set(t, i, Recipe{Content: "one"})
		if _, err := run(t.Context(), t, w, i); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, w.Holds(t, i.Ref))
	}
	if ids[0] != ids[1] {
		t.Errorf("%s became %s", ids[0], ids[1])
	}
	w.Set(t, i, Recipe{Content: "two"})
	if _, err := run(t.Context(), t, w, i); err != nil {
		t.Fatal(err)
	}
	if id := w.Holds(t, i.Ref); id == ids[0] {
		t.Error("other content gave the same image")
	}
}

func builderFails(t *testing.T, w Workshop) {
	i := testImage("grades")
	w.Set(t, i, Recipe{Content: "one"})
	if _, err := run(t.Context(), t, w, i); err != nil {
		t.Fatal(err)
	}
	before := w.Holds(t, i.Ref)
	w.Set(t, i, Recipe{Content: "two", Output: "main.go:7:2: undefined: grade", Fails: true})
	_, err := run(t.Context(), t, w, i)
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Build {
		t.Fatalf("got %v, want a fault.Build", err)
	}
	if !strings.Contains(f.What, "grades") {
		t.Errorf("What does not name the service: %q", f.What)
	}
	if !strings.Contains(f.Detail, "main.go:7:2: undefined: grade") {
		t.Errorf("Detail does not hold the build's output: %q", f.Detail)
	}
	if f.Next == "" {
		t.Error("Next is empty")
	}
	if after := w.Holds(t, i.Ref); after != before {
		t.Errorf("the reference stood for %s and now stands for %q", before, after)
	}
}

func builderStops(t *testing.T, w Workshop) {
	i := testImage("grades")
	w.Set(t, i, Recipe{Content: "one", Waits: true})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() {
		result <- w.Build(ctx, i, func(text string) {
			if strings.Contains(text, "waiting") {
				cancel()
			}
		})
	}()
	select {
	case err := <-result:
		if fault.Of(err) != fault.Interrupted {
			t.Errorf("got %v of kind %v, want kind Interrupted", err, fault.Of(err))
		}
	case <-time.After(patience):
		t.Fatal("the build does not end although its context has")
	}
	if id := w.Holds(t, i.Ref); id != "" {
		t.Errorf("a build that was stopped left image %s", id)
	}
}

func builderRunsMany(t *testing.T, w Workshop) {
	const many = 4
	images := make([]plan.Image, many)
	errs := make([]error, many)
	var wg sync.WaitGroup
	for n := range images {
		images[n] = testImage(fmt.Sprintf("service-%d", n))
		w.Set(t, images[n], Recipe{Content: images[n].Service, Output: "output of " + images[n].Service, Fails: n == 0})
	}
	for n := range images {
		wg.Go(func() { _, errs[n] = run(t.Context(), t, w, images[n]) })
	}
	wg.Wait()
	for n, i := range images {
		if n == 0 {
			var f *fault.Error
			if !errors.As(errs[n], &f) || !strings.Contains(f.Detail, "output of service-0") || strings.Contains(f.Detail, "output of service-1") {
				t.Errorf("%s: got %v, want a fault with its own output", i.Service, errs[n])
			}
			continue
		}
		if errs[n] != nil {
			t.Errorf("%s: %v", i.Service, errs[n])
		}
		if w.Holds(t, i.Ref) == "" {
			t.Errorf("%s: no image", i.Service)
		}
	}
}

// Builder is a builder in memory. The zero value is ready; it fails to build what it was not told about.
type Builder struct {
	mu      sync.Mutex
	recipes map[string]Recipe // by reference
	images  map[string]string // reference → ID
}

var _ Workshop = (*Builder)(nil)

// Set implements Workshop.
func (b *Builder) Set(_ *testing.T, i plan.Image, r Recipe) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.recipes == nil {
		b.recipes, b.images = map[string]Recipe{}, map[string]string{}
	}
	b.recipes[i.Ref] = r
}

// Holds implements Workshop.
func (b *Builder) Holds(_ *testing.T, ref string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.images[ref]
}

// Build implements engine.Builder.
func (b *Builder) Build(ctx context.Context, i plan.Image, report engine.Report) error {
	b.mu.Lock()
	r, known := b.recipes[i.Ref]
	b.mu.Unlock()
	what := "build of service " + i.Service
	if !known {
		return &fault.Error{Kind: fault.Build, What: what, Err: errors.New("there is nothing to build"), Next: "Call Set first."}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if r.Output != "" {
		report(r.Output)
	}
	if r.Waits {
		report("waiting")
		<-ctx.Done()
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	if r.Fails {
		return &fault.Error{Kind: fault.Build, What: what, Err: errors.New("exit code: 1"), Detail: r.Output, Next: "Correct what the output shows."}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.images[i.Ref] = "sha256:" + r.Content
	return nil
}
