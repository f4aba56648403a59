package kind

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/devenv-run/devenv/devenv/fault"
)

// kind's labels on its containers.
const (
	clusterLabel = "io.x-k8s.kind.cluster"
	roleLabel    = "io.x-k8s.kind.role"
)

// The roles that kind gives to containers.
const (
	controlPlane = "control-plane"
	worker       = "worker"
	loadBalancer = "external-load-balancer" // in front of several control planes; not a node
)

// container is one of the cluster's containers, as the engine sees it.
type container struct {
	ID       string
	Name     string
	Role     string
	State    string    // created, running, paused, restarting, removing, exited or dead
	Created  time.Time // by the engine's clock, like Started
	Started  time.Time // when it last started
	Image    string    // ID of the image that it was made from
	IP       string    // in kind's network; empty where it does not run
	Endpoint string    // host:port that leads to the API server; empty where this container does not publish it or does not run
}

func (c container) running() bool { return c.State == "running" }

// isNode tells nodes from what kind puts beside them.
func (c container) isNode() bool { return c.Role == controlPlane || c.Role == worker }

// containers lists everything that kind calls part of the cluster, running or not: control planes first, then by name.
func (k *Clusters) containers(ctx context.Context) ([]container, error) {
	out, err := k.docker.run(ctx, nil, "ps", "--all", "--no-trunc", "--quiet", "--filter", "label="+clusterLabel+"="+k.Name)
	if err != nil {
		return nil, k.engineFault(ctx, "listing the nodes of "+k.Name, err)
	}
	ids := strings.Fields(string(out))
	if len(ids) == 0 {
		return nil, nil
	}
	out, err = k.docker.run(ctx, nil, append([]string{"container", "inspect"}, ids...)...)
	if said(err, noContainer) {
		err = nil // one of them went away in between; the others are in the output
	}
	if err != nil {
		return nil, k.engineFault(ctx, "inspecting the nodes of "+k.Name, err)
	}
	all, err := parseContainers(out)
	if err != nil {
		return nil, fmt.Errorf("reading what docker says of the nodes of %s: %w", k.Name, err)
	}
	return all, nil
}

// inspected is the part of docker's description of a container that matters here.
type inspected struct {
	ID      string `json:"Id"`
	Name    string
	Created time.Time
	Image   string
	State   struct {
		Status    string
		StartedAt time.Time
	}
	Config          struct{ Labels map[string]string }
	NetworkSettings struct {
		Ports    map[string][]struct{ HostIP, HostPort string }
		Networks map[string]struct{ IPAddress string }
	}
}

// parseContainers reads the output of docker container inspect.
func parseContainers(out []byte) ([]container, error) {
	var list []inspected
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, err
	}
	all := make([]container, 0, len(list))
	for _, i := range list {
		c := container{
			ID:      i.ID,
			Name:    strings.TrimPrefix(i.Name, "/"),
			Role:    i.Config.Labels[roleLabel],
			State:   i.State.Status,
			Created: i.Created,
			Image:   i.Image,
			Started: i.State.StartedAt,
		}
		for _, n := range i.NetworkSettings.Networks {
			c.IP = n.IPAddress
		}
		// Docker Desktop names the address by which its users reach a port in a label; elsewhere the mapping says it.
		if c.Endpoint = i.Config.Labels["desktop.docker.io/ports/6443/tcp"]; c.Endpoint == "" {
			if p := i.NetworkSettings.Ports["6443/tcp"]; len(p) > 0 {
				c.Endpoint = hostPort(p[0].HostIP, p[0].HostPort)
			}
		}
		all = append(all, c)
	}
	slices.SortFunc(all, byRoleAndName)
	return all, nil
}

// byRoleAndName orders containers the way kind numbers nodes: control planes, workers, the rest; worker2 before worker10.
func byRoleAndName(a, b container) int {
	rank := func(c container) int { return slices.Index([]string{loadBalancer, worker, controlPlane}, c.Role) }
	if d := rank(b) - rank(a); d != 0 {
		return d
	}
	if d := len(a.Name) - len(b.Name); d != 0 {
		return d
	}
	return strings.Compare(a.Name, b.Name)
}

// hostPort is an address to connect to for a port that is published on ip. One that listens everywhere is reached by loopback.
func hostPort(ip, port string) string {
	switch ip {
	case "", "0.0.0.0":
		ip = "127.0.0.1"
	case "::":
		ip = "::1"
	}
	if strings.Contains(ip, ":") {
		ip = "[" + ip + "]"
	}
	return ip + ":" + port
}

// endpoint is the address of the API server, host:port, or empty where nothing that runs publishes it. With several control planes
// only the load balancer leads to all of them.
func endpoint(all []container) string {
	found := ""
	for _, c := range all {
		if c.running() && c.Endpoint != "" && (found == "" || c.Role == loadBalancer) {
			found = c.Endpoint
		}
	}
	return found
}

// remove removes containers with their volumes, however they are.
func (k *Clusters) remove(ctx context.Context, all []container) error {
	if len(all) == 0 {
		return nil
	}
	args := []string{"rm", "--force", "--volumes"}
	for _, c := range all {
		args = append(args, c.ID)
	}
	_, err := k.docker.run(ctx, nil, args...)
	if said(err, "did not receive an exit event") {
		k.thaw(ctx, all)
		_, err = k.docker.run(ctx, nil, args...)
	}
	if said(err, noContainer, "already in progress") {
		return nil
	}
	return k.engineFault(ctx, "removing the nodes of "+k.Name, err)
}

// thaw lets the frozen processes of containers go on, so that they can die. On a host with cgroup v1, runc freezes a container while it changes its
// settings; a node that is killed at that moment takes its runc with it, and what it had frozen stays so for ever and keeps the node's
// container from ending. Only a container of its own can reach the host's cgroups. A failure shows in the removal that follows.
func (k *Clusters) thaw(ctx context.Context, all []container) {
	const script = `find "/host/freezer" -path "*$1*" -name freezer.state -exec sh -c 'echo THAWED >"$1"' sh {} \;`
	for _, c := range all {
		image, err := k.docker.run(ctx, nil, "inspect", "--format", "{{.Image}}", c.ID)
		if err != nil {
			continue
		}
		_, _ = k.docker.run(ctx, nil, "run", "--rm", "--privileged", "--network", "none", "--volume", "/sys/fs/cgroup:/host",
			"--entrypoint", "/bin/sh", strings.TrimSpace(string(image)), "-c", script, "sh", c.ID)
	}
}

// engineFault is the fault of an engine that did not do what it should. It passes on nil, a fault and the end of ctx.
func (k *Clusters) engineFault(ctx context.Context, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	if isFault(err) {
		return err
	}
	f := &fault.Error{Kind: fault.Machine, What: what, Err: err, Next: "See that the Docker Engine is well (`docker ps`), then run devenv again."}
	if said(err, noSpace) {
		f.What, f.Next = what+": the engine's disk is full", nextDisk
	}
	return f
}
