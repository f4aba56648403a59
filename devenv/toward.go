package devenv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/history"
	"github.com/devenv-run/devenv/devenv/kube"
	"github.com/devenv-run/devenv/devenv/plan"
)

// toward plans how the cluster comes to have objects of revisions again: images that nodes lack are loaded, then configuration is applied, then
// workloads, which are awaited. The plan is empty if everything is as it is to be. what names the revisions: "revision 3 of grades".
func (p *Project) toward(ctx context.Context, g *gathered, what string, objects []history.Object) (plan.Plan, error) {
	d := plan.Desired{Cluster: plan.Cluster{Name: "devenv-" + p.name, Nodes: g.state.Nodes}, Sources: history.Sources(objects, p.sources())}
	o := plan.Observed{Cluster: plan.ClusterState{Status: plan.Running}, Engine: map[string]bool{}}
	var refs []string
	for _, object := range objects {
		for _, ref := range object.Images {
			if !slices.Contains(refs, ref) {
				refs = append(refs, ref)
			}
		}
	}
	var held map[string]map[string]bool
	var group errgroup.Group
	group.Go(func() error {
		inEngine, err := g.engine.Images(ctx, refs)
		for ref := range inEngine {
			o.Engine[ref] = true
		}
		return err
	})
	group.Go(func() (err error) {
		held, err = g.clusters.NodeImages(ctx, g.state.Nodes, refs)
		return err
	})
	group.Go(func() error {
		seen, err := g.cluster.Observe(ctx, d.Sources)
		o.Live, o.Sources, o.Hot = seen.Live, seen.Sources, seen.Hot
		return err
	})
	if err := group.Wait(); err != nil {
		return plan.Plan{}, err
	}
	for _, node := range g.state.Nodes {
		o.Cluster.Nodes = append(o.Cluster.Nodes, plan.Node{Name: node, Images: held[node]})
	}
	var errs []error
	for _, ref := range refs {
		name := p.builds(ref)
		if o.Engine[ref] {
			d.Images = append(d.Images, plan.Image{Service: name, Ref: ref})
			continue
		}
		if name == "" {
			continue // its nodes pull it where they lack it
		}
		var lacking []string
		for _, node := range g.state.Nodes {
			if !held[node][ref] {
				lacking = append(lacking, node)
			}
		}
		switch {
		case len(lacking) == len(g.state.Nodes):
			errs = append(errs, gone(what, name, ref, objects))
		case len(lacking) > 0:
			p.sink.Emit(event.Warning{Text: fmt.Sprintf("%s is neither in the Docker Engine nor on %s: pods that need it cannot run there",
				plan.ShortRef(ref), strings.Join(lacking, ", "))})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return plan.Plan{}, err
	}
	return plan.Compute(d, o), nil
}

// gone says that an image cannot be had any more, and what needs it.
func gone(what, service, ref string, objects []history.Object) error {
	var users []string
	for _, o := range objects {
		if slices.Contains(o.Images, ref) {
			users = append(users, o.ID.String())
		}
	}
	return &fault.Error{
		Kind: fault.Deploy, What: what + " cannot be had any more",
		Err:  fmt.Errorf("%s runs %s, which is on no node and not in the Docker Engine", strings.Join(users, ", "), ref),
		Next: "Bring the sources of " + service + " back to that state, and run `devenv up`: it builds the image again.",
	}
}

// builds is the service whose image a reference is, if devenv builds it; empty for others.
func (p *Project) builds(ref string) string {
	services := kube.Services{}
	for _, s := range p.config.Services {
		services[s.Name] = []string{s.Image}
	}
	return services.Of(ref)
}

// sources are the names of the deploy sources in their order.
func (p *Project) sources() []string {
	names := slices.Clone(p.config.Cluster.Addons)
	for _, d := range p.config.Deploy {
		names = append(names, d.Name)
	}
	return names
}
