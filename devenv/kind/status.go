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
	Nodes     []string  // names of the nodes, control planes first; empty where absent
	Identity  *Identity // nil where absent
	// Started says when each node was started last, by the engine's clock.
	Started map[string]time.Time
}

// Status looks at the cluster. A cluster that runs has answered. One whose nodes have just started, after a reboot for instance, is
// given time to. It writes nothing but the state directory: a kubeconfig that was lost, or that names a port the
// cluster no longer has, is written anew.
//
// A broken cluster is a fault.Machine that says how to recreate it; one of this name that is not ours a fault.Refused.
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
		switch c.State {
		case "running":
		case "exited", "paused", "restarting":
			s.Status = plan.Stopped
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
	if err := k.answers(ctx, api, all); err != nil {
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
			return k.refused("its container " + c.Name + " is not the one that devenv created")
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

// Verify is the cheap proof that the cluster is the one that devenv created: same containers, same address, and a kubeconfig that leads
// there. Whoever talks to the API server compares Identity.UID as well. A mismatch is a fault.Refused.
func (k *Clusters) Verify(ctx context.Context) (*Identity, error) {
	all, identity, _, err := k.look(ctx)
	switch {
	case err != nil:
		return nil, err
	case identity == nil:
		return nil, k.broken("it does not exist", nil)
	}
	server, err := kubeconfigServer(k.Kubeconfig())
	if err != nil {
		return nil, k.broken("its kubeconfig cannot be read", err)
	}
	if at := endpoint(all); at != "" && (server != "https://"+at || identity.Endpoint != server) {
		return nil, k.refused(fmt.Sprintf("it answers at https://%s, but its kubeconfig says %s and devenv created it at %s", at, server, identity.Endpoint))
	}
	return identity, nil
}

// answers waits until the API server answers, for as long as one may hope that it will.
func (k *Clusters) answers(ctx context.Context, api apiServer, all []container) error {
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
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
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
