package main

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of /proc/stat: USER_HZ, which is 100 on every platform that Linux runs kind on.
const tick = 10 * time.Millisecond

// busy is for how long all processors of this machine together have worked since it started, whoever had them work. It is 0 where there is no
// /proc/stat. See proc_pid_stat(5): user, nice, system, idle, iowait, irq, softirq, steal.
func busy() time.Duration {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	var ticks int64
	for i, field := range strings.Fields(string(line)) {
		switch i {
		case 1, 2, 3, 6, 7:
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * tick
}

// least is the shortest time in which this machine's processors can do the work, if nothing ever waits.
func least(work time.Duration) time.Duration { return work / time.Duration(runtime.NumCPU()) }
