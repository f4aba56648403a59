package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/devenv-run/devenv/devenv"
	"github.com/devenv-run/devenv/devenv/fault"
)

// historyCommands are those about revisions of a service.
func (r *runner) historyCommands() []*cli.Command {
	return []*cli.Command{
		{
			Name: "history", ArgsUsage: "SERVICE",
			Usage: "list the states in which a service was ready; * is what runs",
			Description: "`devenv up` records a revision each time a service has become ready in a new state: its workloads and the configuration\n" +
				"that they refer to. The last ten are kept in the cluster until `devenv down`.",
			Action: r.inProject(func(i *invocation, p *devenv.Project) (devenv.Outcome, error) {
				service, err := oneService(i.Context)
				if err != nil {
					return devenv.Outcome{}, err
				}
				return devenv.Outcome{}, p.History(i.ctx, service)
			}),
		},
		{
			Name: "rollback", ArgsUsage: "SERVICE",
			Usage: "bring a service back to an earlier revision: workloads, configuration and images together",
			Description: "Without --to it is the newest revision that is not what runs. If that does not become ready, what ran before comes back.\n" +
				"Data and what hooks did stay as they are. The next `devenv up` rolls out the working tree again.",
			Flags: []cli.Flag{
				&cli.IntFlag{Name: "to", Usage: "the `REVISION` to go back to, a number that `devenv history SERVICE` lists"},
			},
			Action: r.inProject(func(i *invocation, p *devenv.Project) (devenv.Outcome, error) {
				defer i.sayStopping()()
				service, err := oneService(i.Context)
				if err != nil {
					return devenv.Outcome{}, err
				}
				to := i.Int("to")
				if i.IsSet("to") && to < 1 {
					return devenv.Outcome{}, &fault.Error{
						Kind: fault.Config, What: "--to takes the number of a revision, from 1", Next: "`devenv history " + service + "` lists them.",
					}
				}
				return p.Rollback(i.ctx, service, to)
			}),
		},
	}
}

// oneService is the argument of a command that is about one service.
func oneService(c *cli.Context) (string, error) {
	if c.NArg() == 1 {
		return c.Args().First(), nil
	}
	return "", &fault.Error{
		Kind: fault.Config, What: c.Command.Name + " takes the name of one service", Next: "Use `devenv " + c.Command.Name + " SERVICE`.",
	}
}
