package kind

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/devenv-run/devenv/devenv/plan"
)

// State is what the cluster is.
type State struct {
	Status    plan.Status
	Leftovers bool      // absent, but a creation or removal that was broken off left containers, which Create clears away
	Paused    []string  // containers that somebody paused; the cluster counts as stopped
	Nodes     []string  // names of the nodes, control planes first; empty where absent
	Identity  *Identity // nil where absent
	NodeImage string    // ID of the image that the nodes were made from; empty where absent
	// Started says when each node was started last, by the engine's clock.
	Started map[string]time.Time
}

// Status looks at the cluster. A cluster that runs has answered. One whose nodes have just started, after a reboot for instance, is
// given time to. It writes nothing but the state directory: a kubeconfig that was lost, or that names a port the
// cluster no longer has, is written anew.
//
// A broken cluster is a fault.Machine that says how to recreate it. A cluster that is not the one that devenv created, by its containers, its
// API endpoint or its UID, is a fault.Refused that says which of them it is; see proof.go.
func (k *Clusters) Status(ctx context.Context) (State, error) {
	all, identity, leftovers, err := k.look(ctx)
	if err != nil {
		return State{}, err
	}
	if identity == nil {
		return State{Status: plan.Absent, Leftovers: leftovers}, nil
	}
	s := State{Status: plan.Running, Nodes: identity.Nodes(), Identity: identity, Started: map[string]time.Time{}}
	for _, c := range all {
		s.Started[c.Name] = c.Started
		if c.Role == controlPlane {
			s.NodeImage = c.Image
		}
		switch c.State {
		case "running":
		case "exited", "paused", "restarting":
			s.Status = plan.Stopped
			if c.State == "paused" {
				s.Paused = append(s.Paused, c.Name)
			}
		default: // created, dead, removing
			return State{}, k.broken(fmt.Sprintf("the container %s is %s", c.Name, c.State), nil)
		}
	}
	if s.Status == plan.Stopped {
		return s, nil
	}
	api, err := k.api(ctx, identity, all)
	if err != nil {
		return State{}, err
	}
	if err := k.answers(ctx, api, identity, all); err != nil {
		return State{}, err
	}
	return s, nil
}

// look finds the cluster's containers and whether they are ours. The identity is nil where there is no cluster of ours; then the
// containers are leftovers, if there are any.
func (k *Clusters) look(ctx context.Context) (all []container, identity *Identity, leftovers bool, err error) {
	if identity, err = k.Identity(); err != nil {
		return nil, nil, false, err
	}
	began, err := k.intent()
	if err != nil {
		return nil, nil, false, err
	}
	if all, err = k.containers(ctx); err != nil {
		return nil, nil, false, err
	}
	if len(all) == 0 {
		return nil, nil, false, nil // somebody else may have deleted it: it is gone all the same
	}
	if identity == nil {
		for _, c := range all {
			if began == nil {
				return nil, nil, false, k.refused("it has the container " + c.Name + ", and nothing is stored about it in " + k.StateDir)
			}
			if !began.explains(c) {
				return nil, nil, false, k.refused("its container " + c.Name + " was created later than devenv tried to")
			}
		}
		return all, nil, true, nil
	}
	if err := k.compare(identity, all); err != nil {
		return nil, nil, false, err
	}
	return all, identity, false, nil
}

// compare holds the containers against the identity. Containers that it does not name make the cluster somebody else's; ones that
// are missing make it a broken one.
func (k *Clusters) compare(identity *Identity, all []container) error {
	for _, c := range all {
		if !identity.has(c.ID) {
			return k.stranger(identity, c, all)
		}
	}
	var missing []string
	for _, want := range identity.Containers {
		if !slices.ContainsFunc(all, func(c container) bool { return c.ID == want.ID }) {
			missing = append(missing, want.Name)
		}
	}
	if len(missing) > 0 {
		return k.broken("the container "+strings.Join(missing, ", ")+" is gone", nil)
	}
	return nil
}

// answers waits until the API server answers, for as long as one may hope that it will, and has shown that it is the cluster's own.
func (k *Clusters) answers(ctx context.Context, api apiServer, identity *Identity, all []container) error {
	limit := k.wait.answer
	for _, c := range all {
		// By the clock of this machine, which the engine's may differ from; both waits are generous.
		if up := time.Since(c.Started); up < k.wait.boot {
			limit = max(limit, k.wait.boot-max(up, 0))
		}
	}
	deadline := time.Now().Add(limit)
	for {
		err := api.answers(ctx)
		if err == nil {
			err = k.recognize(ctx, api, identity)
		}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if refusal := k.notOurs(err); refusal != nil {
			return refusal
		}
		if time.Now().After(deadline) {
			return k.broken("its API server does not answer", err)
		}
		if err := sleep(ctx, k.wait.poll); err != nil {
			return err
		}
	}
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
