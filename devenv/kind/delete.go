package kind

import (
	"context"
	"time"
)

// Delete deletes the cluster with everything in it, and what devenv stored about it. A cluster that does not exist is deleted already; a
// broken one, or one left behind by an interrupted run, is deleted as well. One that is not ours is a fault.Refused.
func (k *Clusters) Delete(ctx context.Context) error {
	if err := k.outlast(ctx); err != nil {
		return err
	}
	all, err := k.deletable(ctx)
	if err != nil {
		return err
	}
	if len(all) > 0 {
		// From here on it is work in progress: if this run breaks off, the next one finds leftovers instead of a broken cluster.
		began := intent{Name: k.Name, StartedAt: time.Now()}
		for _, c := range all {
			began.Containers = append(began.Containers, c.ID)
		}
		if err := k.writeState(k.intentFile(), began); err != nil {
			return err
		}
		if err := k.removeState(k.identityFile()); err != nil {
			return err
		}
		if err := k.remove(ctx, all); err != nil {
			return err
		}
	}
	return k.removeState(k.identityFile(), k.Kubeconfig(), k.intentFile())
}

// deletable are the containers to remove: all of the cluster, provided that they are ours.
func (k *Clusters) deletable(ctx context.Context) ([]container, error) {
	identity, err := k.Identity()
	if err != nil {
		return nil, err
	}
	if identity == nil {
		all, _, _, err := k.look(ctx)
		return all, err
	}
	all, err := k.containers(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if !identity.has(c.ID) {
			return nil, k.stranger(identity, c, all)
		}
	}
	return all, k.contradicted(ctx, identity, all)
}
