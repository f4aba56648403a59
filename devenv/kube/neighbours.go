package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// Several environments may share a cluster. Each has its inventory, and what one inventory lists is no other environment's: it is neither
// changed nor deleted, although all of them write under the same name of a field manager.

// neighbours says which objects belong to another environment of this cluster, and to which. With again it asks the cluster, otherwise
// only if nobody has asked before.
func (c *Cluster) neighbours(ctx context.Context, again bool) (map[plan.ID]string, error) {
	c.others.mu.Lock()
	defer c.others.mu.Unlock()
	if c.others.owner != nil && !again {
		return c.others.owner, nil
	}
	owner := map[plan.ID]string{}
	err := persist(ctx, readPatience, func(ctx context.Context) error {
		clear(owner)
		maps, err := c.core.ConfigMaps(systemNamespace).List(ctx, metav1.ListOptions{FieldSelector: "metadata.name!=" + c.ledger.name()})
		if err != nil {
			return err
		}
		for _, m := range maps.Items {
			env, ok := strings.CutPrefix(m.Name, inventoryPrefix)
			if !ok || m.Name == c.ledger.name() {
				continue
			}
			v, err := decodeInventory(m.Data, m.BinaryData)
			if err != nil {
				return damaged(env, err)
			}
			for id := range v.owns() {
				owner[id] = env
			}
		}
		return nil
	})
	if err != nil {
		return nil, unanswered(err, "the inventories of other environments could not be read")
	}
	c.others.owner = owner
	return owner, nil
}

// owns is everything that the inventory says is devenv's in its environment.
func (v inventory) owns() map[plan.ID]bool {
	all := map[plan.ID]bool{}
	for id, e := range v.Objects {
		if !e.Adopted { // somebody else's
			all[id] = true
		}
	}
	for id := range v.Kept {
		all[id] = true
	}
	for id, h := range v.Hooks {
		if h.Made {
			all[id] = true
		}
	}
	return all
}

// refuseNeighbours refuses sources that declare what belongs to another environment.
func refuseNeighbours(sources []plan.Source, owner map[plan.ID]string) error {
	if len(owner) == 0 {
		return nil
	}
	var taken []plan.Object
	add := func(o plan.Object) {
		if owner[o.ID] != "" && !slices.ContainsFunc(taken, func(t plan.Object) bool { return t.ID == o.ID }) {
			taken = append(taken, o)
		}
	}
	for _, s := range sources {
		for _, o := range s.Objects {
			add(o)
		}
		for _, h := range s.Hooks {
			add(h.Object)
		}
	}
	var errs []error
	byEnv := map[string][]plan.Object{}
	var envs []string
	for _, o := range taken {
		env := owner[o.ID]
		if byEnv[env] == nil {
			envs = append(envs, env)
		}
		byEnv[env] = append(byEnv[env], o)
	}
	for _, env := range envs {
		errs = append(errs, belongs(env, byEnv[env]...))
	}
	return errors.Join(errs...)
}

// belongs is the refusal of objects of another environment.
func belongs(env string, objects ...plan.Object) error {
	first := objects[0]
	f := &fault.Error{
		Kind: fault.Refused, What: fmt.Sprintf("%s belongs to the environment %s of this cluster", first.ID, env), Where: first.Origin,
		Next: fmt.Sprintf("Deploy this environment into namespaces of its own, or remove the environment %s first: `devenv down` there.", env),
	}
	if n := len(objects); n > 1 {
		f.What = fmt.Sprintf("%s and %s more belong to the environment %s of this cluster", first.ID, plan.Count(n-1, "object"), env)
		var lines []string
		for _, o := range objects {
			lines = append(lines, o.ID.String()+"  "+o.Origin)
		}
		f.Detail = strings.Join(lines, "\n")
	}
	return f
}

// unclaimed refuses an object of another environment, asking afresh: it is for the few objects that exist and that this environment does
// not know.
func (c *Cluster) unclaimed(ctx context.Context, o plan.Object) error {
	owner, err := c.neighbours(ctx, true)
	if err == nil && owner[o.ID] != "" {
		err = belongs(owner[o.ID], o)
	}
	return err
}
