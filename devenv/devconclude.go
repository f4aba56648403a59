package devenv

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/loop"
	"github.com/devenv-run/devenv/devenv/plan"
)

// This file says what a cycle left in the cluster, also one that did not come to its end.

// handed is what a workload was given.
type handed struct {
	ref    string // of the image
	unsure bool   // whether the API server took it
}

// gave notes what workloads were given by a step that applied them, or that failed to: the API server may have taken it all the same.
func (c *cycle) gave(step plan.Step, failed bool) {
	if step.Action != plan.Apply || step.Object == nil {
		return
	}
	for _, ref := range step.Object.Images {
		if name := c.session.project.builds(ref); name != "" {
			if c.handed == nil {
				c.handed = map[string]handed{}
			}
			before := c.handed[name] // of another workload of the service
			c.handed[name] = handed{ref: ref, unsure: failed || before.unsure && before.ref == ref}
		}
	}
}

// conclude notes what the cycle came to, for each service that it is for.
func (c *cycle) conclude(ctx context.Context, g *gathered, ended *loop.CycleEnded) {
	c.mu.Lock()
	defer c.mu.Unlock()
	images, declared := map[string]image{}, map[string]image{}
	var unknown []string
	for _, i := range g.images {
		name := i.service.Name
		if !c.command.All && !slices.Contains(c.command.Services, name) {
			continue
		}
		if err := c.failed[name]; err != nil || ctx.Err() != nil {
			ended.Outcomes[name] = loop.Outcome{Err: err, Joins: joins(err), Passes: passes(err), Reason: c.command.Reasons[name]}
			c.session.setDone(name, "")
			was := cmp.Or(c.session.deployedImage(name), &image{})
			switch now, applied := c.handed[name]; {
			case !applied, now.ref == was.ref && !now.unsure: // it declares what it did before
			case now.ref == i.ref && !now.unsure && err == nil:
				declared[name] = i
			default: // also what did not become ready: its pods are nothing to go on from
				unknown = append(unknown, name)
			}
			continue
		}
		images[name] = i
		ended.Outcomes[name] = loop.Outcome{Reason: c.command.Reasons[name]}
	}
	c.session.setDeployed(images)
	c.session.setDeclared(declared)
	maps.Copy(images, declared)
	c.session.ways.deployed(g, images)
	c.session.ways.forget(unknown)
}

// outrun ends a cycle in which files changed while they were being read. What belongs to their services comes again; if that kept something else from being done,
// everything does. It returns what else went wrong.
func (c *cycle) outrun(whole error, ended *loop.CycleEnded) (rest error) {
	for name, err := range c.failed {
		if o := hot.Outrun(err); o != nil {
			ended.Outrun = append(ended.Outrun, name)
			delete(ended.Outcomes, name)
			c.session.noteRestless(name, o.Paths)
		}
	}
	slices.Sort(ended.Outrun)
	for _, err := range fault.All(whole) {
		if hot.Outrun(err) == nil {
			rest = errors.Join(rest, err)
		}
	}
	ended.Stopped = rest == nil && c.other || len(ended.Outrun) == 0
	if ended.Stopped {
		return nil
	}
	if rest != nil && c.other {
		ended.Err = rest
	}
	return rest
}
