package devenv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/docker"
	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/history"
	"github.com/devenv-run/devenv/devenv/kind"
	"github.com/devenv-run/devenv/devenv/kube"
	"github.com/devenv-run/devenv/devenv/plan"
	"github.com/devenv-run/devenv/devenv/render"
	"github.com/devenv-run/devenv/templates"
)

// gathered is everything that a plan is computed from, and what carrying it out needs.
type gathered struct {
	engine   *docker.Engine
	clusters *kind.Clusters
	cluster  *kube.Cluster // nil where no cluster runs
	state    kind.State
	images   []image
	desired  plan.Desired
	whole    plan.Desired // desired as it is when no services are named
	observed plan.Observed
	heads    []history.Head // of the revisions that are kept
	// undeclared is what the cluster still has of what was declared once; empty for a run of some services.
	undeclared kube.Undeclared

	nodeImageNamed bool // devenv.yaml says which it is

	kubernetes string // version that a cluster created now would have; empty if not known
}

// plan says what to do.
func (g *gathered) plan() plan.Plan { return plan.Compute(g.desired, g.observed) }

// close releases connections.
func (g *gathered) close() {
	if g.cluster != nil {
		g.cluster.Close()
	}
}

// gather reads the working tree, the engine and the cluster; it changes nothing. services restricts it to those services
// and to what belongs to no service; empty means everything.
//
// Contexts are digested while the cluster is asked for its state, and the nodes are asked for images while the API server is asked for
// objects: what a run with nothing to do takes is the longest of these, not their sum.
func (p *Project) gather(ctx context.Context, services []string) (*gathered, error) {
	g, err := p.survey(ctx, services)
	if err != nil {
		return nil, err
	}
	return g, p.completed(ctx, g, services)
}

// gatherForPlan is gather without rendering where that would decide nothing: the plan of a stopped cluster is to start it, and until
// then it cannot answer what charts look up. Under --locked everything is rendered all the same, because a drift is to be found before
// anything is changed.
func (p *Project) gatherForPlan(ctx context.Context, services []string) (*gathered, error) {
	g, err := p.survey(ctx, services)
	if err != nil || g.state.Status == plan.Stopped && !p.options.Locked {
		return g, err
	}
	return g, p.completed(ctx, g, services)
}

// completed is declare, after whose failure g is of no use.
func (p *Project) completed(ctx context.Context, g *gathered, services []string) error {
	err := p.declare(ctx, g, services)
	if err != nil {
		g.close()
	}
	return err
}

// survey is the part of gather that needs no rendering.
func (p *Project) survey(ctx context.Context, services []string) (*gathered, error) {
	if _, err := p.config.Select(services); err != nil {
		return nil, err
	}
	engine, err := p.docker()
	if err != nil {
		return nil, err
	}
	g := &gathered{engine: engine, clusters: p.clusters(engine)}
	var imagesErr, clusterErr error
	var group errgroup.Group
	group.Go(func() error {
		g.images, imagesErr = p.images(ctx, engine)
		return nil
	})
	group.Go(func() error {
		clusterErr = p.readCluster(ctx, g)
		return nil
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	// Both are told: a Dockerfile to correct and a cluster to recreate are two things to do.
	if err := errors.Join(imagesErr, clusterErr); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

// readCluster finds out what cluster there is and what there should be.
func (p *Project) readCluster(ctx context.Context, g *gathered) error {
	var err error
	if g.state, err = g.clusters.Status(ctx); err != nil {
		return err
	}
	file, _, err := p.readLock()
	if err != nil {
		return err
	}
	if file != nil {
		g.clusters.Spec.Locked = file.DefaultNodeImage(g.engine.Platform())
	}
	resolved, err := g.clusters.Resolve(ctx)
	if err != nil {
		return err
	}
	g.nodeImageNamed = resolved.Named
	g.desired.Cluster, g.kubernetes = resolved.Cluster, resolved.Kubernetes
	g.observed.Cluster.Status = g.state.Status
	if g.state.Status == plan.Absent {
		if resolved.Notice != "" {
			p.notice(resolved.Notice)
		}
		return nil
	}
	g.desired.Cluster.Nodes = g.state.Nodes
	changes, err := g.clusters.Changes()
	if err != nil {
		return err
	}
	if len(changes) > 0 {
		p.once(event.Warning{Text: "the cluster was created from other settings than devenv.yaml has now (" + strings.Join(changes, ", ") +
			"); `devenv down --cluster --data` and then `devenv up` create it anew, without its data"})
	}
	if g.state.Status == plan.Running {
		g.cluster, err = p.connect(ctx, g.clusters, g.state)
	}
	return err
}

// declare renders and observes, for the cluster that g has found or, where there is none, for the one that will be created.
func (p *Project) declare(ctx context.Context, g *gathered, services []string) error {
	capabilities := render.Capabilities{KubeVersion: g.kubernetes, Lookup: render.EmptyCluster}
	deployed := map[string]bool{}
	if g.cluster != nil {
		var group errgroup.Group
		group.Go(func() (err error) {
			capabilities.KubeVersion, capabilities.APIVersions, err = g.cluster.Capabilities(ctx)
			capabilities.Namespaced, capabilities.Lookup = g.cluster.Namespaced, g.cluster.Lookup
			return err
		})
		group.Go(func() (err error) {
			deployed, err = g.cluster.Deployed(ctx)
			return err
		})
		if err := group.Wait(); err != nil {
			return err
		}
	}
	present := map[string]bool{}
	input, err := p.renderInput(p.config, g.images, capabilities, deployed)
	if err != nil {
		return err
	}
	input.Present = func(ctx context.Context, refs []string) (map[string]bool, error) {
		held, err := g.engine.Images(ctx, refs)
		for ref := range held {
			present[ref] = true
		}
		return present, err
	}
	rendered, err := render.Render(ctx, input)
	if err != nil {
		return err
	}
	p.allowObjects(rendered.Sources)
	if err := p.keyHashes(rendered.Sources); err != nil {
		return err
	}
	for _, note := range rendered.Notes {
		p.notice(note)
	}
	if err := p.checkLock(ctx, g, input, rendered); err != nil {
		return err
	}
	g.desired.Sources = rendered.Sources
	for i := range p.config.Cluster.Addons { // renderInput puts them first
		g.desired.Sources[i].Aside = true
	}
	g.desired.Images = nil
	for _, i := range g.images {
		g.desired.Images = append(g.desired.Images, plan.Image{Service: i.service.Name, Ref: i.ref, Cause: i.cause})
	}
	for _, ref := range rendered.ThirdParty {
		if present[ref] {
			g.desired.Images = append(g.desired.Images, plan.Image{Ref: ref})
		}
	}
	g.whole = g.desired
	partial := len(services) > 0
	if partial {
		restrict(&g.desired, services)
	}
	return p.observe(ctx, g, partial)
}

// renderInput maps a devenv.yaml to what render takes. Add-ons come first, as a source of their own.
func (p *Project) renderInput(of *config.Config, images []image, c render.Capabilities, deployed map[string]bool) (render.Input, error) {
	in := render.Input{Dir: of.Dir, Capabilities: c, Secrets: p.secrets}
	for _, name := range of.Cluster.Addons {
		manifest, err := templates.Addon(name)
		if err != nil {
			return in, err
		}
		in.Sources = append(in.Sources, render.Source{Name: name, Raw: manifest, Pos: of.Cluster.Pos.String()})
	}
	for _, d := range of.Deploy {
		s := render.Source{
			Name: d.Name, Namespace: d.Namespace, Kustomize: d.Kustomize, Manifests: d.Manifests,
			Upgrade: deployed[d.Name], Pos: d.Pos.String(),
		}
		if d.Helm != nil {
			s.Helm = &render.Helm{Chart: d.Helm.Chart, Values: d.Helm.Values, Set: d.Helm.Set}
		}
		if d.Local != nil {
			s.Local = &render.Local{Values: d.Local.Values, Overlay: d.Local.Overlay, Reason: d.Local.Reason, Pos: d.Local.Pos.String()}
		}
		in.Sources = append(in.Sources, s)
	}
	in.Divergences = divergences(of)
	for _, i := range images {
		in.Services = append(in.Services, render.Service{Name: i.service.Name, Repository: i.service.Image, Ref: i.ref, Pos: i.service.Pos.String()})
	}
	return in, nil
}

// divergences are those of devenv.yaml as render takes them.
func divergences(c *config.Config) []render.Divergence {
	var all []render.Divergence
	for i, d := range c.Divergences {
		path := fmt.Sprintf("divergences[%d]", i)
		all = append(all, render.Divergence{
			Target: render.Target{Kind: d.Target.Kind, Name: d.Target.Name, Namespace: d.Target.Namespace, Labels: d.Target.Labels},
			Patch:  d.Patch, Reason: d.Reason,
			TargetPos: c.At(path + ".target").String(), PatchPos: c.At(path + ".patch").String(),
		})
	}
	return all
}

// restrict leaves out what belongs to other services only: whatever runs nothing but their images, and then the images that nothing runs. A pod with
// containers of several services stays whole, as it cannot start without the images of all of them.
func restrict(d *plan.Desired, services []string) {
	service := map[string]string{}
	for _, i := range d.Images {
		service[i.Ref] = i.Service
	}
	isForeign := func(images []string) bool {
		foreign := false
		for _, ref := range images {
			if s := service[ref]; slices.Contains(services, s) {
				return false
			} else if s != "" {
				foreign = true
			}
		}
		return foreign
	}
	used := map[string]bool{}
	d.Sources = slices.Clone(d.Sources) // what is left out here is still declared
	for i := range d.Sources {
		s := &d.Sources[i]
		s.Objects = slices.DeleteFunc(slices.Clone(s.Objects), func(o plan.Object) bool { return isForeign(o.Images) })
		s.Hooks = slices.DeleteFunc(slices.Clone(s.Hooks), func(h plan.Hook) bool { return isForeign(h.Images) })
		for _, o := range s.Objects {
			for _, ref := range o.Images {
				used[ref] = true
			}
		}
		for _, h := range s.Hooks {
			for _, ref := range h.Images {
				used[ref] = true
			}
		}
	}
	d.Images = slices.DeleteFunc(slices.Clone(d.Images), func(i plan.Image) bool { return !used[i.Ref] })
}

// observe reads what is, as far as it concerns what is desired. A partial run knows of what it leaves out only that it exists, so it
// removes nothing.
func (p *Project) observe(ctx context.Context, g *gathered, partial bool) error {
	refs := make([]string, len(g.desired.Images))
	for i, image := range g.desired.Images {
		refs[i] = image.Ref
	}
	g.observed.Engine = map[string]bool{}
	var group errgroup.Group
	group.Go(func() error {
		held, err := g.engine.Images(ctx, refs)
		for ref := range held {
			g.observed.Engine[ref] = true
		}
		return err
	})
	if g.state.Status == plan.Running {
		g.observed.Cluster.Nodes = nil
		group.Go(func() error {
			held, err := g.clusters.NodeImages(ctx, g.state.Nodes, refs)
			for _, node := range g.state.Nodes {
				g.observed.Cluster.Nodes = append(g.observed.Cluster.Nodes, plan.Node{Name: node, Images: held[node]})
			}
			return err
		})
		group.Go(func() (err error) {
			g.heads, err = g.cluster.Heads(ctx)
			return err
		})
		group.Go(func() error {
			seen, err := g.cluster.Observe(ctx, g.desired.Sources)
			if err != nil {
				return err
			}
			g.observed.Live, g.observed.Hooks, g.observed.Sources = seen.Live, seen.Hooks, seen.Sources
			g.observed.Hot = seen.Hot
			if partial {
				return nil
			}
			g.undeclared, err = g.cluster.Undeclared(ctx, g.desired.Sources)
			g.observed.Applied, g.observed.Holds = g.undeclared.Objects, g.undeclared.Holds
			return err
		})
	}
	return group.Wait()
}
