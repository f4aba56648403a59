//go:build !linux

package devenv

import (
	"runtime/debug"
	"runtime/metrics"
)

// giveBack returns memory that is not needed while nothing happens.
func giveBack() { debug.FreeOSMemory() }

// resident is how much memory the process has, in bytes, as far as Go's runtime knows.
func resident() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64()) //nolint:gosec // it is far less than 8 EB
}
