package main

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// routeProtocol marks podnet's routes in the kernel's table, so that it removes only its own.
const routeProtocol = 122

// routeTable is the node's table of podnet's own routes.
type routeTable interface {
	list() ([]Route, error)
	replace(Route) error // adds the route, or changes the one with its destination
	remove(Route) error
}

// syncRoutes makes the table hold the network's routes and no others.
func syncRoutes(table routeTable, network Network) error {
	have, err := table.list()
	if err != nil {
		return err
	}
	wanted := map[netip.Prefix]netip.Addr{}
	for _, route := range network.Routes {
		wanted[route.Dst] = route.Via
	}
	there := map[Route]bool{}
	for _, route := range have {
		if _, ok := wanted[route.Dst]; !ok {
			if err := table.remove(route); err != nil {
				return fmt.Errorf("remove %s via %s: %w", route.Dst, route.Via, err)
			}
		}
		there[route] = true
	}
	for _, route := range network.Routes {
		if there[route] {
			continue
		}
		if err := table.replace(route); err != nil {
			return fmt.Errorf("add %s via %s: %w", route.Dst, route.Via, err)
		}
	}
	return nil
}

// kernelRoutes is the kernel's main routing table.
type kernelRoutes struct{}

func (kernelRoutes) list() ([]Route, error) {
	filter := &netlink.Route{Table: unix.RT_TABLE_MAIN, Protocol: routeProtocol}
	found, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return nil, err
	}
	var routes []Route
	for _, route := range found {
		if route.Dst == nil {
			continue
		}
		address, ok := netip.AddrFromSlice(route.Dst.IP)
		via, viaOK := netip.AddrFromSlice(route.Gw)
		if !ok || !viaOK {
			continue
		}
		ones, _ := route.Dst.Mask.Size()
		routes = append(routes, Route{Dst: netip.PrefixFrom(address.Unmap(), ones), Via: via.Unmap()})
	}
	return routes, nil
}

func (kernelRoutes) replace(route Route) error { return netlink.RouteReplace(kernelRoute(route)) }

func (kernelRoutes) remove(route Route) error { return netlink.RouteDel(kernelRoute(route)) }

func kernelRoute(route Route) *netlink.Route {
	return &netlink.Route{
		Dst: &net.IPNet{
			IP:   route.Dst.Addr().AsSlice(),
			Mask: net.CIDRMask(route.Dst.Bits(), route.Dst.Addr().BitLen()),
		},
		Gw:       route.Via.AsSlice(),
		Protocol: routeProtocol,
	}
}

// defaultMTU returns the MTU of the interface that leads to the other nodes: that of the default route.
func defaultMTU() (int, error) {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := netlink.RouteList(nil, family)
		if err != nil {
			return 0, err
		}
		for _, route := range routes {
			if route.Dst != nil && !route.Dst.IP.IsUnspecified() {
				continue
			}
			link, err := netlink.LinkByIndex(route.LinkIndex)
			if err != nil {
				return 0, err
			}
			return link.Attrs().MTU, nil
		}
	}
	return 1500, nil // a node without a default route: what every Ethernet carries
}
