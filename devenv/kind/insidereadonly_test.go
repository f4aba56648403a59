package kind

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/hot"
)

// readOnlyRoot gives the container a first process whose root is h.root, mounted read-only, with three mounts below it, as the container runtime makes it: a
// volume at /vol, one that is read-only at /fixed, and a file at /srv/mounted. It returns where these are.
func (h *here) readOnlyRoot(t *testing.T) (volume, fixed, file string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root mounts")
	}
	if out, err := exec.Command("unshare", "--mount", "true").CombinedOutput(); err != nil {
		t.Skipf("no namespace of mounts can be made on this machine: %v %s", err, out)
	}
	dir := t.TempDir()
	volume, fixed, file = filepath.Join(dir, "volume"), filepath.Join(dir, "fixed"), filepath.Join(dir, "file")
	for _, d := range []string{volume, fixed, h.root + "/vol", h.root + "/fixed", h.root + "/srv/tree/in"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{file, h.root + "/srv/mounted", h.root + "/srv/tree/in/mounted"} {
		if err := os.WriteFile(f, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ready := filepath.Join(h.tasks, "ready")
	script := `set -e; root=$1 
		mount --bind "$root" "$root"; mount --bind "$2" "$root/vol"; mount --bind "$4" "$root/srv/mounted"; mount --bind "$4" "$root/srv/tree/in/mounted"
		mount --bind "$3" "$root/fixed"; mount -o remount,bind,ro "$root/fixed"; mount -o remount,bind,ro "$root"
		exec perl -e 'open my $f, ">", $ARGV[1]; chroot $ARGV[0] and chdir "/" or die; print $f "ready"; close $f; sleep 600' "$root" "$5"`
	first := exec.Command("unshare", "--mount", "sh", "-c", script, "sh", h.root, volume, fixed, file, ready)
	first.Stderr = os.Stderr
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = first.Process.Kill() // it sleeps
		_ = first.Wait()
	})
	eventually(t, "the root is there", func() bool { return textOf(ready) == "ready" })
	task := filepath.Join(h.tasks, hereID)
	if err := errors.Join(os.WriteFile(filepath.Join(task, "init.pid"), []byte(strconv.Itoa(first.Process.Pid)), 0o600), os.Symlink(h.root, filepath.Join(task, "rootfs"))); err != nil {
		t.Fatal(err)
	}
	h.seen = fmt.Sprintf("/proc/%d/root", first.Process.Pid)
	return volume, fixed, file
}

func TestInsideWritesBelowARootThatIsReadOnly(t *testing.T) {
	h, in, _ := newHere(t)
	volume, fixed, file := h.readOnlyRoot(t)
	if err := os.WriteFile(h.seen+"/srv/x", nil, 0o600); err == nil {
		t.Fatal("the root is not read-only")
	}
	src := filepath.Join(t.TempDir(), "src")
	outside := t.TempDir()
	if err := errors.Join(os.WriteFile(src, []byte("new"), 0o600), os.Symlink("../vol", h.root+"/srv/way"), os.Symlink(outside, h.root+"/srv/out"),
		os.WriteFile(h.root+"/srv/gone", nil, 0o600), os.WriteFile(outside+"/keep", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	write := func(files ...hot.File) error { return in.Write(t.Context(), hereContainer, files) }
	at := func(to string) hot.File { return hot.File{To: to, From: src, Kind: digest.File, Mode: 0o644} }
	err := write(at("/srv/new"), at("/srv/deep/er/new"), at("/srv/mounted"), at("/vol/new"), at("/vol/deep/new"), at("/srv/way/linked"), at("/vol/mode/f"),
		hot.File{To: "/vol", Kind: digest.Dir, Mode: 0o700}, hot.File{To: "/srv/dir", Kind: digest.Dir, Mode: 0o1777}, hot.File{To: "/srv/link", Kind: digest.Link, Link: "new"},
		hot.File{To: "/srv/gone", Gone: true}, at("/top"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		h.root + "/srv/new", h.seen + "/srv/new", h.root + "/srv/deep/er/new", h.root + "/top", h.seen + "/srv/link",
		file, volume + "/new", volume + "/deep/new", volume + "/linked",
	} {
		if textOf(path) != "new" {
			t.Errorf("%s holds %q", path, textOf(path))
		}
	}
	if info, err := os.Stat(volume); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the volume's directory: %v, %v", info, err)
	}
	if _, err := os.Lstat(h.root + "/srv/gone"); err == nil {
		t.Error("what is gone is there")
	}
	if left, err := os.ReadDir(h.root + "/vol"); err != nil || len(left) > 0 {
		t.Errorf("below the volume: %v, %v", left, err)
	}
	if mounts := textOf(h.seen[:len(h.seen)-len("root")] + "mountinfo"); strings.Count(mounts, " /srv/") != 2 {
		t.Errorf("not mounted any more:\n%s", mounts)
	}
	for to, want := range map[string]string{"/fixed/new": "it is mounted read-only there", "/srv/tree": "Device or resource busy"} {
		f := at(to)
		f.Gone = to == "/srv/tree"
		if err := write(f); err == nil || !strings.Contains(fmt.Sprintf("%v %+v", err, err), want) || !strings.Contains(err.Error(), to) {
			t.Errorf("%s: %v, want %s", to, err, want)
		}
	}
	if left, err := os.ReadDir(fixed); err != nil || len(left) > 0 || textOf(h.root+"/srv/tree/in/mounted") != "old" {
		t.Errorf("%v, %v", left, err)
	}
	_ = write(at("/srv/out/new"))
	_ = write(hot.File{To: "/srv/out/keep", Gone: true}) // within the root, or not at all
	if list, err := os.ReadDir(outside); err != nil || len(list) != 1 {
		t.Errorf("outside there is now %v, %v", list, err)
	}
}
