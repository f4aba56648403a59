package devenv

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/parity"
	"github.com/devenv-run/devenv/devenv/plan"
	"github.com/devenv-run/devenv/devenv/render"
)

// ParityOptions say what to compare with, and how strictly. At most one of Against and Context is set.
type ParityOptions struct {
	Strict  bool      // an undeclared difference is a fault of kind Mismatch
	Against string    // file of manifests that another tool rendered for production; "-" is Stdin
	Context string    // context of the user's kubeconfig: the cluster that production runs in
	Stdin   io.Reader // for Against
}

// Parity emits what differs from production. It renders files and needs neither engine (but for Options.Locked) nor cluster: images have no digest in it,
// charts see the APIs that Helm assumes, and lookup finds nothing.
func (p *Project) Parity(ctx context.Context, o ParityOptions) error {
	if o.Against != "" && o.Context != "" {
		return &fault.Error{Kind: fault.Config, What: "--against and --context are two different productions", Next: "Give one of the two."}
	}
	if p.options.Locked {
		if err := p.verifyLock(ctx); err != nil {
			return stopped(ctx, err)
		}
	}
	c, err := p.compareStages(ctx)
	if err != nil {
		return stopped(ctx, err)
	}
	answer := event.Parity{Against: o.Against}
	switch {
	case o.Against != "":
		err = p.against(c, o)
	case o.Context != "":
		answer.Against = "context " + o.Context
		answer.NotCompared, err = p.againstContext(ctx, c, o.Context)
	}
	if err != nil {
		return stopped(ctx, err)
	}
	report(&answer, parity.Compare(c.stages, parity.Options{Again: c.again}))
	p.sink.Emit(answer)
	if n := answer.Counts.Undeclared + answer.Counts.NotCompared; o.Strict && n > 0 {
		return &fault.Error{
			Kind: fault.Mismatch, What: fmt.Sprintf("%s from production without a declared reason", plan.Count(n, "difference")),
			Next: "Declare each under divergences or local in devenv.yaml, with its reason, or take it back.",
		}
	}
	return nil
}

// comparison is what parity.Compare takes, and what was rendered for it.
type comparison struct {
	production render.Input // as production renders it
	declared   []plan.Source
	here       []plan.Source    // what up applies
	added      map[plan.ID]bool // namespaces that no source declares
	stages     []parity.Stage
	again      []parity.Object
}

// rendering is one of the renderings between production and `up`, each with one thing more than the one before it.
type rendering struct {
	cause  parity.Cause
	in     render.Input
	stages *render.Stages
}

// compareStages renders everything from what production does to what `up` does.
func (p *Project) compareStages(ctx context.Context) (*comparison, error) {
	renderings, err := p.renderings()
	if err != nil {
		return nil, err
	}
	up := renderings[len(renderings)-1]
	again := rendering{in: up.in} // shows what differs each time
	group, gctx := errgroup.WithContext(ctx)
	for _, r := range append(renderings, &again) {
		group.Go(func() (err error) {
			r.stages, err = render.InStages(gctx, r.in)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, note := range up.stages.Result.Notes {
		p.notice(note)
	}
	c := &comparison{production: renderings[0].in, declared: renderings[0].stages.Declared, here: up.stages.Result.Sources, added: maps.Clone(renderings[0].stages.Added)}
	maps.Copy(c.added, up.stages.Added)
	return c, p.assemble(c, renderings, again.stages.Declared)
}

// assemble puts the stages of the renderings in a row: production, what each rendering has more, and what up makes of its objects.
func (p *Project) assemble(c *comparison, renderings []*rendering, again []plan.Source) error {
	var failed error
	objects := func(sources []plan.Source) []parity.Object {
		list, err := p.parityObjects(sources)
		failed = errors.Join(failed, err)
		return list
	}
	add := func(s parity.Stage) { c.stages = append(c.stages, s) }
	up := renderings[len(renderings)-1]
	for _, r := range renderings[:len(renderings)-1] {
		add(parity.Stage{Cause: r.cause, Objects: objects(r.stages.Declared), Rendered: len(c.stages) > 0})
	}
	here := objects(up.stages.Declared)
	if addons := p.config.Cluster.Addons; len(addons) > 0 {
		with := slices.Clone(c.stages[len(c.stages)-1].Objects)
		for _, o := range here {
			if slices.Contains(addons, o.Source) {
				with = append(with, o)
			}
		}
		add(parity.Stage{Cause: parity.Cause{Class: parity.Automatic, By: "add-on", Text: "production has it by other means"}, Objects: with})
	}
	add(parity.Stage{Cause: up.cause, Objects: here, Rendered: true})
	for i, sources := range up.stages.Diverged {
		d := p.config.Divergences[i]
		cause := parity.Cause{Class: parity.Declared, By: "divergence", Text: d.Reason, Where: d.Pos.String()}
		add(parity.Stage{Cause: cause, Objects: objects(sources)})
	}
	images := parity.Cause{Class: parity.Automatic, Text: "images come from this machine"}
	add(parity.Stage{Cause: images, Objects: objects(up.stages.Result.Sources)})
	c.again = objects(again)
	return failed
}

// renderings are what has to be rendered: production; where a profile or further files are chosen, what they make of it; one after the
// other the sources with their local values or overlays. The last is what up renders; there are at least two.
func (p *Project) renderings() ([]*rendering, error) {
	base, variant, err := p.baseConfig()
	if err != nil {
		return nil, err
	}
	production, err := p.parityInput(base)
	if err != nil {
		return nil, err
	}
	here, err := p.parityInput(p.config)
	if err != nil {
		return nil, err
	}
	all := []*rendering{{in: asProduction(production, base, 0)}}
	if variant != "" {
		cause := parity.Cause{Class: parity.Undeclared, By: variant, Text: "it changes what is deployed and gives no reason"}
		all = append(all, &rendering{cause: cause, in: asProduction(here, p.config, 0)})
	}
	for i, d := range p.config.Deploy {
		if d.Local != nil {
			cause := parity.Cause{Class: parity.Declared, By: "local of " + d.Name, Text: d.Local.Reason, Where: d.Local.Pos.String()}
			all = append(all, &rendering{cause: cause, in: asProduction(here, p.config, i+1)})
		}
	}
	here.Present = p.presentImages()
	if last := all[len(all)-1]; last.cause.Class == parity.Declared {
		last.in = here
		return all, nil
	}
	cause := parity.Cause{Class: parity.Undeclared, Text: "it renders differently here, and no reason is known"}
	return append(all, &rendering{cause: cause, in: here}), nil
}

// baseConfig is devenv.yaml without a profile and without further files, which production does not know, and the name of what makes
// the chosen configuration another one; empty if nothing does.
func (p *Project) baseConfig() (base *config.Config, variant string, err error) {
	var by []string
	if p.options.Profile != "" {
		by = append(by, "profile "+p.options.Profile)
	}
	by = append(by, p.options.Over...)
	if len(by) == 0 {
		return p.config, "", nil
	}
	base, err = config.Load(p.config.Abs(p.config.File), config.Options{})
	return base, strings.Join(by, ", "), err
}

// parityInput is what is rendered of a configuration. The tag of a service's image is not computed, which would take the engine to know the
// digests of base images: that it is another one is what matters here.
func (p *Project) parityInput(c *config.Config) (render.Input, error) {
	var images []image
	for _, s := range c.Services {
		images = append(images, image{service: s, ref: s.Image + ":devenv-<digest>"})
	}
	return p.renderInput(c, images, render.Capabilities{}, nil)
}

// asProduction is an input without what only devenv does: add-ons, divergences, images of its own, and local in all but the first
// entries of deploy.
func asProduction(in render.Input, c *config.Config, locals int) render.Input {
	in.Services, in.Divergences = nil, nil
	in.Sources = slices.Clone(in.Sources[len(c.Cluster.Addons):])
	for i := locals; i < len(in.Sources); i++ {
		in.Sources[i].Local = nil
	}
	return in
}

// presentImages asks the engine which images of others it holds, because up does not let those be pulled again. Where there is no engine,
// that is said, and none is held.
func (p *Project) presentImages() func(context.Context, []string) (map[string]bool, error) {
	return func(ctx context.Context, refs []string) (map[string]bool, error) {
		engine, err := p.docker()
		if err == nil {
			var held map[string]string
			if held, err = engine.Images(ctx, refs); err == nil {
				present := map[string]bool{}
				for ref := range held {
					present[ref] = true
				}
				return present, nil
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		p.log.Info("the engine was not asked for images", "error", err)
		p.notice("the engine cannot be asked which images it holds, so pull policies that `up` changes for them are not shown")
		return nil, nil
	}
}

// parityObjects are objects as they are compared: without what is secret. What a Secret has as stringData counts as data.
func (p *Project) parityObjects(sources []plan.Source) ([]parity.Object, error) {
	masked, err := p.masked(sources)
	if err != nil {
		return nil, err
	}
	var all []parity.Object
	add := func(s plan.Source, o plan.Object, hook bool) error {
		decoder := json.NewDecoder(bytes.NewReader(o.JSON))
		decoder.UseNumber()
		of := parity.Object{ID: o.ID, Hook: hook, Source: s.Name, Origin: o.Origin}
		if err := decoder.Decode(&of.Value); err != nil {
			return fmt.Errorf("decoding %s: %w", o.ID, err)
		}
		if texts, ok := of.Value["stringData"].(map[string]any); ok && isSecret(o.ID) {
			data, _ := of.Value["data"].(map[string]any)
			data = maps.Clone(data)
			if data == nil {
				data = map[string]any{}
			}
			maps.Copy(data, texts)
			of.Value["data"] = data
			delete(of.Value, "stringData")
		}
		all = append(all, of)
		return nil
	}
	for _, s := range masked {
		for _, o := range s.Objects {
			err = errors.Join(err, add(s, o, false))
		}
		for _, h := range s.Hooks {
			err = errors.Join(err, add(s, h.Object, true))
		}
	}
	return all, err
}

// report fills an answer with a comparison.
func report(answer *event.Parity, r parity.Report) {
	for _, found := range r.Objects {
		o := event.ParityObject{
			ID: found.Object.ID, Hook: found.Object.Hook, Source: found.Object.Source, Origin: found.Object.Origin, State: string(found.State),
		}
		for _, c := range found.Changes {
			o.Changes = append(o.Changes, event.ParityChange{
				Path: c.Path, Old: c.Old, New: c.New, Class: string(c.Cause.Class), Cause: c.Cause.Text, By: c.Cause.By, Where: c.Cause.Where,
			})
		}
		answer.Objects = append(answer.Objects, o)
	}
	counts := r.Counts()
	answer.Counts = event.ParityCounts{
		Objects: counts.Objects, Same: counts.Same, NotCompared: len(answer.NotCompared),
		Automatic: counts.Automatic, Declared: counts.Declared, Undeclared: counts.Undeclared,
	}
	answer.Summary = counts.String()
	if n := len(answer.NotCompared); n > 0 {
		answer.Summary += fmt.Sprintf("; %d not compared", n)
	}
}
