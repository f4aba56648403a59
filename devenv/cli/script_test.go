package cli_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/devenv-run/devenv/devenv/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"devenv": func() { os.Exit(cli.Run(context.Background(), os.Args, os.Stdout, os.Stderr)) },
	})
}

// TestScripts is the specification of the command line as far as it needs no engine: what is typed, what comes back, and the exit code
// ("exits CODE devenv ARG…"). What needs an engine is in package e2e.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			// Nothing of the developer's own may matter, least of all a cluster.
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_STATE_HOME", e.WorkDir+"/state")
			e.Setenv("DOCKER_HOST", "unix://"+e.WorkDir+"/no-engine.sock")
			e.Setenv("KUBECONFIG", e.WorkDir+"/not-to-be-read")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits runs a command that has to end with an exit code; its output can then be matched with stdout and stderr.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARG…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit := (*exec.ExitError)(nil)
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
