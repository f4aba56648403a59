package kube

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/devenv-run/devenv/devenv/plan"
)

// Workload is something that runs pods of a service.
type Workload struct {
	ID       plan.ID
	Services []string // whose images its pod template names, sorted
	Images   []string // of its pod template
	Desired  int      // pods that it should have
	Updated  int      // pods that it has of its current specification
	Ready    int      // pods that are ready, of whichever specification
	Current  bool     // it is as declared: all its pods are of the current specification, and ready
	Message  string   // why it is not current: "1 of 2 replicas ready"
}

// Workloads lists the environment's Deployments, StatefulSets and DaemonSets that name an image of one of the services,
// sorted.
func (c *Cluster) Workloads(ctx context.Context, services Services) ([]Workload, error) {
	v, err := c.ledger.fresh(ctx)
	if err != nil {
		return nil, err
	}
	var declared []declaration
	for id := range v.Objects {
		switch groupKind(id) {
		case schema.GroupKind{Group: "apps", Kind: "Deployment"},
			schema.GroupKind{Group: "apps", Kind: "StatefulSet"},
			schema.GroupKind{Group: "apps", Kind: "DaemonSet"}:
			a, err := c.apis.find(ctx, groupKind(id), "")
			if err != nil {
				return nil, unanswered(err, "the kinds that the cluster serves could not be read")
			}
			declared = append(declared, declaration{object: plan.Object{ID: id}, api: a, served: true})
		}
	}
	found, err := c.fetch(ctx, declared)
	if err != nil {
		return nil, unanswered(err, "the workloads could not be read")
	}
	var all []Workload
	for _, id := range sorted(found) {
		u := found[id]
		w := Workload{ID: id, Images: images(u)}
		for _, ref := range w.Images {
			if name := services.Of(ref); name != "" && !slices.Contains(w.Services, name) {
				w.Services = append(w.Services, name)
			}
		}
		if len(w.Services) == 0 {
			continue
		}
		slices.Sort(w.Services)
		if id.Kind == "DaemonSet" {
			w.Desired = int(number(u, 0, "status", "desiredNumberScheduled"))
			w.Updated = int(number(u, 0, "status", "updatedNumberScheduled"))
			w.Ready = int(number(u, 0, "status", "numberReady"))
		} else {
			w.Desired = int(number(u, 1, "spec", "replicas"))
			w.Updated = int(number(u, 0, "status", "updatedReplicas"))
			w.Ready = int(number(u, 0, "status", "readyReplicas"))
		}
		state := readiness(u, nil)
		w.Current, w.Message = state.Ready, state.Message
		all = append(all, w)
	}
	return all, nil
}
