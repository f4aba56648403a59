package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/devenv-run/devenv/devenv"
)

func (r *runner) lockCommands() []*cli.Command {
	return []*cli.Command{{
		Name:  "lock",
		Usage: "pin node image, base images, third-party images and charts by digest in devenv.lock",
		Description: "Writes devenv.lock beside devenv.yaml; it needs no cluster. Commit the file: `devenv up --locked` then fails where a\n" +
			"machine would use something else. `devenv lock --locked` only checks, and writes nothing.",
		Action: r.inProject(func(i *invocation, p *devenv.Project) (devenv.Outcome, error) {
			return p.Lock(i.ctx)
		}),
	}}
}
