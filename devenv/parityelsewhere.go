package devenv

import (
	"io"
	"os"
	"slices"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/parity"
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
	c.before(objects, parity.Cause{Class: parity.Undeclared, Text: "production is not as devenv.yaml describes it"})
	return nil
}

// before puts a stage before the others. What it does not say anything about is left out of all of them: namespaces that no source
// declares, which whoever deploys makes.
func (c *comparison) before(objects []parity.Object, cause parity.Cause) {
	c.stages[0].Cause, c.stages[0].Holds = cause, true
	c.stages = append([]parity.Stage{{Objects: objects}}, c.stages...)
	for i := range c.stages {
		c.stages[i].Objects = slices.DeleteFunc(slices.Clone(c.stages[i].Objects), func(o parity.Object) bool {
			return c.added[o.ID]
		})
	}
}
