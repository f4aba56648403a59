package devenv

import (
	"context"
	"sync"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/plan"
)

// builds are those that a cycle has begun before its plan was known. Whoever is to build an image that is being built waits for that build.
type builds struct {
	mu     sync.Mutex
	flying map[string]*flight // by reference
}

// flight is a build that is going on, or has ended.
type flight struct {
	stop context.CancelFunc
	done chan struct{}
	err  error // once done is closed

	mu     sync.Mutex
	report engine.Report // nil until the plan's step is there
	last   string        // what was reported last
}

func (f *flight) say(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = text
	if f.report != nil {
		f.report(text)
	}
}

// begin builds an image. present says whether the engine holds it already; then nothing is done.
func (b *builds) begin(ctx context.Context, by engine.Builder, i image, present func(context.Context) bool) {
	ctx, stop := context.WithCancel(ctx)
	f := &flight{stop: stop, done: make(chan struct{})}
	b.mu.Lock()
	if b.flying == nil {
		b.flying = map[string]*flight{}
	}
	b.flying[i.ref] = f
	b.mu.Unlock()
	go func() {
		defer close(f.done)
		if !present(ctx) {
			f.err = by.Build(ctx, plan.Image{Service: i.service.Name, Ref: i.ref, Cause: i.cause}, f.say)
		}
	}()
}

// end stops what nobody waited for, and waits until nothing is being built any more.
func (b *builds) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.flying {
		f.stop()
		<-f.done
	}
	b.flying = nil
}

// join is a builder that knows of them.
func (b *builds) join(by engine.Builder) engine.Builder { return joining{b, by} }

type joining struct {
	builds *builds
	engine.Builder
}

// Build implements engine.Builder.
func (j joining) Build(ctx context.Context, i plan.Image, report engine.Report) error {
	j.builds.mu.Lock()
	f := j.builds.flying[i.Ref]
	j.builds.mu.Unlock()
	if f == nil {
		return j.Builder.Build(ctx, i, report)
	}
	f.mu.Lock()
	f.report = report
	if f.last != "" {
		report(f.last)
	}
	f.mu.Unlock()
	select {
	case <-f.done:
	case <-ctx.Done():
		f.stop()
		<-f.done
	}
	f.mu.Lock()
	f.report = nil
	f.mu.Unlock()
	return f.err
}
