package kind

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// existing finds a cluster of ours that has to exist, and what it has to be.
func (k *Clusters) existing(ctx context.Context) (*loaded, []container, *Identity, error) {
	l, err := k.Spec.load()
	if err != nil {
		return nil, nil, nil, err
	}
	all, identity, _, err := k.look(ctx)
	if err == nil && identity == nil {
		err = k.broken("it does not exist", nil)
	}
	return l, all, identity, err
}

// Start starts a cluster that is stopped, wholly or in part, and returns when all its nodes are ready again. A cluster that runs
// is only waited for. When ctx ends it returns; what has started stays so.
func (k *Clusters) Start(ctx context.Context, _ plan.Cluster, r engine.Report) error {
	l, all, identity, err := k.existing(ctx)
	if err != nil {
		return err
	}
	if err := k.startContainers(ctx, all, identity, r); err != nil {
		return err
	}
	if all, err = k.containers(ctx); err != nil { // they have new addresses now
		return err
	}
	if err := k.compare(identity, all); err != nil {
		return err
	}
	api, err := k.api(ctx, identity, all)
	if err != nil {
		return err
	}
	r("waiting for the API server")
	if err := k.answers(ctx, api, identity, all); err != nil {
		return k.movedAway(identity, all, err)
	}
	if err := k.await(ctx, api, expect(all, l), nodesPending, r); err != nil {
		return k.movedAway(identity, all, err)
	}
	identity.Containers = remember(all)
	return k.writeState(k.identityFile(), identity)
}

// startContainers starts what does not run, in the order of the addresses that the containers had. The engine gives out the lowest
// free address, so nodes get their own back unless something else took it meanwhile; nodes cope with a new
// one, but come back slower.
func (k *Clusters) startContainers(ctx context.Context, all []container, identity *Identity, r engine.Report) error {
	stopped := slices.DeleteFunc(slices.Clone(all), func(c container) bool { return c.running() })
	slices.SortStableFunc(stopped, func(a, b container) int {
		return bytes.Compare(lastAddress(identity, a), lastAddress(identity, b))
	})
	for _, c := range stopped {
		r("starting " + c.Name)
		verb := "start"
		if c.State == "paused" {
			verb = "unpause"
		}
		_, err := k.docker.run(ctx, nil, verb, c.ID)
		if said(err, portTaken, addressTaken) {
			return &fault.Error{
				Kind: fault.Machine,
				What: fmt.Sprintf("starting %s: a port that it publishes is taken", c.Name),
				Err:  err,
				Next: "Stop what listens on the port that the message names and run `devenv up` again. " + nextRecreate,
			}
		}
		if err != nil {
			return k.engineFault(ctx, "starting "+c.Name, err)
		}
	}
	return nil
}

// lastAddress is the address that the container had when the cluster was last seen complete, as bytes that sort.
func lastAddress(identity *Identity, c container) []byte {
	for _, known := range identity.Containers {
		if ip, err := netip.ParseAddr(known.IP); known.ID == c.ID && err == nil {
			return ip.AsSlice()
		}
	}
	return nil
}

// movedAway explains the failure of a cluster that has several control planes whose addresses changed: their etcd members know each
// other by address, which kind does not mend (kubernetes-sigs/kind#2045).
func (k *Clusters) movedAway(identity *Identity, all []container, err error) error {
	planes, moved := 0, false
	for _, c := range all {
		if c.Role == controlPlane {
			planes++
			i := slices.IndexFunc(identity.Containers, func(known Container) bool { return known.ID == c.ID })
			moved = moved || i >= 0 && identity.Containers[i].IP != c.IP
		}
	}
	if planes < 2 || !moved || fault.Of(err) != fault.Machine {
		return err
	}
	return k.broken("the engine gave its control planes other addresses, by which they no longer find each other", err)
}
