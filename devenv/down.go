package devenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/kind"
	"github.com/devenv-run/devenv/devenv/kube"
	"github.com/devenv-run/devenv/devenv/plan"
)

// DownOptions say how much Down deletes.
type DownOptions struct {
	Cluster bool // the whole cluster, with everything in it
	Data    bool // persistent data too
}

// Down deletes what devenv applied to the environment. What it keeps, it says.
func (p *Project) Down(ctx context.Context, o DownOptions) (Outcome, error) {
	release, err := p.state.lock()
	if err != nil {
		return Outcome{}, err
	}
	defer release()
	engine, err := p.docker()
	if err != nil {
		return Outcome{}, err
	}
	clusters := p.clusters(engine)
	if o.Cluster {
		if !o.Data {
			if err := p.refuseDataLoss(ctx, clusters); err != nil {
				return Outcome{}, stopped(ctx, err)
			}
		}
		if err := clusters.Delete(ctx); err != nil {
			return Outcome{}, stopped(ctx, err)
		}
		if err := p.state.release(); err != nil {
			return Outcome{}, err
		}
		// What was last built says nothing about a cluster that is gone, but the digests of files stay true.
		if err := os.RemoveAll(p.state.path("inputs")); err != nil {
			return Outcome{}, err
		}
		p.sink.Emit(event.Deleted{Subject: "cluster devenv-" + p.name})
		return Outcome{Summary: p.name + " is gone"}, nil
	}
	state, err := clusters.Status(ctx)
	if err != nil {
		return Outcome{}, stopped(ctx, err)
	}
	switch state.Status {
	case plan.Absent:
		return Outcome{Summary: p.name + " has no cluster, nothing to do"}, nil
	case plan.Stopped:
		return Outcome{}, p.notRunning("its cluster is stopped", "`devenv up` starts it; `devenv down --cluster --data` deletes it as it is.")
	}
	cluster, err := p.connect(ctx, clusters, state)
	if err != nil {
		return Outcome{}, err
	}
	defer cluster.Close()
	deleted, kept, err := cluster.DeleteAll(ctx, kube.DownOptions{Data: o.Data}, func(text string) { p.log.Debug("down", "progress", text) })
	for _, id := range deleted {
		p.sink.Emit(event.Deleted{Subject: id.String()})
	}
	for _, k := range kept {
		p.sink.Emit(event.Kept{Subject: k.ID.String(), Reason: k.Reason})
	}
	if err != nil {
		return Outcome{}, stopped(ctx, err)
	}
	return Outcome{Summary: p.name + " is down, its cluster runs on"}, nil
}

// refuseDataLoss keeps `down --cluster` from taking persistent data along unasked. A cluster that is broken can hold none that anybody could
// get at.
func (p *Project) refuseDataLoss(ctx context.Context, clusters *kind.Clusters) error {
	state, err := clusters.Status(ctx)
	if fault.Of(err) == fault.Machine || state.Status == plan.Absent {
		return nil
	}
	if err != nil {
		return err
	}
	refused := &fault.Error{
		Kind: fault.Refused, What: "cluster devenv-" + p.name + " is not deleted",
		Next: "`devenv down --cluster --data` deletes it with its data; `devenv down` deletes what devenv applied and keeps both.",
	}
	if state.Status == plan.Stopped {
		refused.Err = errors.New("it is stopped, so it cannot be asked whether it holds persistent data")
		return refused
	}
	cluster, err := p.connect(ctx, clusters, state)
	if err != nil {
		return err
	}
	defer cluster.Close()
	claims, err := cluster.Claims(ctx)
	if err != nil || len(claims) == 0 {
		return err
	}
	names := make([]string, len(claims))
	for i, id := range claims {
		names[i] = id.String()
	}
	refused.Err = fmt.Errorf("it holds persistent data: %s", strings.Join(names, ", "))
	return refused
}

// notRunning is the error of commands that look into a cluster when there is none to look into.
func (p *Project) notRunning(why, next string) error {
	return &fault.Error{Kind: fault.Deploy, What: "environment " + p.name + " is not running: " + why, Next: next}
}
