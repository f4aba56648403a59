package main

import (
	"fmt"
	"strconv"
	"strings"
)

// capabilityNames are the names of Linux capabilities in the order of their numbers (capability.h).
var capabilityNames = [...]string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
	"CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
	"CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
	"CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
}

// bounding is a capability bounding set: bit n is capability number n.
type bounding uint64

// parseBounding reads the set out of the text of /proc/<pid>/status.
func parseBounding(status string) (bounding, error) {
	for line := range strings.Lines(status) {
		hex, found := strings.CutPrefix(line, "CapBnd:")
		if !found {
			continue
		}
		bits, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
		if err != nil {
			return 0, fmt.Errorf("bounding set: %w", err)
		}
		return bounding(bits), nil
	}
	return 0, fmt.Errorf("bounding set: no CapBnd line in the process status")
}

// allows reports whether the set has the named capability. A name that this program does not know is left for runc to
// judge.
func (b bounding) allows(name string) bool {
	for number, known := range capabilityNames {
		if known == name {
			return b&(1<<number) != 0
		}
	}
	return true
}
