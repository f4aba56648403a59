package devenv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/devenv-run/devenv/devenv/docker"
	"github.com/devenv-run/devenv/devenv/dockerfile"
	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/lock"
	"github.com/devenv-run/devenv/devenv/plan"
	"github.com/devenv-run/devenv/devenv/render"
)

// checkLock holds what this run uses against devenv.lock, before anything is changed. With Options.Locked every drift is a
// fault.Mismatch, and so is a lock that is missing, or that `devenv lock` would change. Without, a drift is a warning, and no registry is asked.
func (p *Project) checkLock(ctx context.Context, g *gathered, input render.Input, rendered *render.Result) error {
	file, _, err := p.readLock()
	if err != nil {
		return err
	}
	if file == nil {
		if p.options.Locked {
			return lock.Missing(lock.FileName)
		}
		return nil
	}
	found := lock.Found{Images: thirdParty(rendered, g.engine.Platform())}
	for _, i := range g.images {
		found.BaseImages = addUses(found.BaseImages, i.bases)
	}
	if found.Charts, found.ChartLocks, err = charts(input); err != nil {
		if p.options.Locked {
			return err
		}
		p.once(event.Warning{Text: err.Error()})
	}
	// An image of which nothing can be told is a drift that says so.
	pins := pinner{engine: g.engine, ask: p.options.Locked && !p.options.Offline}
	if p.options.Locked {
		pins.node = func(ctx context.Context) (map[string]string, error) {
			return g.clusters.Contents(ctx, cmp.Or(g.state.NodeImage, g.desired.Cluster.NodeImage))
		}
	}
	unread, _ := pins.all(ctx, found)
	node, err := p.nodeDrift(ctx, g, file)
	if err := errors.Join(unread, err, ctx.Err()); err != nil {
		return err
	}
	drifts := append(node, file.Compare(found)...)
	if !p.options.Locked {
		p.warnOfDrift(drifts)
		return nil
	}
	all, err := p.usesOfAll(ctx, g.engine, file)
	if err != nil {
		return err
	}
	if drifts = append(drifts, file.Outline(all)...); len(drifts) > 0 {
		return lock.Mismatch(lock.FileName, drifts)
	}
	return nil
}

// nodeDrift compares the node image: the one that the cluster was made from, or the one that it will be.
func (p *Project) nodeDrift(ctx context.Context, g *gathered, file *lock.File) ([]lock.Drift, error) {
	ref, platform := g.desired.Cluster.NodeImage, g.engine.Platform()
	exists := g.state.Status != plan.Absent && g.state.Identity != nil
	if exists {
		ref = g.state.Identity.NodeImage
	}
	use := p.nodeUse(ref, g.nodeImageNamed, platform)
	var err error
	var pin docker.Pin
	if exists {
		pin, err = g.engine.PinOf(ctx, g.state.NodeImage, ref)
	} else {
		pin, err = g.engine.Pin(ctx, ref, p.options.Locked && !p.options.Offline)
	}
	if err != nil {
		return nil, err
	}
	digests := use.Pin.Digests
	if use.Pin = lock.Pin(pin); len(use.Pin.Digests) == 0 {
		use.Pin.Digests = digests
	}
	drifts := file.Compare(lock.Found{NodeImages: []lock.Use{use}})
	for i := range drifts {
		if exists {
			drifts[i].Where = "cluster " + g.desired.Cluster.Name
			drifts[i].Fix = "`devenv down --cluster`, then `devenv up`"
		}
	}
	return drifts, nil
}

// warnOfDrift says on one line what is not as the lock has it, as far as that is known.
func (p *Project) warnOfDrift(drifts []lock.Drift) {
	drifts = slices.DeleteFunc(drifts, func(d lock.Drift) bool { return d.Unknown })
	if len(drifts) > 0 {
		p.once(event.Warning{Text: fmt.Sprintf("%s does not match: %s; `devenv lock` pins what is here, and with --locked this is an error",
			lock.FileName, lock.Summary(drifts))})
	}
}

// baseUse is the use of a base image by the Dockerfile at path.
func baseUse(path string, base dockerfile.Base, platform string) lock.Use {
	if base.Platform != "" {
		platform = base.Platform
	}
	return lock.Use{Name: lock.Name(base.Ref), Platform: platform, Where: fmt.Sprintf("%s:%d", path, base.Line)}
}
