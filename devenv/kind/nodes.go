package kind

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/distribution/reference"
	"golang.org/x/sync/errgroup"

	"github.com/devenv-run/devenv/devenv/fault"
)

// The programs that run in nodes. They need a shell, sed, head and ctr, which every node image has.
var (
	//go:embed script/lib.sh
	scriptLib string
	//go:embed script/held.sh
	scriptHeld string
	//go:embed script/import.sh
	scriptImport string
)

// NodeImages says which of refs each node holds so that a pod can run it: node → reference → held. An image counts only if all its
// content is there and it is unpacked. Every node and every ref has an entry. It costs one docker exec a node, all at
// once, unless there are connections. A node that does not answer is a fault.Machine.
func (k *Clusters) NodeImages(ctx context.Context, nodes, refs []string) (map[string]map[string]bool, error) {
	names := make([]string, len(refs))
	for i, ref := range refs {
		name, err := canonical(ref)
		if err != nil {
			return nil, err
		}
		names[i] = name
	}
	var ids map[string]string
	if len(refs) > 0 {
		var err error
		if ids, err = k.nodeIDs(nodes); err != nil {
			return nil, err
		}
	}
	held := map[string]map[string]bool{}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, node := range nodes {
		group.Go(func() error {
			found := map[string]bool{}
			if len(refs) > 0 {
				var err error
				if found, err = k.heldBy(ctx, node, ids[node], names); err != nil {
					return k.nodeFault(ctx, "asking "+node+" for its images", node, err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			held[node] = map[string]bool{}
			for i, ref := range refs {
				held[node][ref] = found[names[i]]
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return held, nil
}

// heldBy asks one node which images, by their full references, it holds.
func (k *Clusters) heldBy(ctx context.Context, node, id string, names []string) (found map[string]bool, err error) {
	if k.inside(ctx, node, k.wait.node, func(ctx context.Context, s *store) error {
		found, err = s.held(ctx, names)
		return err
	}) {
		return found, nil
	}
	out, err := k.askNode(ctx, id, scriptHeld, names...)
	if err != nil {
		return nil, err
	}
	found = map[string]bool{}
	for line := range strings.Lines(string(out)) {
		found[strings.TrimSpace(line)] = true
	}
	return found, nil
}

// nodeIDs finds the containers of nodes, by name. They are spoken to by ID: a name may meanwhile belong to a node of somebody else.
func (k *Clusters) nodeIDs(nodes []string) (map[string]string, error) {
	identity, err := k.Identity()
	if err != nil {
		return nil, err
	}
	ids := map[string]string{}
	if identity != nil {
		for _, c := range identity.Containers {
			ids[c.Name] = c.ID
		}
	}
	for _, node := range nodes {
		if ids[node] == "" {
			return nil, k.refused("devenv created no node " + node)
		}
	}
	return ids, nil
}

// canonical is a reference as containerd and the kubelet know it: docker.io/library/redis:7 for redis:7.
func canonical(ref string) (string, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", &fault.Error{
			Kind: fault.Config, What: fmt.Sprintf("image reference %q", ref), Err: err, Next: "Correct the reference where it is declared.",
		}
	}
	return reference.TagNameOnly(named).String(), nil
}

// askNode runs one of the scripts in a node's container, which has to answer soon. A node that has only just started gets the time to start its
// container runtime too.
func (k *Clusters) askNode(ctx context.Context, id, script string, args ...string) ([]byte, error) {
	for began := time.Now(); ; {
		out, err := k.askOnce(ctx, id, script, args...)
		if !said(err, noRuntime...) || time.Since(began) > k.wait.boot {
			return out, err
		}
		select {
		case <-time.After(k.wait.poll):
		case <-ctx.Done():
			return out, ctx.Err()
		}
	}
}

// noRuntime is what ctr says, in lower case, while containerd does not listen yet.
var noRuntime = []string{"cannot access socket", "containerd.sock: connect: connection refused"}

func (k *Clusters) askOnce(ctx context.Context, id, script string, args ...string) ([]byte, error) {
	soon, cancel := context.WithTimeout(ctx, k.wait.node)
	defer cancel()
	out, err := k.docker.run(soon, nil, command(id, script, args, false)...)
	if err != nil && soon.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("the node did not answer within %s", k.wait.node)
	}
	return out, err
}

// command is a docker command that runs a script in a container.
func command(id, script string, args []string, stdin bool) []string {
	line := []string{"exec"}
	if stdin {
		line = append(line, "--interactive")
	}
	line = append(line, "--privileged", id, "/bin/sh", "-c", scriptLib+script, "sh")
	return append(line, args...)
}

// nodeFault is the fault of a node that did not do what it should.
func (k *Clusters) nodeFault(ctx context.Context, what, node string, err error) error {
	if ctx.Err() != nil || isFault(err) {
		return k.engineFault(ctx, what, err)
	}
	f := &fault.Error{Kind: fault.Machine, What: what, Err: err, Next: "Run `devenv up` again; if it stays so, " + nextRecreate}
	switch {
	case said(err, noSpace):
		f.What, f.Next, f.Err = what+": the disk of node "+node+" is full", nextDisk, noRoom{f.Err}
	case said(err, noContainer):
		f.What = what + ": the node is gone"
		f.Next = nextRecreate
	case said(err, notRunning, isPaused):
		f.What = what + ": the node does not run"
		f.Next = "`devenv up` starts it."
	}
	return f
}
