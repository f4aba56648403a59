package cli

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/devenv-run/devenv/devenv"
	"github.com/devenv-run/devenv/devenv/event"
)

func (r *runner) devCommands() []*cli.Command {
	return []*cli.Command{{
		Name: "dev", ArgsUsage: "[SERVICE…]",
		Usage: "`up`, and then every change goes into the cluster by itself, until Ctrl-C",
		Description: "Watches build contexts, Dockerfiles, charts, overlays, manifests and devenv.yaml. A change that does not build or does not become\n" +
			"ready is told, the version before it goes on serving, and the next save tries again. Ctrl-C leaves the environment running.\n" +
			"On a terminal: l shows logs (of all services, of each, of none), r looks at everything again, s settles, q quits.\n" +
			"With services, only their files are watched, and what belongs to no service.",
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "settle-after", Value: 30 * time.Second, Usage: "how long a service that is hot has no change before it is settled, as a `DURATION`; 0: settle at once"},
			&cli.BoolFlag{Name: "settle", Usage: "settle what is hot before leaving"},
		},
		Action: r.inProject(func(i *invocation, p *devenv.Project) (devenv.Outcome, error) {
			keys, restore := i.keys()
			defer restore()
			// A second Ctrl-C ends the process at once, so the terminal is given back at the first.
			defer context.AfterFunc(i.ctx, restore)()
			defer i.sayLeaving()()
			return p.Dev(i.ctx, devenv.DevOptions{
				Keys: keys, Services: i.Args().Slice(), SettleAfter: i.Duration("settle-after"), SettleOnExit: i.Bool("settle"),
			})
		}),
	}}
}

// keys are those that the user presses, where there is a screen that says what they do.
func (i *invocation) keys() (keys <-chan devenv.Key, restore func()) {
	if !i.screen {
		return nil, func() {}
	}
	return readKeys(os.Stdin)
}

// sayLeaving tells, at the first Ctrl-C, that work is being brought to an end; a second one ends the process by itself.
func (i *invocation) sayLeaving() (cancel func() bool) {
	return context.AfterFunc(i.ctx, func() {
		if errors.Is(i.ctx.Err(), context.Canceled) {
			i.view.Emit(event.Notice{Text: "stopping: what runs is being brought to an end; press Ctrl-C again to stop at once"})
		}
	})
}
