package kind

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/devenvtest"
	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
)

// here is a world in whose nodes a docker exec of perl runs on this machine. Its one container has a directory of this machine as its root, and a process here.
type here struct {
	*world
	root, tasks string
	seen        string // where the container's root is instead, if that is not root
	opened      []io.Closer
	refuse      string // what docker says instead of running anything
	silent      bool   // nothing is ever said
}

func (h *here) Exec(_ context.Context, _ string, command []string, stderr io.Writer) (io.ReadWriteCloser, error) {
	prelude := fmt.Sprintf("BEGIN { $main::tasks = '%s'; $main::inside = '%s' }\n", h.tasks, cmp.Or(h.seen, h.root))
	if h.refuse != "" {
		prelude = fmt.Sprintf("BEGIN { print STDERR '%s'; exit 1 }\n", h.refuse)
	}
	if h.silent {
		prelude = "BEGIN { 1 while sysread STDIN, my $data, 1 << 16; exit 0 }"
	}
	s, err := start(stderr, command[0], "-e", prelude+command[len(command)-1])
	h.opened = append(h.opened, s)
	return s, err
}

const hereID = "c0ffee"

// newHere is an Inside on this machine, with a container whose first process is a shell that notes signals in the file heard.
func newHere(t *testing.T) (*here, *Inside, *exec.Cmd) {
	t.Helper()
	if _, err := exec.LookPath("perl"); err != nil {
		t.Skip("there is no perl on this machine: " + err.Error())
	}
	w := newWorld()
	k := w.clusters(t.TempDir(), testSpec(0))
	if err := k.Create(t.Context(), resolve(t, k), silent); err != nil {
		t.Fatal(err)
	}
	h := &here{world: w, root: t.TempDir(), tasks: t.TempDir()}
	k.Engine = h
	k.wait.node, k.wait.load.stall = 10*time.Second, 10*time.Second
	if err := errors.Join(os.MkdirAll(filepath.Join(h.tasks, hereID), 0o700), os.Mkdir(filepath.Join(h.root, "srv"), 0o700)); err != nil {
		t.Fatal(err)
	}
	heard := filepath.Join(h.tasks, "heard")
	first := exec.Command("/bin/sh", "-c", `for s in USR2 USR1; do trap "echo $s >>'$0'" $s; done; echo ready >>"$0"; while sleep 0.02; do :; done`, heard)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = first.Process.Kill() // it may have ended
		_ = first.Wait()
	})
	eventually(t, "the process listens", func() bool { return strings.Contains(textOf(heard), "ready") })
	if err := os.WriteFile(filepath.Join(h.tasks, hereID, "init.pid"), []byte(strconv.Itoa(first.Process.Pid)), 0o600); err != nil {
		t.Fatal(err)
	}
	in := k.Enter()
	t.Cleanup(func() { _ = in.Close() })
	return h, in, first
}

func textOf(path string) string {
	data, _ := os.ReadFile(path) // no file: nothing in it
	return string(data)
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not: " + what)
		}
	}
}

var hereContainer = hot.Container{Node: testName + "-control-plane", ID: hereID}

func TestInsideContract(t *testing.T) {
	devenvtest.InsideSuite(t, func(t *testing.T) devenvtest.InsideSubject {
		h, in, first := newHere(t)
		return devenvtest.InsideSubject{
			Inside: in, Container: hereContainer,
			Look: func(t *testing.T, path string) hot.File { return lookAt(t, h.root+path, path) },
			Heard: func(t *testing.T, signal string) {
				eventually(t, "it heard "+signal, func() bool { return strings.Contains(textOf(filepath.Join(h.tasks, "heard")), signal) })
			},
			Stop: func(*testing.T) {
				_ = first.Process.Kill()
				_ = first.Wait()
			},
		}
	})
}

// lookAt is what a path of this machine is.
func lookAt(t *testing.T, at, to string) hot.File {
	t.Helper()
	info, err := os.Lstat(at)
	if err != nil {
		return hot.File{To: to}
	}
	f := hot.File{To: to, Mode: info.Sys().(*syscall.Stat_t).Mode & 0o7777}
	switch {
	case info.IsDir():
		f.Kind = digest.Dir
	case info.Mode()&os.ModeSymlink != 0:
		f.Kind = digest.Link
		f.Link, err = os.Readlink(at)
	default:
		f.Kind = digest.File
		f.From = textOf(at)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestInsideKeepsOwners(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root gives files away")
	}
	h, in, _ := newHere(t)
	src := filepath.Join(t.TempDir(), "src")
	if err := errors.Join(os.WriteFile(src, []byte("new"), 0o600), os.Chown(h.root+"/srv", 1000, 1001), os.WriteFile(h.root+"/srv/old", nil, 0o600), os.Chown(h.root+"/srv/old", 7, 8)); err != nil {
		t.Fatal(err)
	}
	err := in.Write(t.Context(), hereContainer, []hot.File{
		{To: "/srv/old", From: src, Kind: digest.File, Mode: 0o4755}, {To: "/srv/new", From: src, Kind: digest.File, Mode: 0o2755},
		{To: "/srv/made/deep/file", From: src, Kind: digest.File, Mode: 0o644}, {To: "/srv/dir", Kind: digest.Dir, Mode: 0o755}, {To: "/srv/link", Kind: digest.Link, Link: "old"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"old": "7 8 4755", "new": "1000 1001 2755", "made": "1000 1001 755", "made/deep": "1000 1001 755", "made/deep/file": "1000 1001 644", "dir": "1000 1001 755", "link": "1000 1001 777",
	} {
		info, err := os.Lstat(filepath.Join(h.root, "srv", path))
		if err != nil {
			t.Fatal(err)
		}
		s := info.Sys().(*syscall.Stat_t)
		if got := fmt.Sprintf("%d %d %o", s.Uid, s.Gid, s.Mode&0o7777); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

func TestInsideStaysInside(t *testing.T) {
	h, in, _ := newHere(t)
	outside := t.TempDir()
	src := filepath.Join(t.TempDir(), "src")
	if err := errors.Join(os.WriteFile(src, []byte("new"), 0o600), os.WriteFile(outside+"/keep", []byte("keep"), 0o600), os.MkdirAll(outside+"/dir/sub", 0o700)); err != nil {
		t.Fatal(err)
	}
	up := strings.Repeat("../", 30)
	for name, to := range map[string]string{
		"absolute": outside, "climbs": up + outside[1:], "proc": "/proc/self/root" + outside, "file": outside + "/keep", "through": "absolute/dir", "loop": "loop",
	} {
		if err := os.Symlink(to, h.root+"/srv/"+name); err != nil {
			t.Fatal(err)
		}
	}
	// Within the root the link leads somewhere too.
	if err := errors.Join(os.MkdirAll(h.root+outside, 0o700), in.Write(t.Context(), hereContainer, []hot.File{{To: "/srv/absolute/keep", From: src, Kind: digest.File, Mode: 0o644}})); err != nil {
		t.Fatal(err)
	}
	if textOf(h.root+outside+"/keep") != "new" {
		t.Error("a link that is absolute does not lead to the same place within the root")
	}
	for _, f := range []hot.File{
		{To: "/srv/climbs/keep", From: src, Kind: digest.File, Mode: 0o644},
		{To: "/srv/proc/keep", From: src, Kind: digest.File, Mode: 0o644},
		{To: "/srv/through/x", From: src, Kind: digest.File, Mode: 0o644},
		{To: "/srv/file", From: src, Kind: digest.File, Mode: 0o777},
		{To: "/srv/loop/x", From: src, Kind: digest.File, Mode: 0o644},
		{To: "/srv/absolute/dir", Kind: digest.Dir, Mode: 0o777},
		{To: "/srv/absolute/link", Kind: digest.Link, Link: "x"},
		{To: "/srv/climbs/dir", Gone: true},
		{To: "/srv/absolute/keep", Gone: true},
		{To: "/srv/proc", Gone: true},
	} {
		_ = in.Write(t.Context(), hereContainer, []hot.File{f}) // some fail, some work within the root: what counts is what is outside
	}
	var found []string
	err := filepath.Walk(outside, func(path string, _ os.FileInfo, err error) error {
		found = append(found, strings.TrimPrefix(path, outside))
		return err
	})
	if got := strings.Join(found, " "); err != nil || got != " /dir /dir/sub /keep" || textOf(outside+"/keep") != "keep" {
		t.Errorf("outside there is now %q, keep holds %q, %v", got, textOf(outside+"/keep"), err)
	}
	if info, err := os.Stat(outside + "/dir"); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestInsideIsNotLedOutWhileItWrites(t *testing.T) {
	h, in, _ := newHere(t)
	outside, src := t.TempDir(), filepath.Join(t.TempDir(), "src")
	if err := os.WriteFile(src, make([]byte, 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // somebody in the container who replaces the directory by a link that leads out, again and again
		defer close(done)
		dir, aside := h.root+"/srv/dir", h.root+"/srv/aside"
		for range 3000 {
			_ = os.Mkdir(dir, 0o755)
			_ = os.Rename(dir, aside)
			_ = os.Symlink(outside, dir)
			_ = os.Remove(dir)
			_ = os.Rename(aside, dir)
		}
	}()
	for n := 0; ; n++ {
		var files []hot.File
		for m := range 10 {
			files = append(files, hot.File{To: fmt.Sprintf("/srv/dir/f%d-%d", n, m), From: src, Kind: digest.File, Mode: 0o644}, hot.File{To: "/srv/dir/gone", Gone: true})
		}
		_ = in.Write(t.Context(), hereContainer, files) // it may find nothing where it looks
		select {
		case <-done:
		default:
			continue
		}
		break
	}
	if list, err := os.ReadDir(outside); err != nil || len(list) > 0 {
		t.Errorf("outside there is now %v, %v", list, err)
	}
}

func TestInsideOpensABrokenConnectionAgain(t *testing.T) {
	h, in, _ := newHere(t)
	src := filepath.Join(t.TempDir(), "src")
	if err := os.WriteFile(src, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		to := fmt.Sprintf("/srv/f%d", n)
		if err := in.Write(t.Context(), hereContainer, []hot.File{{To: to, From: src, Kind: digest.File, Mode: 0o644}}); err != nil {
			t.Fatal(err)
		}
		if textOf(h.root+to) != "new" {
			t.Errorf("%s was not written", to)
		}
		_ = h.opened[n].Close()
	}
	if len(h.opened) != 3 {
		t.Errorf("%d connections were opened", len(h.opened))
	}
}

func TestInsideSaysWhatANodeLacks(t *testing.T) {
	h, in, _ := newHere(t)
	for said, want := range map[string]error{
		"exec: perl: executable file not found in $PATH": hot.ErrNotInside,
		"": hot.ErrNotInside,
	} {
		h.refuse = said + " "
		err := in.Write(t.Context(), hereContainer, []hot.File{{To: "/srv/a", Gone: true}})
		if !errors.Is(err, want) || !strings.Contains(err.Error(), said) {
			t.Errorf("%q: %v", said, err)
		}
	}
	h.refuse = "Error response from daemon: container 1 is not running"
	err := in.Signal(t.Context(), hereContainer, "HUP")
	if errors.Is(err, hot.ErrNotInside) || fault.Of(err) != fault.Machine || !strings.Contains(err.Error(), "the node does not run") {
		t.Errorf("%v", err)
	}
	h.refuse = ""
	if err := in.Write(t.Context(), hereContainer, []hot.File{{To: "/srv/a", Gone: true}}); err != nil {
		t.Errorf("once it lacks nothing: %v", err)
	}
	if err := errors.Join(in.Close()); err != nil {
		t.Error(err)
	}
	if err := in.Write(t.Context(), hereContainer, nil); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestAWriteThatIsStoppedLeavesNothing(t *testing.T) {
	h, in, _ := newHere(t)
	big := filepath.Join(t.TempDir(), "big")
	if err := errors.Join(os.WriteFile(big, nil, 0o600), os.Truncate(big, 64<<30)); err != nil { // it would take minutes
		t.Fatal(err)
	}
	beside := h.root + "/srv/.devenv-hot"
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		stopped <- in.Write(ctx, hereContainer, []hot.File{{To: "/srv/big", From: big, Kind: digest.File, Mode: 0o644}})
	}()
	eventually(t, "it writes beside", func() bool { _, err := os.Stat(beside); return err == nil })
	cancel()
	if err := <-stopped; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	eventually(t, "nothing is left", func() bool { _, err := os.Stat(beside); return errors.Is(err, os.ErrNotExist) })
	if _, err := os.Stat(h.root + "/srv/big"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
	// What an agent leaves that is killed goes with the next file of that directory.
	if err := errors.Join(os.WriteFile(beside, nil, 0o600), os.Truncate(big, 1)); err != nil {
		t.Fatal(err)
	}
	if err := in.Write(t.Context(), hereContainer, []hot.File{{To: "/srv/big", From: big, Kind: digest.File, Mode: 0o644}}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(beside); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old one is there: %v", err)
	}
}

func TestAnAgentThatSaysNothingIsGivenUp(t *testing.T) {
	h, in, _ := newHere(t)
	in.clusters.wait.node = 50 * time.Millisecond
	h.silent = true
	err := in.Write(t.Context(), hereContainer, nil)
	if err == nil || !strings.Contains(err.Error(), "did not answer") {
		t.Errorf("%v", err)
	}
}
