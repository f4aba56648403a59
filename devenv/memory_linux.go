package devenv

import (
	"bufio"
	"bytes"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// giveBack returns memory that is not needed while nothing happens: what the garbage collector holds, and the pages of the program's own file,
// which would stay mapped for as long as the process lives: all of it, once it has run for a while. Those that are needed again come
// back from the system's file cache, some milliseconds' worth in all.
func giveBack() {
	debug.FreeOSMemory()
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, m := range untouched(maps, exe) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.begin, m.end-m.begin, unix.MADV_DONTNEED) // without it nothing is lost but the memory
	}
}

// resident is how much memory the process has, in bytes: 0 where the kernel does not say.
func resident() int64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// mapping is a range of addresses.
type mapping struct{ begin, end uintptr }

// untouched finds in the text of /proc/self/smaps, see proc_pid_smaps(5), the read-only mappings of a file of which no page was ever written to, as a loader does that
// relocates: only these come back as they were.
func untouched(smaps []byte, file string) []mapping {
	var found []mapping
	var now mapping
	ours := false
	for lines := bufio.NewScanner(bytes.NewReader(smaps)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		if key, isField := strings.CutSuffix(fields[0], ":"); isField {
			// The last line of each mapping is VmFlags.
			switch {
			case key == "Anonymous": // pages that were written to
				ours = ours && fields[1] == "0"
			case key == "VmFlags" && ours:
				found = append(found, now)
			}
			continue
		}
		begin, end, _ := strings.Cut(fields[0], "-")
		b, badBegin := strconv.ParseUint(begin, 16, 64)
		e, badEnd := strconv.ParseUint(end, 16, 64)
		now = mapping{uintptr(b), uintptr(e)}
		ours = badBegin == nil && badEnd == nil && len(fields) > 5 && fields[5] == file && (fields[1] == "r-xp" || fields[1] == "r--p")
	}
	return found
}
