package main

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestPlan(t *testing.T) {
	control := node("control", "172.18.0.2", "10.244.0.0/24")
	worker := node("worker", "172.18.0.3", "10.244.1.0/24")
	second := node("second", "172.18.0.4", "10.244.2.0/24")
	dual := Node{
		Name:      "dual",
		Addresses: []netip.Addr{netip.MustParseAddr("172.18.0.5"), netip.MustParseAddr("fc00::5")},
		PodCIDRs:  []netip.Prefix{netip.MustParsePrefix("10.244.3.0/24"), netip.MustParsePrefix("fd00:0:0:3::/64")},
	}
	tests := map[string]struct {
		nodes []Node
		own   string
		want  string // routes
		err   error
	}{
		"alone":                          {nodes: []Node{control}, own: "10.244.0.0/24"},
		"a route to each other node":     {nodes: []Node{second, control, worker}, own: "10.244.0.0/24", want: "10.244.1.0/24 via 172.18.0.3, 10.244.2.0/24 via 172.18.0.4"},
		"a node without a range is none": {nodes: []Node{control, node("new", "172.18.0.9")}, own: "10.244.0.0/24"},
		"each family by its own address": {nodes: []Node{control, dual}, own: "10.244.0.0/24", want: "10.244.3.0/24 via 172.18.0.5, fd00:0:0:3::/64 via fc00::5"},
		"this node is not there yet":     {nodes: []Node{worker}, err: errNotReady},
		"this node has no range yet":     {nodes: []Node{node("control", "172.18.0.2"), worker}, err: errNotReady},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := plan(test.nodes, netip.MustParseAddr("172.18.0.2"), prefixes("10.244.0.0/16"))
			if !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if err != nil {
				return
			}
			if !slices.Equal(got.Own, prefixes(test.own)) {
				t.Errorf("own ranges are %v, want %s", got.Own, test.own)
			}
			if text := routesText(got.Routes); text != test.want {
				t.Errorf("routes are %q, want %q", text, test.want)
			}
		})
	}
}

func TestSyncRoutes(t *testing.T) {
	table := fakeTable{
		{netip.MustParsePrefix("10.244.1.0/24"), netip.MustParseAddr("172.18.0.3")}, // as it should be
		{netip.MustParsePrefix("10.244.2.0/24"), netip.MustParseAddr("172.18.0.7")}, // the node has another address now
		{netip.MustParsePrefix("10.244.9.0/24"), netip.MustParseAddr("172.18.0.9")}, // the node is gone
	}
	want := []Route{
		{netip.MustParsePrefix("10.244.1.0/24"), netip.MustParseAddr("172.18.0.3")},
		{netip.MustParsePrefix("10.244.2.0/24"), netip.MustParseAddr("172.18.0.4")},
		{netip.MustParsePrefix("10.244.3.0/24"), netip.MustParseAddr("172.18.0.5")},
	}
	for range 2 { // a second time changes nothing
		if err := syncRoutes(&table, Network{Routes: want}); err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(table, func(a, b Route) int { return a.Dst.Compare(b.Dst) })
		if !reflect.DeepEqual([]Route(table), want) {
			t.Errorf("table is %v, want %v", table, want)
		}
	}
}

func TestApplyWritesTheConfigurationLast(t *testing.T) {
	var order []string
	h := host{
		cni:        cniFunc(func() error { order = append(order, "cni"); return nil }),
		routes:     &fakeTable{},
		masquerade: masqueradeFunc(func() error { order = append(order, "masquerade"); return errors.New("no iptables") }),
	}
	if err := h.apply(t.Context(), Network{}); err == nil || !strings.Contains(err.Error(), "no iptables") {
		t.Errorf("error is %v", err)
	}
	if !slices.Equal(order, []string{"masquerade"}) {
		t.Errorf("did %v: pods must not start before they can reach anything", order)
	}
}

type cniFunc func() error

func (f cniFunc) write(Network) error { return f() }

type masqueradeFunc func() error

func (f masqueradeFunc) ensure(context.Context, Network) error { return f() }

type fakeTable []Route

func (f *fakeTable) list() ([]Route, error) { return slices.Clone(*f), nil }

func (f *fakeTable) replace(route Route) error {
	*f = slices.DeleteFunc(*f, func(r Route) bool { return r.Dst == route.Dst })
	*f = append(*f, route)
	return nil
}

func (f *fakeTable) remove(route Route) error {
	*f = slices.DeleteFunc(*f, func(r Route) bool { return r == route })
	return nil
}

func node(name, address string, ranges ...string) Node {
	return Node{Name: name, Addresses: []netip.Addr{netip.MustParseAddr(address)}, PodCIDRs: prefixes(ranges...)}
}

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func routesText(routes []Route) string {
	var texts []string
	for _, route := range routes {
		texts = append(texts, route.Dst.String()+" via "+route.Via.String())
	}
	return strings.Join(texts, ", ")
}
