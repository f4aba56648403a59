package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"github.com/devenv-run/devenv/devenv/fault"
)

// fault turns an error of a call to the engine into one for the user. what is what was being done, on which object.
func (e *Engine) fault(ctx context.Context, what string, err error) error {
	var done *fault.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, ctx.Err())
	case errors.As(err, &done):
		return err
	case lostConnection(err) && !e.answers(ctx):
		return e.gone(what, err)
	case noSpace(err.Error()):
		return diskFull(what, err)
	}
	return &fault.Error{
		Kind: fault.Machine, What: what, Err: err,
		Next: "The Docker Engine refused; its log may say more (`journalctl -u docker`, or Docker Desktop's troubleshooting page).",
	}
}

// gone is the fault of an engine that answered before and does not any more.
func (e *Engine) gone(what string, err error) error {
	var f *fault.Error
	errors.As(e.endpoint.unreachable(err), &f)
	f.What = what + ": the Docker Engine at " + e.endpoint.host + " stopped answering"
	return f
}

// diskFull is the fault of an engine whose disk has no space left.
func diskFull(what string, err error) *fault.Error {
	return &fault.Error{
		Kind: fault.Machine, What: what + ": the Docker Engine's disk is full", Err: err,
		Next: "`docker system df` shows what takes the space; `devenv prune` removes old images of devenv, `docker builder prune` the build cache.",
	}
}

// answers asks whether the engine is still there.
func (e *Engine) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	_, err := e.api.Ping(ctx)
	return err == nil
}

// lostConnection says whether err is of a connection that could not be made or that broke.
func lostConnection(err error) bool {
	var op *net.OpError
	return client.IsErrConnectionFailed(err) || errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || cerrdefs.IsUnavailable(err)
}

// noSpace recognizes a full disk in the words of the kernel.
func noSpace(text string) bool {
	return strings.Contains(strings.ToLower(text), "no space left on device")
}
