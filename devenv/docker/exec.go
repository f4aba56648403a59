package docker

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
)

// execTime is how long the engine may take to start a command in a container.
const execTime = 30 * time.Second

// Exec starts a command in a container, privileged, and returns once it runs: what is written is its standard input, what is read its standard output, to its
// end. Its standard error goes to stderr. Close ends its standard input and the connection, which is all that ends the command: it outlives ctx, as what
// it was started for may. No docker client takes part, so it costs no process here.
func (e *Engine) Exec(ctx context.Context, id string, command []string, stderr io.Writer) (io.ReadWriteCloser, error) {
	living, end := context.WithCancel(context.WithoutCancel(ctx)) // of the way to the engine, which may be a program
	starting := context.AfterFunc(ctx, end)
	late := time.AfterFunc(execTime, end)
	s, err := e.exec(living, id, command, stderr)
	ended, tooLate := !starting(), !late.Stop()
	if err == nil && (ended || tooLate) {
		_ = s.Close() // nobody wants it any more
		err = living.Err()
	}
	if err != nil {
		end()
		return nil, e.fault(ctx, "running "+command[0]+" in a container", err)
	}
	s.end = end
	return s, nil
}

func (e *Engine) exec(ctx context.Context, id string, command []string, stderr io.Writer) (*execution, error) {
	made, err := e.api.ContainerExecCreate(ctx, id, container.ExecOptions{
		Privileged: true, AttachStdin: true, AttachStdout: true, AttachStderr: true, Cmd: command,
	})
	if err != nil {
		return nil, err
	}
	conn, err := e.api.ContainerExecAttach(ctx, made.ID, container.ExecAttachOptions{})
	if err != nil {
		return nil, err
	}
	out, in := io.Pipe()
	s := &execution{conn: conn, out: out, end: func() {}}
	s.copying.Go(func() {
		_, err := stdcopy.StdCopy(in, stderr, conn.Reader)
		in.CloseWithError(err) // nil is the end of the output
	})
	return s, nil
}

// execution is a command that runs in a container.
type execution struct {
	conn    types.HijackedResponse
	out     *io.PipeReader
	end     func()
	copying sync.WaitGroup
	closing sync.Once
}

func (s *execution) Read(p []byte) (int, error)  { return s.out.Read(p) }
func (s *execution) Write(p []byte) (int, error) { return s.conn.Conn.Write(p) }

func (s *execution) Close() error {
	s.closing.Do(func() {
		_ = s.conn.CloseWrite() // the command reads the end of its input; if it is gone already, so much the better
		_ = s.out.Close()
		s.conn.Close()
		s.end()
		s.copying.Wait()
	})
	return nil
}
