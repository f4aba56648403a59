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

// pending says what is still missing, in a few words; empty if the cluster is ready: every node is, each runs kube-proxy, the
// pods that run on every node (the pod network's among them) are ready, and so is a name server.
func pending(o observation, e expectation) string {
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
	dns := false
	for _, p := range o.pods {
		since, ours := e.since[p.Spec.NodeName]
		up := ours && p.ready(since)
		if p.ownedBy("DaemonSet") && !up {
			return "waiting for " + p.describe()
		}
		switch p.Metadata.Labels["k8s-app"] {
		case "kube-proxy":
			proxies[p.Spec.NodeName] = true
		case "kube-dns":
			dns = dns || up
		}
	}
	switch {
	case e.proxy && len(proxies) < len(e.since):
		return "waiting for kube-proxy on every node"
	case !dns:
		return "waiting for the cluster's name server"
	}
	return ""
}

// ready reports whether the pod is ready and all of its containers started no earlier than since.
func (p podObject) ready(since time.Time) bool {
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

// awaitReady waits until the API server answers and the cluster shows what is expected.
func (k *Clusters) awaitReady(ctx context.Context, api apiServer, e expectation, r engine.Report) error {
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
				Detail: notReady(o),
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
func notReady(o observation) string {
	var names []string
	for _, p := range o.pods {
		if !p.ready(time.Time{}) {
			names = append(names, p.describe())
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "not ready in kube-system: " + strings.Join(names, ", ")
}
