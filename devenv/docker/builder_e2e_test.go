package docker

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/devenv-run/devenv/devenv/devenvtest"
	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/plan"
)

func TestBuilderContract(t *testing.T) {
	e := realEngine(t)
	devenvtest.BuilderSuite(t, func(t *testing.T) devenvtest.Workshop {
		return &workshop{engine: e, builds: map[string]Build{}}
	})
}

// workshop makes the real engine a devenvtest.Workshop.
type workshop struct {
	engine *Engine
	builds map[string]Build
}

func (w *workshop) Set(t *testing.T, i plan.Image, r devenvtest.Recipe) {
	run := []string{}
	if r.Output != "" {
		verb := "print"
		if r.Fails {
			verb = "fail"
		}
		run = append(run, fmt.Sprintf(`RUN ["/tool", %q, %q]`, verb, r.Output))
	}
	if r.Waits {
		run = append(run, `RUN ["/tool", "wait"]`)
	}
	b, ok := w.builds[i.Ref]
	if !ok {
		b = toolBuild(t, w.engine, toolContext(t, nil))
		b.Service, b.Ref = i.Service, i.Ref
	}
	write(t, b.Context, map[string]string{"content": r.Content})
	b.Dockerfile = []byte("FROM scratch\nCOPY tool content /\n" + strings.Join(run, "\n") + "\n")
	w.builds[i.Ref] = b
}

func (w *workshop) Holds(t *testing.T, ref string) string {
	held, err := w.engine.Images(t.Context(), []string{ref})
	if err != nil {
		t.Fatal(err)
	}
	return held[ref]
}

func (w *workshop) Build(ctx context.Context, i plan.Image, report engine.Report) error {
	return w.engine.Build(ctx, w.builds[i.Ref], report)
}
