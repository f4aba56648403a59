package devenv

import (
	"context"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/kube"
	"github.com/devenv-run/devenv/devenv/parity"
	"github.com/devenv-run/devenv/devenv/plan"
	"github.com/devenv-run/devenv/devenv/render"
)

// Production as somebody else knows it, as a file or as a cluster. It becomes the first stage, before production as devenv renders it: where the two
// are equal, the later stages explain what differs, and where they are not, nothing does.

// against puts manifests that another tool rendered before the stages.
func (p *Project) against(c *comparison, o ParityOptions) error {
	name, data, err := o.Against, []byte(nil), error(nil)
	if name == "-" {
		name = "standard input"
		data, err = io.ReadAll(o.Stdin)
	} else {
		data, err = os.ReadFile(name)
	}
	if err != nil {
		return &fault.Error{Kind: fault.Config, What: "the manifests to compare with cannot be read", Where: name, Err: err, Next: "Name a file of rendered manifests, or - for standard input."}
	}
	sources, err := render.Read(name, data, c.production, c.declared)
	if err != nil {
		return err
	}
	objects, err := p.parityObjects(sources)
	if err != nil {
		return err
	}
	if len(objects) == 0 {
		return &fault.Error{Kind: fault.Config, What: "there is no object to compare with", Where: name, Next: "Give the whole output of the tool that renders for production."}
	}
	c.leaveOut(func(o parity.Object) bool { return c.added[o.ID] })
	c.before(objects, parity.Cause{Class: parity.Undeclared, Text: "production is not as devenv.yaml describes it"})
	return nil
}

// before puts a stage before the others.
func (c *comparison) before(objects []parity.Object, cause parity.Cause) {
	c.stages[0].Cause, c.stages[0].Holds = cause, true
	c.stages = append([]parity.Stage{{Objects: objects}}, c.stages...)
}

// leaveOut takes objects out of all stages, because what they are compared with does not say anything about them: always the namespaces
// that no source declares, which whoever deploys makes.
func (c *comparison) leaveOut(skip func(parity.Object) bool) {
	for i := range c.stages {
		c.stages[i].Objects = slices.DeleteFunc(slices.Clone(c.stages[i].Objects), skip)
	}
}

// againstContext puts what a cluster holds of the declared objects before the stages, and says what could not be read there. Hooks
// are left out, for they are deleted after they ran, and so are add-ons.
func (p *Project) againstContext(ctx context.Context, c *comparison, name string) ([]event.ParityGap, error) {
	reader, err := kube.OpenReader(name)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	found, err := reader.Read(ctx, c.objects(p.config.Cluster.Addons))
	if err != nil {
		return nil, err
	}
	var gaps []event.ParityGap
	for id, why := range found.Unread {
		gaps = append(gaps, event.ParityGap{ID: id, Reason: why})
	}
	slices.SortFunc(gaps, func(a, b event.ParityGap) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	c.leaveOut(func(o parity.Object) bool {
		_, unread := found.Unread[o.ID]
		return c.added[o.ID] || o.Hook || unread || slices.Contains(p.config.Cluster.Addons, o.Source)
	})
	live, err := p.parityObjects([]plan.Source{{Objects: found.Objects}})
	if err != nil {
		return nil, err
	}
	last := c.stages[len(c.stages)-1]
	c.before(parity.Live(live, c.stages[0].Objects, last.Objects), parity.Cause{Class: parity.Undeclared, Text: "production is not as devenv.yaml describes it"})
	return gaps, nil
}

// objects are those that production or devenv declares, each once, without add-ons and without namespaces that no source declares.
func (c *comparison) objects(addons []string) []plan.Object {
	var all []plan.Object
	seen := maps.Clone(c.added)
	for _, s := range slices.Concat(c.declared, c.here) {
		if slices.Contains(addons, s.Name) {
			continue
		}
		for _, o := range s.Objects {
			if !seen[o.ID] {
				seen[o.ID] = true
				all = append(all, o)
			}
		}
	}
	return all
}
