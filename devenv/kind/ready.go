package kind

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
)

// expectation is what a cluster has to show to be ready.
type expectation struct {
	// since is, for every node, when its container started. What the API server says of a node or pod is news only from then on: a
	// cluster that was stopped comes back remembering everything as ready.
	since map[string]time.Time
	// network says that kind's own pod network and kube-proxy are to run. Without kind's network nodes become ready only once the user's is
	// deployed, so an API server that answers is all there is to wait for.
	network bool
	proxy   bool
}

// nodesPending says what the nodes still lack, in a few words; empty if every node is ready, runs kube-proxy, and has all pods ready that
// run on every node, the pod network's among them.
func nodesPending(o observation, e expectation) string {
	if !e.network {
		return ""
	}
	ready := map[string]bool{}
	for _, n := range o.nodes {
		for _, c := range n.Status.Conditions {
			since, ours := e.since[n.Metadata.Name]
			if c.Type == "Ready" && c.Status == "True" && ours && !c.LastHeartbeat.Before(since.Truncate(time.Second)) {
				ready[n.Metadata.Name] = true
			}
		}
	}
	if len(ready) < len(e.since) {
		return fmt.Sprintf("%d of %d nodes ready", len(ready), len(e.since))
	}
	proxies := map[string]bool{}
	for _, p := range o.pods {
		if p.ownedBy("DaemonSet") && !p.ready(e) {
			return "waiting for " + p.describe()
		}
		if p.Metadata.Labels["k8s-app"] == "kube-proxy" {
			proxies[p.Spec.NodeName] = true
		}
	}
	if e.proxy && len(proxies) < len(e.since) {
		return "waiting for kube-proxy on every node"
	}
	return ""
}

// namesPending says what the resolution of names still lacks; empty if a name server is ready.
func namesPending(o observation, e expectation) string {
	if !e.network {
		return ""
	}
	for _, p := range o.pods {
		if p.Metadata.Labels["k8s-app"] == "kube-dns" && p.ready(e) {
			return ""
		}
	}
	return "waiting for the cluster's name server"
}

// ready reports whether the pod is on one of the nodes, ready, and all of its containers started since the node did.
func (p podObject) ready(e expectation) bool {
	since, ours := e.since[p.Spec.NodeName]
	if !ours {
		return false
	}
	for _, c := range p.Status.Containers {
		if c.State.Running == nil || c.State.Running.StartedAt.Before(since.Truncate(time.Second)) {
			return false
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True"
		}
	}
	return false
}

func (p podObject) ownedBy(kind string) bool {
	for _, o := range p.Metadata.OwnerReferences {
		if o.Kind == kind {
			return true
		}
	}
	return false
}

// expect is what the cluster has to show, given its containers and the user's kind configuration.
func expect(all []container, l *loaded) expectation {
	e := expectation{
		since:   map[string]time.Time{},
		network: !l.config.cluster.Networking.DisableDefaultCNI,
		proxy:   l.config.cluster.Networking.KubeProxyMode != "none",
	}
	for _, c := range all {
		if c.isNode() {
			e.since[c.Name] = c.Started
		}
	}
	return e
}

// AwaitNames waits until a name server of the cluster is ready. Create and Start do not: a name server becomes ready some seconds after the
// nodes, in which images can be loaded already. Whoever deploys next waits for it, or pods find no names at first and fail.
func (k *Clusters) AwaitNames(ctx context.Context, r engine.Report) error {
	l, all, identity, err := k.existing(ctx)
	if err != nil {
		return err
	}
	api, err := k.api(ctx, identity, all)
	if err != nil {
		return err
	}
	return k.await(ctx, api, expect(all, l), namesPending, r)
}

// await waits until the API server answers and pending finds nothing missing.
func (k *Clusters) await(ctx context.Context, api apiServer, e expectation, pending func(observation, expectation) string, r engine.Report) error {
	deadline := time.Now().Add(k.wait.ready)
	last := ""
	for {
		o, err := api.observe(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		missing := "waiting for the API server"
		if err == nil {
			missing = pending(o, e)
		}
		if missing == "" {
			return nil
		}
		if missing != last {
			r(missing)
			last = missing
		}
		if time.Now().After(deadline) {
			return &fault.Error{
				Kind:   fault.Machine,
				What:   fmt.Sprintf("cluster %s did not become ready within %s: %s", k.Name, k.wait.ready, missing),
				Err:    err,
				Detail: notReady(o, e),
				Next:   "`devenv doctor` tests what a node needs of this machine. " + nextRecreate,
			}
		}
		if err := sleep(ctx, k.wait.poll); err != nil {
			return err
		}
	}
}

// describe is the pod's name and, where one of its containers waits for something, for what: "kindnet-x (CrashLoopBackOff)".
func (p podObject) describe() string {
	for _, c := range p.Status.Containers {
		if w := c.State.Waiting; w != nil && w.Reason != "" && w.Reason != "ContainerCreating" {
			return p.Metadata.Name + " (" + w.Reason + ")"
		}
	}
	return p.Metadata.Name
}

// notReady lists the pods of kube-system that are not ready.
func notReady(o observation, e expectation) string {
	var names []string
	for _, p := range o.pods {
		if !p.ready(e) {
			names = append(names, p.describe())
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "not ready in kube-system: " + strings.Join(names, ", ")
}
