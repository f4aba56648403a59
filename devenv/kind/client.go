package kind

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/devenv-run/devenv/devenv/fault"
)

// client is the docker client program, the one that kind calls too.
type client struct {
	environ []string // over this process's environment: see pinned
}

// afterExit bounds the wait for a docker command's pipes once it has exited, or has been killed because its context ended.
const afterExit = 5 * time.Second

func (c client) run(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = append(os.Environ(), c.environ...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	cmd.WaitDelay = afterExit
	err := cmd.Run()
	if interrupted(err) {
		_ = sleep(ctx, signalLead)
	}
	switch {
	case err == nil:
		return stdout.Bytes(), nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return nil, noClient(err)
	}
	return stdout.Bytes(), &commandError{args: args, output: stderr.String(), err: err}
}

// signalLead is how much later than its children devenv may learn of a Ctrl-C, which reaches them all at the same time.
const signalLead = 200 * time.Millisecond

// interrupted reports whether a command ended by a signal, or as docker ends when it got one.
func interrupted(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && (exit.ExitCode() == -1 || exit.ExitCode() == 130)
}

// commandError is a docker command that failed, with what it said.
type commandError struct {
	args   []string
	output string // its standard error
	err    error
}

// Error is the last line of what the command said, which is where docker and the programs in nodes put the reason.
func (e *commandError) Error() string {
	line := lastLine(e.output)
	if line == "" {
		return fmt.Sprintf("docker %s: %v", e.args[0], e.err)
	}
	return line
}

func (e *commandError) Unwrap() error { return e.err }

// said reports whether err is a failed command whose output contains any of the phrases, whatever their case.
func said(err error, phrases ...string) bool {
	var failed *commandError
	if !errors.As(err, &failed) {
		return false
	}
	output := strings.ToLower(failed.output)
	for _, p := range phrases {
		if strings.Contains(output, p) {
			return true
		}
	}
	return false
}

// What docker says of containers and disks, in lower case.
const (
	noSpace      = "no space left on device"
	noContainer  = "no such container"
	notRunning   = "is not running"
	isPaused     = "is paused"
	portTaken    = "port is already allocated"
	addressTaken = "address already in use"
)

// lastLine is the last line of text that is not blank.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}

// tail is the last n lines of text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}

// noClient is the fault of a machine without the docker client.
func noClient(err error) error {
	return &fault.Error{
		Kind: fault.Machine,
		What: "the docker client is not on the PATH",
		Err:  err,
		Next: "Install it (on Debian the package docker.io or docker-cli) and run devenv again.",
	}
}
