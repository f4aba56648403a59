// Package engine runs a plan.Plan with bounded concurrency and declares the four small interfaces that it needs for it:
// where the cluster comes from, who builds, how an image gets to where it runs, and who deploys. It knows
// neither Docker nor kind nor Kubernetes.
package engine

import (
	"context"

	"github.com/devenv-run/devenv/devenv/plan"
)

// Report takes a short line of progress, such as the last line of a build. It may be called from several goroutines.
type Report func(text string)

// Clusters is where the cluster comes from.
//
// Both methods return only when the cluster answers and all its nodes are ready. When ctx ends, Create removes what it had made
// before it returns.
type Clusters interface {
	Create(ctx context.Context, c plan.Cluster, r Report) error
	Start(ctx context.Context, c plan.Cluster, r Report) error
}

// Builder builds a service's image. After success the image's reference exists in the engine. A failed build is a fault.Build
// whose Detail holds the build's own output.
type Builder interface {
	Build(ctx context.Context, i plan.Image, r Report) error
}

// Delivery brings an image to where pods can run it. After success every one of the nodes holds the complete image under its
// reference. It returns a detail for the user, such as "sent 15.2 MB to 3 nodes".
type Delivery interface {
	Deliver(ctx context.Context, i plan.Image, nodes []string, r Report) (detail string, err error)
}

// Deployer changes objects in the cluster.
type Deployer interface {
	// Apply sends o by server-side apply and records it in the inventory under source, before it sends it, so that no
	// crash leaves an object that nobody remembers. The replicas of an object that is autoscaled are sent only when it is made.
	Apply(ctx context.Context, source string, o plan.Object) (detail string, err error)
	// Await waits until o, at the generation that was applied, is ready, and fails early on what waiting cannot heal.
	Await(ctx context.Context, source string, o plan.Object, r Report) error
	// Restart has the pods of o, a workload that was applied, made anew from its template, as a rollout replaces them, whatever they run; Await waits for
	// them. What is declared does not change by it: the next plan finds nothing to do.
	Restart(ctx context.Context, source string, o plan.Object, r Report) error
	// Run runs a hook to its end under Helm's rules and records its hash when it succeeded.
	Run(ctx context.Context, source string, h plan.Hook, r Report) error
	// Delete removes the object if it is devenv's in this environment, and waits until it is gone. It leaves persistent data where it is, and a
	// namespace or a definition that others use, and says so through r, unless data lets them go.
	Delete(ctx context.Context, source string, id plan.ID, data bool, r Report) error
}
