package render

import (
	"context"

	"github.com/devenv-run/devenv/devenv/plan"
)

// Stages is a rendering with what each step made of the objects, so that a difference can be traced to the step that made it.
type Stages struct {
	// Declared is what the sources declare, before any divergence: for an Input without Local, what production declares.
	Declared []plan.Source
	// Diverged is what each divergence of the Input made of that, in their order.
	Diverged [][]plan.Source
	// Result is what Render gives: with the images of the services.
	Result *Result
	// Added are the namespaces that no source declares, in any stage.
	Added map[plan.ID]bool
}

// InStages renders as Render does and keeps the stages. Every source is rendered once, so what a chart draws at random is
// the same in all of them.
func InStages(ctx context.Context, in Input) (*Stages, error) {
	s := &Stages{Added: map[plan.ID]bool{}}
	r := &rendering{in: in, scopes: scopes{}}
	var taken [][]plan.Source
	result, err := r.run(ctx, func() error {
		sources, err := r.seal()
		taken = append(taken, sources)
		for _, d := range r.drafts {
			if d.added {
				s.Added[d.id] = true
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	s.Declared, s.Diverged, s.Result = taken[0], taken[1:], result
	return s, nil
}
