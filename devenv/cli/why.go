package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/devenv-run/devenv/devenv"
	"github.com/devenv-run/devenv/devenv/fault"
)

func (r *runner) whyCommands() []*cli.Command {
	return []*cli.Command{{
		Name: "why", ArgsUsage: "NAME",
		Usage: "say why a service or an object would be, or was last, rebuilt or applied, or what it is waiting for",
		Description: "NAME is a service, or an object as Kind/namespace/name, Kind/name or just its name. For a service: which files, arguments and\n" +
			"base images changed since it was last deployed. For an object: which fields differ from what is declared, and who changed them.\n" +
			"Changes nothing.",
		Action: r.inProject(func(i *invocation, p *devenv.Project) (devenv.Outcome, error) {
			if i.NArg() != 1 {
				return devenv.Outcome{}, &fault.Error{
					Kind: fault.Config, What: "why takes one name", Next: "For example `devenv why web`, or `devenv why Deployment/web`.",
				}
			}
			return devenv.Outcome{}, p.Why(i.ctx, i.Args().First())
		}),
	}}
}
