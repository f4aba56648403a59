package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
)

// cniFile is the configuration by which the container runtime connects pods: a veth pair with an address out of the
// node's range (ptp, host-local), and ports of the node for pods that ask for them (portmap).
type cniFile struct {
	path string
	mtu  func() (int, error)
}

// write makes the file say what the network needs. A file that says it already is left alone, because the runtime
// reloads on every change. It is replaced in one step: the runtime never sees half of it.
func (f cniFile) write(network Network) error {
	mtu, err := f.mtu()
	if err != nil {
		return err
	}
	want, err := cniConfig(network.Own, mtu)
	if err != nil {
		return err
	}
	have, err := os.ReadFile(f.path)
	if err == nil && bytes.Equal(have, want) {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	next := f.path + ".next" // no name that the runtime takes for a configuration
	if err := os.WriteFile(next, want, 0o644); err != nil {
		return err
	}
	return os.Rename(next, f.path)
}

// cniConfig renders the configuration for pods out of the ranges own.
func cniConfig(own []netip.Prefix, mtu int) ([]byte, error) {
	type object = map[string]any
	var ranges [][]object
	var routes []object
	for _, prefix := range own {
		everywhere := "0.0.0.0/0"
		if prefix.Addr().Is6() {
			everywhere = "::/0"
		}
		ranges = append(ranges, []object{{"subnet": prefix.String()}})
		routes = append(routes, object{"dst": everywhere})
	}
	text, err := json.MarshalIndent(object{
		"cniVersion": "0.3.1",
		"name":       "kindnet",
		"plugins": []object{
			{
				"type": "ptp",
				"mtu":  mtu,
				"ipam": object{
					"type":    "host-local",
					"dataDir": "/run/cni-ipam-state", // gone with the node's pods when the node restarts
					"ranges":  ranges,
					"routes":  routes,
				},
			},
			{"type": "portmap", "capabilities": object{"portMappings": true}},
		},
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("render: %w", err)
	}
	return append(text, '\n'), nil
}
