package kind

import (
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// process is a program of this machine in the place of one in a node.
type process struct {
	io.Writer           // its standard input
	input     io.Closer // its standard input
	output    *os.File  // its standard output
	kill      func()
	exited    chan struct{}
	closing   sync.Once
}

// graceful is how long a command may take to end once its standard input has.
const graceful = 2 * time.Second

// start starts a program.
func start(stderr io.Writer, program string, args ...string) (io.ReadWriteCloser, error) {
	cmd := exec.Command(program, args...)
	cmd.Stderr = stderr
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
		return nil, err
	}
	p := &process{Writer: input, input: input, output: output, exited: make(chan struct{})}
	p.kill = func() { _ = cmd.Process.Kill() } // it may have ended
	go func() {
		defer close(p.exited)
		_ = cmd.Wait() // whatever ended it shows where it is read
	}()
	return p, nil
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

// Read implements io.Reader. When it says that there is no more, all of standard error is there too, as with an engine.
func (p *process) Read(data []byte) (int, error) {
	n, err := p.output.Read(data)
	if err != nil {
		<-p.exited
	}
	return n, err
}
