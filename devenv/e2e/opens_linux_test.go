package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// watchOpens has the kernel tell when somebody opens, changes or replaces one of the files, or makes a file beside it. The returned
// function lists what happened since it was last called.
func watchOpens(t *testing.T, files ...string) func() []string {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	names := map[int32]string{}
	watch := func(path string, mask uint32) {
		wd, err := unix.InotifyAddWatch(fd, path, mask)
		if err != nil {
			t.Fatal(err)
		}
		names[int32(wd)] = path
	}
	for _, f := range files {
		watch(f, unix.IN_OPEN|unix.IN_ACCESS|unix.IN_MODIFY|unix.IN_ATTRIB|unix.IN_MOVE_SELF|unix.IN_DELETE_SELF)
		watch(filepath.Dir(f), unix.IN_CREATE|unix.IN_MOVED_TO)
	}
	return func() []string {
		var events []string
		buffer := make([]byte, 64<<10)
		for {
			n, err := unix.Read(fd, buffer)
			if err != nil || n <= 0 { // EAGAIN: nothing more happened
				return events
			}
			for at := 0; at < n; {
				e := (*unix.InotifyEvent)(unsafe.Pointer(&buffer[at]))
				events = append(events, fmt.Sprintf("%s %#x", names[e.Wd], e.Mask))
				at += unix.SizeofInotifyEvent + int(e.Len)
			}
		}
	}
}
