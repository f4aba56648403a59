// Package cli is the command line: it turns arguments into calls of package devenv, chooses the view, and turns what comes
// back into an exit code. It decides nothing else.
//
// Global flags are accepted before and after the command, and flags and service names in any order.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/devenv-run/devenv/devenv"
	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/view"
)

// Run carries out one command line and returns the process's exit code. args begins with the program's name.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	r := &runner{args: args, stdout: stdout, stderr: stderr}
	app := r.app()
	if err := app.RunContext(ctx, arrange(app, args)); err != nil {
		return r.usage(err)
	}
	return r.code
}

// runner carries one command line from its arguments to its exit code.
type runner struct {
	args           []string
	stdout, stderr io.Writer
	code           int
}

func (r *runner) app() *cli.App {
	app := &cli.App{
		Name:  "devenv",
		Usage: "run your production resources on this machine",
		Description: "devenv creates a kind cluster, builds the services' images, loads them into the nodes and applies the resources\n" +
			"that production uses. Start with `devenv up` in a directory with a devenv.yaml.",
		Flags:                     globals(""),
		Commands:                  r.commands(),
		Writer:                    r.stdout,
		ErrWriter:                 r.stderr,
		HideVersion:               true,
		Suggest:                   true,
		DisableSliceFlagSeparator: true,
		EnableBashCompletion:      true,
		// Exit codes are decided in one place, from the error's kind.
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   onUsageError,
		CommandNotFound: func(c *cli.Context, name string) {
			r.code = r.usage(unknownCommand(c.App, name))
		},
	}
	return app
}

// onUsageError keeps the library from printing its help above the error.
func onUsageError(_ *cli.Context, err error, _ bool) error { return err }

func unknownCommand(app *cli.App, name string) error {
	err := &fault.Error{Kind: fault.Config, What: fmt.Sprintf("unknown command %q", name), Next: "`devenv --help` lists the commands."}
	if like := cli.SuggestCommand(app.Commands, name); like != "" {
		err.Next = like + " " + err.Next
	}
	return err
}

// usage reports an error in the command line itself, before there is a view.
func (r *runner) usage(err error) int {
	var f *fault.Error
	if !errors.As(err, &f) {
		err = &fault.Error{Kind: fault.Config, What: "wrong usage", Err: err, Next: "`devenv --help`, or `devenv COMMAND --help`, shows what is accepted."}
	}
	format := "human"
	if wantsJSON(r.args) {
		format = "json"
	}
	v, _ := view.New(format, view.Options{Out: r.stdout, Err: r.stderr})
	code := fault.Of(err).ExitCode()
	v.Emit(event.Result{ExitCode: code, Err: err})
	v.Close()
	return code
}

// wantsJSON looks for -o json in arguments that could not be parsed.
func wantsJSON(args []string) bool {
	line := " " + strings.Join(args, " ") + " "
	for _, form := range []string{" -o json ", " -o=json ", " --output json ", " --output=json "} {
		if strings.Contains(line, form) {
			return true
		}
	}
	return false
}

// invocation is one command as it runs: its parsed flags and the view.
type invocation struct {
	*cli.Context
	ctx  context.Context
	view view.View
	log  io.Writer

	screen bool // the view is a live screen
}

// action wraps what a command does with what all commands share: the view, the time limit, the result and the exit code.
func (r *runner) action(do func(*invocation) (devenv.Outcome, error)) cli.ActionFunc {
	return func(c *cli.Context) error {
		format := str(c, "output")
		if format == "" {
			format = "human"
		}
		terminal := isTerminal(r.stdout)
		v, err := view.New(format, view.Options{
			Out: r.stdout, Err: r.stderr, Terminal: terminal, Width: columns(r.stdout), Height: rows(r.stdout),
			Color: terminal && !isSet(c, "no-color") && os.Getenv("NO_COLOR") == "",
		})
		if err != nil {
			return err
		}
		ctx, cancel := c.Context, context.CancelFunc(func() {})
		if d := duration(c, "timeout"); d > 0 {
			ctx, cancel = context.WithTimeoutCause(ctx, d, fmt.Errorf("not finished within --timeout %s", d))
		}
		defer cancel()
		began := time.Now()
		i := &invocation{Context: c, ctx: ctx, view: v, screen: terminal && format == "human"}
		if isSet(c, "verbose") {
			i.log = r.stderr
		}
		outcome, err := do(i)
		r.code = 0
		if err != nil {
			r.code = fault.Of(err).ExitCode()
		}
		v.Emit(event.Result{
			OK: err == nil, ExitCode: r.code, Steps: outcome.Steps, Summary: outcome.Summary,
			Took: time.Since(began), Err: err,
		})
		v.Close()
		return nil
	}
}

// sayStopping tells, at the first Ctrl-C, that work is being brought to an end; a second one ends the process by itself. The returned
// function takes it back.
func (i *invocation) sayStopping() (cancel func() bool) {
	return context.AfterFunc(i.ctx, func() {
		if errors.Is(i.ctx.Err(), context.Canceled) {
			i.view.Emit(event.Notice{Text: "stopping: what runs is being finished or undone; press Ctrl-C again to stop at once"})
		}
	})
}

// open loads the project that the global flags name.
func (i *invocation) open() (*devenv.Project, error) {
	file, over := files(i.Context)
	return devenv.Open(i.ctx, devenv.Options{
		File:        file,
		Over:        over,
		Environment: str(i.Context, "env"),
		Profile:     str(i.Context, "profile"),
		Offline:     isSet(i.Context, "offline"),
		Locked:      isSet(i.Context, "locked"),
		Timeout:     duration(i.Context, "timeout"),
		Sink:        i.view,
		Log:         i.log,
	})
}

// inProject is an action on the project.
func (r *runner) inProject(do func(*invocation, *devenv.Project) (devenv.Outcome, error)) cli.ActionFunc {
	return r.action(func(i *invocation) (devenv.Outcome, error) {
		p, err := i.open()
		if err != nil {
			return devenv.Outcome{}, err
		}
		defer func() { _ = p.Close() }() // what it holds was only read
		return p.Conclude(do(i, p))
	})
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

func rows(w io.Writer) func() int {
	return func() int {
		if f, ok := w.(*os.File); ok {
			if _, n, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
				return n
			}
		}
		return 24
	}
}

func columns(w io.Writer) func() int {
	return func() int {
		if f, ok := w.(*os.File); ok {
			if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
				return n
			}
		}
		return 80
	}
}
