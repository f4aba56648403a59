package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCNIFile(t *testing.T) {
	file := cniFile{path: filepath.Join(t.TempDir(), "10-kindnet.conflist"), mtu: func() (int, error) { return 1450, nil }}
	network := Network{Own: prefixes("10.244.1.0/24", "fd00:0:0:1::/64")}
	if err := file.write(network); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file.path)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		CNIVersion string
		Plugins    []struct {
			Type string
			MTU  int
			IPAM struct {
				Type   string
				Ranges [][]struct{ Subnet string }
				Routes []struct{ Dst string }
			}
			Capabilities map[string]bool
		}
	}
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	ptp := config.Plugins[0]
	got := fmt.Sprint(config.CNIVersion, ptp.Type, ptp.MTU, ptp.IPAM.Type, ptp.IPAM.Ranges, ptp.IPAM.Routes, config.Plugins[1].Type, config.Plugins[1].Capabilities)
	want := "0.3.1 ptp 1450 host-local [[{10.244.1.0/24}] [{fd00:0:0:1::/64}]] [{0.0.0.0/0} {::/0}] portmap map[portMappings:true]"
	if strings.Join(strings.Fields(got), "") != strings.Join(strings.Fields(want), "") {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	before, err := os.Stat(file.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.write(network); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(file.path); err != nil || !os.SameFile(before, after) {
		t.Errorf("a file that says it already was replaced (%v)", err)
	}
	if err := file.write(Network{Own: prefixes("10.244.2.0/24")}); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(file.path); err != nil || os.SameFile(before, after) {
		t.Errorf("a file that says something else was kept (%v)", err)
	}
}

// fakeIptables is the nat tables, by program.
type fakeIptables map[string][]string

func (f fakeIptables) run(_ context.Context, program string, args ...string) error {
	action, rule := args[3], strings.Join(args[4:], " ")
	switch has := slices.Contains(f[program], rule); {
	case action == "-N" && has:
		return errors.New("iptables: Chain already exists")
	case action == "-N", action == "-A" && !has:
		f[program] = append(f[program], rule)
	case action == "-A":
		return errors.New("the rule would be there twice")
	case action == "-F":
		f[program] = slices.DeleteFunc(f[program], func(r string) bool { return strings.HasPrefix(r, rule+" ") })
	case action == "-C" && !has:
		return errors.New("iptables: Bad rule")
	}
	return nil
}

func TestMasquerade(t *testing.T) {
	tables := fakeIptables{}
	network := Network{Own: prefixes("10.244.1.0/24", "fd00:0:0:1::/64"), Pods: prefixes("10.244.0.0/16", "fd00::/56")}
	want := "map[ip6tables:[PODNET-MASQUERADE PODNET-MASQUERADE -d fd00::/56 -j RETURN PODNET-MASQUERADE -s fd00:0:0:1::/64 -j MASQUERADE " +
		"POSTROUTING -m addrtype ! --dst-type LOCAL -j PODNET-MASQUERADE] " +
		"iptables:[PODNET-MASQUERADE PODNET-MASQUERADE -d 10.244.0.0/16 -j RETURN PODNET-MASQUERADE -s 10.244.1.0/24 -j MASQUERADE " +
		"POSTROUTING -m addrtype ! --dst-type LOCAL -j PODNET-MASQUERADE]]"
	for range 2 { // a second time changes nothing
		if err := (iptables{run: tables.run}).ensure(t.Context(), network); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(map[string][]string(tables)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	t.Run("half a chain is completed", func(t *testing.T) {
		tables := fakeIptables{"iptables": {chain, chain + " -d 10.244.0.0/16 -j RETURN"}}
		if err := (iptables{run: tables.run}).ensure(t.Context(), Network{Own: network.Own[:1], Pods: network.Pods}); err != nil {
			t.Fatal(err)
		}
		if len(tables["iptables"]) != 4 {
			t.Errorf("table is %v", tables)
		}
	})
	t.Run("an error is told", func(t *testing.T) {
		broken := func(context.Context, string, ...string) error { return errors.New("no iptables here") }
		err := (iptables{run: broken}).ensure(t.Context(), network)
		if err == nil || !strings.Contains(err.Error(), "no iptables here") {
			t.Errorf("error is %v", err)
		}
	})
}

func TestReadSettings(t *testing.T) {
	good := map[string]string{"HOST_IP": "172.18.0.2", "POD_SUBNET": "10.244.0.0/16,fd00::/56", "CONTROL_PLANE_ENDPOINT": "c:6443"}
	tests := map[string]struct {
		change map[string]string
		want   string
		err    string
	}{
		"as kind sets it":    {want: "172.18.0.2 [10.244.0.0/16 fd00::/56] c:6443"},
		"by the Service":     {change: map[string]string{"CONTROL_PLANE_ENDPOINT": "", "KUBERNETES_SERVICE_HOST": "10.96.0.1"}, want: "172.18.0.2 [10.244.0.0/16 fd00::/56] 10.96.0.1:443"},
		"by an IPv6 Service": {change: map[string]string{"CONTROL_PLANE_ENDPOINT": "", "KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}, want: "172.18.0.2 [10.244.0.0/16 fd00::/56] [fd00::1]:6443"},
		"no address":         {change: map[string]string{"HOST_IP": ""}, err: "HOST_IP"},
		"no subnet":          {change: map[string]string{"POD_SUBNET": ""}, err: "POD_SUBNET"},
		"no endpoint":        {change: map[string]string{"CONTROL_PLANE_ENDPOINT": ""}, err: "CONTROL_PLANE_ENDPOINT"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := readSettings(func(key string) string {
				if value, ok := test.change[key]; ok {
					return value
				}
				return good[key]
			})
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error is %v, want one that names %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(s.hostIP, " ", s.podSubnets, " ", s.endpoint); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	if netip.MustParseAddr(good["HOST_IP"]).Is6() {
		t.Error("the example is IPv4")
	}
}
