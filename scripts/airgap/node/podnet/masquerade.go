package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
)

// chain holds podnet's rules in the nat table.
const chain = "PODNET-MASQUERADE"

// iptables lets pods reach addresses outside the cluster: there, the node's own address stands for the pod's, because
// nothing outside knows a way back to a pod. Between pods, addresses stay as they are.
type iptables struct {
	run func(ctx context.Context, name string, args ...string) error
}

// ensure brings the rules in line. The jump comes after the chain is complete, so that no packet meets half of it.
func (t iptables) ensure(ctx context.Context, network Network) error {
	for _, own := range network.Own {
		program := "iptables"
		if own.Addr().Is6() {
			program = "ip6tables"
		}
		rules := chainRules(own, network.Pods)
		if !t.current(ctx, program, rules) {
			if err := t.run(ctx, program, "-w", "-t", "nat", "-N", chain); err != nil && !strings.Contains(err.Error(), "exists") {
				return err
			}
			if err := t.run(ctx, program, "-w", "-t", "nat", "-F", chain); err != nil {
				return err
			}
			for _, rule := range rules {
				if err := t.run(ctx, program, append([]string{"-w", "-t", "nat", "-A", chain}, rule...)...); err != nil {
					return err
				}
			}
		}
		jump := []string{"POSTROUTING", "-m", "addrtype", "!", "--dst-type", "LOCAL", "-j", chain}
		if t.run(ctx, program, append([]string{"-w", "-t", "nat", "-C"}, jump...)...) == nil {
			continue
		}
		if err := t.run(ctx, program, append([]string{"-w", "-t", "nat", "-A"}, jump...)...); err != nil {
			return err
		}
	}
	return nil
}

// current reports whether all the rules are there. Rules only change with the node's own ranges, which never happens in
// the life of a node, so it does not look for others.
func (t iptables) current(ctx context.Context, program string, rules [][]string) bool {
	for _, rule := range rules {
		if t.run(ctx, program, append([]string{"-w", "-t", "nat", "-C", chain}, rule...)...) != nil {
			return false
		}
	}
	return true
}

// chainRules are the rules for pods out of the range own: what goes to a pod stays as it is, the rest takes the node's
// address.
func chainRules(own netip.Prefix, pods []netip.Prefix) [][]string {
	var rules [][]string
	for _, subnet := range pods {
		if subnet.Addr().Is4() == own.Addr().Is4() {
			rules = append(rules, []string{"-d", subnet.String(), "-j", "RETURN"})
		}
	}
	return append(rules, []string{"-s", own.String(), "-j", "MASQUERADE"})
}

// runCommand runs a program; its error carries what the program said.
func runCommand(ctx context.Context, name string, args ...string) error {
	var output bytes.Buffer
	command := exec.CommandContext(ctx, name, args...)
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(output.String()))
	}
	return nil
}
