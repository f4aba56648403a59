package docker

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/devenv-run/devenv/devenv/fault"
)

// RunOnce is a container that runs to its end, such as a probe of the engine's host. It has no network.
type RunOnce struct {
	Image      string   // must be in the engine
	Entrypoint []string // nil: the image's
	Cmd        []string
	Privileged bool
}

// runLabel marks the containers of RunOnce, so that one that a killed devenv left behind is recognized.
const runLabel = "run.devenv.probe"

// removeTimeout is how long removing a container may take, also after the caller's context has ended.
const removeTimeout = 20 * time.Second

// RunOnce runs a container to its end and removes it, whatever happens. It returns what the container wrote to its standard output;
// an exit status other than 0 is an error with its standard error as Detail.
func (e *Engine) RunOnce(ctx context.Context, r RunOnce) (stdout string, err error) {
	what := "running " + strings.Join(append(append([]string{}, r.Entrypoint...), r.Cmd...), " ") + " in image " + r.Image
	c, err := e.api.ContainerCreate(ctx,
		&container.Config{Image: r.Image, Entrypoint: r.Entrypoint, Cmd: r.Cmd, Labels: map[string]string{runLabel: "true"}},
		// The log driver is named because the engine's default may be one that cannot be read back.
		&container.HostConfig{Privileged: r.Privileged, NetworkMode: "none", LogConfig: container.LogConfig{Type: "json-file"}}, nil, nil, "")
	if cerrdefs.IsNotFound(err) {
		return "", &fault.Error{Kind: fault.Machine, What: what, Err: err, Next: "The image must be in the Docker Engine: pull or load it."}
	}
	if err != nil {
		return "", e.fault(ctx, what, err)
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
		defer cancel()
		rmErr := e.api.ContainerRemove(clean, c.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
		if err == nil && rmErr != nil {
			err = e.fault(ctx, "removing the container of image "+r.Image, rmErr)
		}
	}()
	ended, failed := e.api.ContainerWait(ctx, c.ID, container.WaitConditionNextExit)
	if err := e.api.ContainerStart(ctx, c.ID, container.StartOptions{}); err != nil {
		return "", e.fault(ctx, what, err)
	}
	var status int64
	select {
	case s := <-ended:
		status = s.StatusCode
	case err := <-failed:
		return "", e.fault(ctx, what, err)
	}
	out, errOut, err := e.output(ctx, c.ID)
	if err != nil {
		return "", e.fault(ctx, what, err)
	}
	if status != 0 {
		return out, &fault.Error{
			Kind: fault.Machine, What: what, Err: fmt.Errorf("exit status %d", status), Detail: errOut,
			Next: "`devenv doctor` tests what containers may do on this machine.",
		}
	}
	return out, nil
}

// output is what a container wrote.
func (e *Engine) output(ctx context.Context, id string) (stdout, stderr string, err error) {
	r, err := e.api.ContainerLogs(ctx, id, container.LogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return "", "", err
	}
	defer r.Close()
	var out, errOut bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &errOut, r); err != nil {
		return "", "", err
	}
	return out.String(), errOut.String(), nil
}
