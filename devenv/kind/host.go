package kind

import (
	"context"
	"strconv"
	"strings"

	"github.com/devenv-run/devenv/devenv/fault"
)

// host is what a node finds on the engine's machine that kind's own configuration does not expect.
type host struct {
	cgroupV1      bool // the machine has cgroup v1, which the kubelet refuses by default since 1.35
	noSysResource bool // privileged containers do not have CAP_SYS_RESOURCE
}

// probed is what a container of the node image says of the machine and of itself.
type probed struct {
	host
	kubernetes string // version in the image (v1.36.3); empty if it is not a node image
}

// capSysResource is the number of CAP_SYS_RESOURCE, the right to raise limits and to lower OOM scores.
const capSysResource = 24

// probe asks the engine's machine by running a container the way nodes run. Only such a container shows what a node will find: the
// machine may be a virtual one, and the engine's runtime may take rights away.
func (k *Clusters) probe(ctx context.Context, image string) (probed, error) {
	const look = `grep CapBnd /proc/self/status; stat -f -c "cgroup %T" /sys/fs/cgroup; echo "kubernetes $(cat /kind/version)"`
	out, err := k.docker.run(ctx, nil, "run", "--rm", "--privileged", "--cgroupns=private", "--network=none", "--pull=never",
		"--entrypoint", "/bin/sh", image, "-c", look)
	if err != nil && !said(err, noProgram...) {
		return probed{}, k.privilegedFault(ctx, image, err)
	}
	p := parseProbe(string(out))
	if p.kubernetes == "" {
		return probed{}, &fault.Error{
			Kind: fault.Config,
			What: image + " is not a node image of kind: it has no /kind/version",
			Next: "Name a node image (kindest/node:…) as cluster.nodeImage in devenv.yaml, or remove the key for the default.",
		}
	}
	return p, nil
}

// noProgram is what engines say of a container whose program does not exist.
var noProgram = []string{"executable file not found", "/bin/sh: no such file"}

// parseProbe reads what the probe printed. What it does not find it takes for usual.
func parseProbe(out string) probed {
	var p probed
	for line := range strings.Lines(out) {
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), " "); {
		case strings.HasPrefix(line, "CapBnd:"):
			bounding, err := strconv.ParseUint(strings.TrimSpace(strings.TrimPrefix(line, "CapBnd:")), 16, 64)
			p.noSysResource = err == nil && bounding&(1<<capSysResource) == 0
		case name == "cgroup":
			p.cgroupV1 = value != "cgroup2fs"
		case name == "kubernetes":
			p.kubernetes = strings.TrimSpace(value)
		}
	}
	return p
}
