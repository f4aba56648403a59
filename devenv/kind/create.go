package kind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

var _ engine.Clusters = (*Clusters)(nil)

// Create creates the cluster that Resolve described and returns when all its nodes are ready, with kube-proxy and the pod network; see
// AwaitNames for the rest. What an earlier creation left behind is cleared away first. It pulls the node image if the engine does not
// hold it.
//
// Where it fails, and when ctx ends, it removes what it made before it returns. A cluster that exists already is left alone
// and is an error: fault.Refused if it is not ours.
func (k *Clusters) Create(ctx context.Context, c plan.Cluster, r engine.Report) error {
	l, err := k.Spec.load()
	if err != nil {
		return err
	}
	if c.Name != k.Name || c.Spec != hashSettings(l.settings()) {
		return fmt.Errorf("the plan's cluster %s was not resolved from this configuration of %s", c.Name, k.Name)
	}
	if err := k.clear(ctx, r); err != nil {
		return err
	}
	if err := k.haveImage(ctx, c.NodeImage, r); err != nil {
		return err
	}
	r("looking at the engine's machine")
	p, err := k.probe(ctx, c.NodeImage)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		config := k.configure(l, c.NodeImage, p.kubernetes, p.host)
		asked := asksForPorts(config) // kind writes into it
		err := k.build(ctx, c, l, config, r)
		if try == createTries || asked || !errors.Is(err, errPortTaken) {
			return err
		}
		r("the port that kind found free was taken meanwhile; trying again")
	}
}

// createTries is how often a cluster's creation begins because of a port that was free when kind looked for one.
const createTries = 3

// asksForPorts says whether a configuration names ports of the engine's machine, which somebody else may have for good.
func asksForPorts(c *v1alpha4.Cluster) bool {
	return c.Networking.APIServerPort > 0 || slices.ContainsFunc(c.Nodes, func(n v1alpha4.Node) bool {
		return slices.ContainsFunc(n.ExtraPortMappings, func(p v1alpha4.PortMapping) bool { return p.HostPort > 0 })
	})
}

// clear makes sure that there is nothing in the way: leftovers go, everything else is an error.
func (k *Clusters) clear(ctx context.Context, r engine.Report) error {
	if err := k.outlast(ctx); err != nil {
		return err
	}
	all, identity, leftovers, err := k.look(ctx)
	if err != nil {
		return err
	}
	if identity != nil {
		return &fault.Error{Kind: fault.Machine, What: "cluster " + k.Name + " exists already", Next: "Run `devenv up` again; it uses the cluster as it is."}
	}
	if leftovers {
		r("removing what an interrupted run left of " + k.Name)
		if err := k.remove(ctx, all); err != nil {
			return err
		}
	}
	return k.removeState(k.identityFile(), k.Kubeconfig())
}

// outlast waits until a creation that was killed can make no more containers. Killing devenv does not kill the docker commands that it
// had started; a container that one of them makes after everything was removed would look like somebody else's.
func (k *Clusters) outlast(ctx context.Context) error {
	began, err := k.intent()
	if err != nil || began == nil || began.Undone || len(began.Containers) > 0 { // with containers, it is a removal that was killed
		return err
	}
	return sleep(ctx, min(k.wait.strays, time.Until(began.StartedAt.Add(k.wait.strays))))
}

// haveImage pulls the node image if need be. Kind would, too, but it could not say how far it is, nor stop.
func (k *Clusters) haveImage(ctx context.Context, ref string, r engine.Report) error {
	held, err := k.Engine.Images(ctx, []string{ref})
	if err != nil || held[ref] != "" {
		return err
	}
	r("pulling the node image " + ref)
	return k.Engine.Pull(ctx, ref, r)
}

// build goes from nothing to a complete cluster with a stored identity, or back to nothing.
func (k *Clusters) build(ctx context.Context, c plan.Cluster, l *loaded, config *v1alpha4.Cluster, r engine.Report) (err error) {
	if err := k.writeState(k.intentFile(), intent{Name: k.Name, StartedAt: time.Now()}); err != nil {
		return err
	}
	// Pulling an image takes minutes, in which somebody else may have made a cluster of this name. What is undone from here on is what this
	// run made.
	if err := k.stillFree(ctx); err != nil {
		return errors.Join(err, k.removeState(k.intentFile()))
	}
	defer func() {
		if err != nil {
			err = k.unmake(ctx, err, r)
		}
	}()
	if err := k.supervise(ctx, config, r); err != nil {
		return err
	}
	all, err := k.containers(ctx)
	if err != nil {
		return err
	}
	if err := k.equip(ctx, all, l, r); err != nil {
		return err
	}
	identity := &Identity{
		Version: 1, Name: k.Name,
		Spec: c.Spec, Settings: l.settings(), NodeImage: c.NodeImage,
		Containers: remember(all), CreatedAt: time.Now().UTC().Truncate(time.Second),
	}
	server, err := kubeconfigServer(k.Kubeconfig())
	if err != nil {
		return fmt.Errorf("reading the kubeconfig that kind wrote: %w", err)
	}
	identity.Endpoint = server
	data, err := os.ReadFile(k.Kubeconfig())
	if err != nil {
		return k.stateFault(err)
	}
	api, err := k.connect(data)
	if err != nil {
		return err
	}
	if err := k.await(ctx, api, expect(all, l), nodesPending, r); err != nil {
		return err
	}
	if identity.UID, err = api.uid(ctx); err != nil {
		return k.engineFault(ctx, "reading the identity of "+k.Name, err)
	}
	if identity.Kubernetes, err = api.version(ctx); err != nil {
		return k.engineFault(ctx, "reading the version of "+k.Name, err)
	}
	if err := k.writeState(k.identityFile(), identity); err != nil {
		return err
	}
	return k.removeState(k.intentFile())
}

// stillFree refuses a name that somebody else has taken since clear looked.
func (k *Clusters) stillFree(ctx context.Context) error {
	all, err := k.containers(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	return k.refused("its container " + all[0].Name + " was created by somebody else while devenv was about to")
}

// remember is what an identity keeps of containers.
func remember(all []container) []Container {
	var list []Container
	for _, c := range all {
		list = append(list, Container{Name: c.Name, Role: c.Role, ID: c.ID, IP: c.IP})
	}
	return list
}

// supervise runs kind until it is done or ctx ends. Kind knows no context; it stops by itself once its containers are gone, because
// every further step of it runs something in one of them.
func (k *Clusters) supervise(ctx context.Context, config *v1alpha4.Cluster, r engine.Report) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = k.provision(config, k.Kubeconfig(), r)
	}()
	select {
	case <-done:
		if err == nil {
			return ctx.Err()
		}
		if stopped(err) {
			_ = sleep(ctx, signalLead)
		}
		log := k.kubeletLog(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return k.creationFault(err, output(err), log)
	case <-ctx.Done():
	}
	r("stopping")
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.wait.undo)
	defer cancel()
	for {
		if all, err := k.containers(undo); err == nil {
			_ = k.remove(undo, all) // tried again in the next round, and at last by unmake, which reports it
		}
		select {
		case <-done:
			return ctx.Err()
		case <-undo.Done():
			return ctx.Err() // the engine hangs: better to leave kind behind than to hang as well
		case <-time.After(k.wait.poll):
		}
	}
}

// unmake removes what a creation made that did not succeed, whether or not ctx has ended, and returns the error that it failed with. Where
// even that fails, the intent stays and the next Create does it. It stays after a stop, too: a busy engine may be making a container that it was
// asked for, which would look like somebody else's once it is there.
func (k *Clusters) unmake(ctx context.Context, cause error, r engine.Report) error {
	r("removing what was created of " + k.Name)
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.wait.undo)
	defer cancel()
	var err error
	for late := time.Now().Add(k.wait.late); ; {
		var all []container
		if all, err = k.containers(undo); err == nil {
			err = k.remove(undo, all)
		}
		// A docker command that was stopped may have told the engine already to make a container, which is there a moment later.
		if err != nil || ctx.Err() == nil || time.Now().After(late) || sleep(undo, k.wait.poll) != nil {
			break
		}
	}
	if err == nil {
		err = k.removeState(k.identityFile(), k.Kubeconfig())
	}
	if err == nil {
		if ctx.Err() == nil {
			err = k.removeState(k.intentFile())
		} else {
			err = k.writeState(k.intentFile(), intent{Name: k.Name, StartedAt: time.Now(), Undone: true})
		}
	}
	if err != nil {
		r("something was left behind, which the next `devenv up` removes: " + err.Error())
	}
	return cause
}

// kubeletLog is the end of what the first control plane's kubelet logged, where there is one; it often holds the reason why
// kubeadm gave up.
func (k *Clusters) kubeletLog(ctx context.Context) string {
	all, err := k.containers(ctx)
	if err != nil || len(all) == 0 || !all[0].running() {
		return ""
	}
	out, err := k.docker.run(ctx, nil, "exec", all[0].ID, "journalctl", "--unit=kubelet", "--no-pager", "--lines=15", "--output=cat")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
