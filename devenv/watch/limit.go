package watch

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"

	"github.com/devenv-run/devenv/devenv/fault"
)

// limited says whether a directory could not be watched because the machine allows no more, rather than because of the directory.
func limited(err error) bool {
	for _, known := range []error{syscall.ENOSPC, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// limitFault is what a user reads about a limit: polled of all directories are polled because of cause.
func limitFault(cause error, polled, all int) error {
	next := "changes there are found a little later. Raise the limit of open files (ulimit -n) and start again to have them watched"
	if runtime.GOOS == "linux" {
		name, value := "max_user_watches", 524288
		if errors.Is(cause, syscall.EMFILE) {
			name, value = "max_user_instances", 1024
		}
		now := "unknown"
		if data, err := os.ReadFile("/proc/sys/fs/inotify/" + name); err == nil {
			now = strings.TrimSpace(string(data))
		}
		next = fmt.Sprintf("changes there are found a little later. To have them watched, raise the limit (it is %s): sudo sysctl fs.inotify.%s=%d "+
			"(and put fs.inotify.%s=%d into /etc/sysctl.d/60-devenv.conf to keep it); or name directories that no build needs in .dockerignore. "+
			"Other programs of the same user count, too", now, name, value, name, value)
	}
	return &fault.Error{
		Kind: fault.Machine, What: fmt.Sprintf("%d of %d directories cannot be watched and are polled", polled, all), Err: cause, Next: next,
	}
}

// warnOfLimit tells once that not everything is watched.
func (f *forest) warnOfLimit() {
	if f.limit == nil || f.warned {
		return
	}
	f.warned = true
	polled := 0
	for _, d := range f.dirs {
		if d.polled {
			polled++
		}
	}
	f.options.Warn(limitFault(f.limit, polled, len(f.dirs)))
}
