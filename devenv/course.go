package devenv

import (
	"fmt"
	"slices"
	"strings"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/kind"
)

// course is how the cycles of `dev` differ from an `up`. The zero course is that of all other commands.
type course struct {
	// images are those of services that are not looked for in the working tree, by service: what was deployed last of the services that a
	// cycle is not for, and what was found already of those that it is for.
	images map[string]image
	// patient says that a cluster which somebody paused is not started: whoever paused it will let it go on.
	patient bool
	// only are the services that a cycle is for, where it is not for all: workloads of the others may stay hot.
	only []string
	// build wraps who builds, and deploy who deploys.
	build  func(engine.Builder) engine.Builder
	deploy func(engine.Deployer) engine.Deployer
}

// paused is the error of a cycle that meets a cluster which somebody paused; nil where that is none.
func (c course) paused(state kind.State) error {
	if !c.patient || len(state.Paused) == 0 {
		return nil
	}
	return &fault.Error{
		Kind: fault.Machine, What: "the cluster is paused: " + strings.Join(state.Paused, ", "),
		Next: fmt.Sprintf("`docker unpause %s` lets it go on.", strings.Join(state.Paused, " ")),
	}
}

// leaveHot takes the workloads that may stay hot out of what a plan is computed from.
func (p *Project) leaveHot(g *gathered) {
	if p.course.only == nil || len(g.observed.Hot) == 0 {
		return
	}
	for o := range objects(g.desired.Sources) {
		concerned := slices.ContainsFunc(o.Images, func(ref string) bool { return slices.Contains(p.course.only, p.builds(ref)) })
		if !concerned {
			delete(g.observed.Hot, o.ID)
		}
	}
}

func (c course) deployer(d engine.Deployer) engine.Deployer {
	if c.deploy == nil {
		return d
	}
	return c.deploy(d)
}

// equip puts what the course has into an engine.
func (c course) equip(e *engine.Engine) {
	if c.build != nil {
		e.Builder = c.build(e.Builder)
	}
	if e.Deployer != nil {
		e.Deployer = c.deployer(e.Deployer)
	}
}
