// Command devenv runs a team's production resources on this machine.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/devenv-run/devenv/devenv/cli"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal ends the context; from then on a second one has its default effect and ends the process at once.
	context.AfterFunc(ctx, stop)
	return cli.Run(ctx, os.Args, os.Stdout, os.Stderr)
}
