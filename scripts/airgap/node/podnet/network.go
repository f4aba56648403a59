package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Node is what podnet needs to know of a node of the cluster.
type Node struct {
	Name      string
	Addresses []netip.Addr   // internal addresses
	PodCIDRs  []netip.Prefix // ranges of its pods; empty until the controller manager has assigned them
}

// Network is what one node's network should be.
type Network struct {
	Own    []netip.Prefix // ranges from which this node's pods get their addresses
	Routes []Route        // to the pods of the other nodes, in the order of their destinations
	Pods   []netip.Prefix // ranges of all the pods of the cluster
}

// Route says that Dst is reached through the node Via.
type Route struct {
	Dst netip.Prefix
	Via netip.Addr
}

// errNotReady says that the state is not complete yet; the next event may complete it.
var errNotReady = errors.New("not ready")

// plan derives the network of the node that has the address hostIP from the cluster's nodes.
func plan(nodes []Node, hostIP netip.Addr, podSubnets []netip.Prefix) (Network, error) {
	network := Network{Pods: podSubnets}
	found := false
	for _, node := range nodes {
		if slices.Contains(node.Addresses, hostIP) {
			found = true
			network.Own = node.PodCIDRs
			continue
		}
		for _, dst := range node.PodCIDRs {
			if via, ok := sameFamily(node.Addresses, dst); ok {
				network.Routes = append(network.Routes, Route{Dst: dst, Via: via})
			}
		}
	}
	if !found {
		return Network{}, fmt.Errorf("%w: no node has the address %s", errNotReady, hostIP)
	}
	if len(network.Own) == 0 {
		return Network{}, fmt.Errorf("%w: the node with the address %s has no pod range", errNotReady, hostIP)
	}
	slices.SortFunc(network.Routes, func(a, b Route) int { return a.Dst.Compare(b.Dst) })
	return network, nil
}

// sameFamily returns the first address of the family (IPv4 or IPv6) of a range.
func sameFamily(addresses []netip.Addr, of netip.Prefix) (netip.Addr, bool) {
	for _, address := range addresses {
		if address.Is4() == of.Addr().Is4() {
			return address, true
		}
	}
	return netip.Addr{}, false
}

// host is the node on which podnet runs.
type host struct {
	cni        interface{ write(Network) error }
	routes     routeTable
	masquerade interface {
		ensure(context.Context, Network) error
	}
}

// apply brings the node in line with the network. Pods can start when the CNI configuration exists, so it comes last.
func (h *host) apply(ctx context.Context, network Network) error {
	if err := syncRoutes(h.routes, network); err != nil {
		return fmt.Errorf("routes: %w", err)
	}
	if err := h.masquerade.ensure(ctx, network); err != nil {
		return fmt.Errorf("masquerade: %w", err)
	}
	if err := h.cni.write(network); err != nil {
		return fmt.Errorf("CNI configuration: %w", err)
	}
	return nil
}
