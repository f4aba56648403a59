package cli

import (
	"os"

	"github.com/urfave/cli/v2"

	"github.com/devenv-run/devenv/devenv"
)

// parityCommands compare with production.
func (r *runner) parityCommands() []*cli.Command {
	return []*cli.Command{{
		Name:  "parity",
		Usage: "show what differs from production, field by field, and why",
		Description: "Renders everything as production does (its own values and overlays, its own images, no profile, no divergences) and as `up` does, and\n" +
			"says of each difference whether devenv makes it (automatic), devenv.yaml does with a reason (declared), or nobody answers for it (undeclared).\n" +
			"It needs neither a cluster nor an engine; with --locked it needs an engine.\n\n" +
			"--against compares with a rendering made elsewhere, also on standard input:\n\n" +
			"    helm template academy deploy/chart -f deploy/production.yaml | devenv parity --against -\n\n" +
			"--context reads a live cluster through your kubeconfig, with nothing but GET requests for the objects that are declared.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "strict", Usage: "exit with 9 if there is an undeclared difference"},
			&cli.StringFlag{Name: "against", Usage: "compare with the manifests in `FILE`, or on standard input for -"},
			&cli.StringFlag{Name: "context", Usage: "compare with the cluster of context `NAME` of your kubeconfig; reads only"},
		},
		Action: r.inProject(func(i *invocation, p *devenv.Project) (devenv.Outcome, error) {
			return devenv.Outcome{}, p.Parity(i.ctx, devenv.ParityOptions{
				Strict: i.Bool("strict"), Against: i.String("against"), Context: i.String("context"), Stdin: os.Stdin,
			})
		}),
	}}
}
