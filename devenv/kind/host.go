package kind

import (
	"context"
	"strconv"
	"strings"
)

// host is what a node finds on the engine's machine that kind's own configuration does not expect.
type host struct {
	cgroupV1      bool // the machine has cgroup v1, which the kubelet refuses by default since 1.35
	noSysResource bool // privileged containers do not have CAP_SYS_RESOURCE
}

// capSysResource is the number of CAP_SYS_RESOURCE, the right to raise limits and to lower OOM scores.
const capSysResource = 24

// probe asks the engine's machine by running a container the way nodes run. Only such a container shows what a node will find: the
// machine may be a virtual one, and the engine's runtime may take rights away.
func (k *Clusters) probe(ctx context.Context, image string) (host, error) {
	const look = `grep CapBnd /proc/self/status; stat -f -c "cgroup %T" /sys/fs/cgroup`
	out, err := k.docker.run(ctx, nil, "run", "--rm", "--privileged", "--cgroupns=private", "--network=none", "--pull=never",
		"--entrypoint", "/bin/sh", image, "-c", look)
	if err != nil {
		return host{}, k.privilegedFault(ctx, image, err)
	}
	return parseProbe(string(out)), nil
}

// parseProbe reads what the probe printed. What it does not find it takes for usual.
func parseProbe(out string) host {
	var h host
	for line := range strings.Lines(out) {
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), " "); {
		case strings.HasPrefix(line, "CapBnd:"):
			bounding, err := strconv.ParseUint(strings.TrimSpace(strings.TrimPrefix(line, "CapBnd:")), 16, 64)
			h.noSysResource = err == nil && bounding&(1<<capSysResource) == 0
		case name == "cgroup":
			h.cgroupV1 = value != "cgroup2fs"
		}
	}
	return h
}
