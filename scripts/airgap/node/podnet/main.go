// Command podnet gives the pods of a kind cluster their network. It runs on every node in place of kindnetd, whose image
// is on no registry in reach of an air-gapped machine, and takes the same settings from the environment: HOST_IP,
// POD_SUBNET, CONTROL_PLANE_ENDPOINT.
//
// It watches the cluster's nodes and, from each state of them (network.go), brings three things on its own node in line:
// the CNI configuration by which the runtime connects pods (cni.go), the routes to the pods of the other nodes
// (route.go), and the rule by which pods reach addresses outside the cluster (masquerade.go). Everything is derived from
// the whole state each time, so nothing needs cleaning up after a crash or a change of a node's address.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// resync is how often the node is brought in line when nothing happens, in case somebody changed it by hand.
const resync = time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error("podnet ends", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	settings, err := readSettings(os.Getenv)
	if err != nil {
		return err
	}
	api, err := inCluster(settings.endpoint)
	if err != nil {
		return err
	}
	node := &host{
		cni:        cniFile{path: "/etc/cni/net.d/10-kindnet.conflist", mtu: defaultMTU},
		routes:     kernelRoutes{},
		masquerade: iptables{run: runCommand},
	}
	return follow(ctx, api, resync, func(nodes []Node) error {
		network, err := plan(nodes, settings.hostIP, settings.podSubnets)
		if err != nil {
			return err
		}
		return node.apply(ctx, network)
	})
}

// settings are what the DaemonSet tells each pod.
type settings struct {
	hostIP     netip.Addr
	podSubnets []netip.Prefix
	endpoint   string // host:port of the API server
}

func readSettings(env func(string) string) (settings, error) {
	var s settings
	var err error
	if s.hostIP, err = netip.ParseAddr(env("HOST_IP")); err != nil {
		return s, fmt.Errorf("HOST_IP: %w", err)
	}
	for text := range strings.SplitSeq(env("POD_SUBNET"), ",") {
		subnet, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return s, fmt.Errorf("POD_SUBNET: %w", err)
		}
		s.podSubnets = append(s.podSubnets, subnet.Masked())
	}
	s.endpoint = env("CONTROL_PLANE_ENDPOINT")
	if s.endpoint == "" { // the Service address works too, once kube-proxy is up
		if env("KUBERNETES_SERVICE_HOST") == "" {
			return s, fmt.Errorf("CONTROL_PLANE_ENDPOINT is not set, and this is no pod")
		}
		s.endpoint = hostPort(env("KUBERNETES_SERVICE_HOST"), env("KUBERNETES_SERVICE_PORT"))
	}
	return s, nil
}
