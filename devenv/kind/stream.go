package kind

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/devenv-run/devenv/devenv/fault"
)

// stream is a docker command that goes on while somebody speaks to it: what is written is its standard input, what is read its standard output. Close ends
// the command, and its process in the container by the end of its standard input.
type stream interface {
	io.ReadWriteCloser
	// said is the end of what the command has printed on standard error, of use once Read has failed.
	said() string
}

// process is a stream of the docker client.
type process struct {
	io.Writer           // its standard input
	io.Reader           // its standard output
	input     io.Closer // its standard input
	output    *os.File  // its standard output
	errors    *ending
	kill      func()
	exited    chan struct{}
	closing   sync.Once
}

// graceful is how long a command may take to end once its standard input has.
const graceful = 2 * time.Second

// start starts a program with the whole of its environment.
func start(environ []string, program string, args ...string) (stream, error) {
	cmd := exec.Command(program, args...) //nolint:noctx // it goes on after the request that needs it first
	cmd.Env = environ
	said := &ending{}
	cmd.Stderr = said
	cmd.WaitDelay = afterExit
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	// Not StdoutPipe: Wait would close it before the last of it has been read.
	output, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = theirs
	err = cmd.Start()
	_ = theirs.Close() // the command has its own
	if err != nil {
		_ = output.Close() // nothing will come
		if errors.Is(err, exec.ErrNotFound) {
			return nil, noClient(err)
		}
		return nil, fmt.Errorf("%s %s: %w", program, args[0], err)
	}
	p := &process{Writer: input, Reader: output, input: input, output: output, errors: said, exited: make(chan struct{})}
	p.kill = func() { _ = cmd.Process.Kill() } // it may have ended
	go func() {
		defer close(p.exited)
		_ = cmd.Wait() // whatever ended it shows where it is read
	}()
	return p, nil
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

// Close implements io.Closer. It waits until the command has ended.
func (p *process) Close() error {
	p.closing.Do(func() {
		_ = p.input.Close() // it may have gone already
		timer := time.AfterFunc(graceful, p.kill)
		<-p.exited
		timer.Stop()
		_ = p.output.Close() // ends a Read that goes on because something else holds the other end
	})
	return nil
}

func (p *process) said() string {
	select {
	case <-p.exited:
	case <-time.After(graceful): // it has closed its output and goes on
	}
	return p.errors.String()
}

// ending keeps the end of what is written to it.
type ending struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (e *ending) Write(p []byte) (int, error) {
	const most = 4096
	e.mu.Lock()
	defer e.mu.Unlock()
	e.text = append(e.text, p...)
	e.text = e.text[max(len(e.text)-most, 0):]
	return len(p), nil
}

func (e *ending) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return string(e.text)
}
