package devenv

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/secret"
)

// state is the directory of one environment: $XDG_STATE_HOME/devenv/<environment>, readable by the user only. It holds the
// kubeconfig, the cluster's identity, the debug log, and caches. Everything but the identity can be lost without harm.
type state struct{ dir string }

func openState(environment string) (state, error) {
	home := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(home) { // the XDG specification has relative paths ignored
		user, err := os.UserHomeDir()
		if err != nil {
			return state{}, &fault.Error{Kind: fault.Machine, What: "no state directory", Err: err, Next: "Set HOME or XDG_STATE_HOME."}
		}
		home = filepath.Join(user, ".local", "state")
	}
	s := state{dir: filepath.Join(home, "devenv", environment)}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return state{}, &fault.Error{
			Kind: fault.Machine, What: "state directory cannot be made", Err: err,
			Next: "Make it writable, or set XDG_STATE_HOME to a directory that is.",
		}
	}
	return s, nil
}

func (s state) path(name string) string { return filepath.Join(s.dir, name) }

// maxLog is the size in bytes at which a debug log is put aside and a new one begun. One old log is kept.
const maxLog = 10 << 20

// log opens the debug log, which also goes to extra where that is not nil. What secrets knows is in neither.
func (s state) log(extra io.Writer, secrets *secret.Redactor) (*slog.Logger, io.Closer, error) {
	path := s.path("devenv.log")
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, nil, err
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, &fault.Error{Kind: fault.Machine, What: "debug log cannot be written", Err: err, Next: "Make the state directory writable."}
	}
	handler := slog.Handler(slog.NewJSONHandler(secrets.Writer(f), &slog.HandlerOptions{Level: slog.LevelDebug}))
	if extra != nil {
		text := slog.NewTextHandler(secrets.Writer(extra), &slog.HandlerOptions{Level: slog.LevelDebug})
		handler = slog.NewMultiHandler(handler, text)
	}
	return slog.New(handler).With("pid", os.Getpid()), f, nil
}

// lock makes this process the only one that changes the environment, until release is called or the process ends in any way.
// While another process holds it, the error is a fault.Busy that says which.
func (s state) lock() (release func(), err error) {
	f, err := os.OpenFile(s.path("lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &fault.Error{Kind: fault.Machine, What: "lock cannot be taken", Err: err, Next: "Make the state directory writable."}
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		holder, _ := io.ReadAll(io.LimitReader(f, 100))
		f.Close()
		return nil, &fault.Error{
			Kind: fault.Busy, What: fmt.Sprintf("another devenv (%s) is changing this environment", strings.TrimSpace(string(holder))),
			Next: "Wait until it is done, or stop it. Another environment of this project can run beside it: `devenv --env NAME up`.",
		}
	}
	if err != nil {
		f.Close()
		return nil, &fault.Error{Kind: fault.Machine, What: "lock cannot be taken", Err: err, Next: "The state directory must be on a file system with locks."}
	}
	// What is written here only serves the message above; the lock itself is the kernel's.
	if err := f.Truncate(0); err == nil {
		fmt.Fprintf(f, "pid %d\n", os.Getpid())
	}
	return func() { f.Close() }, nil
}

// writeFile replaces a file in one step, so that a crash leaves the old or the new content.
func writeFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return renameio.WriteFile(path, data, 0o600, renameio.WithTempDir(dir))
}
