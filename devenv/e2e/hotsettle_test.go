package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	sequences = flag.Int("sequences", 3, "how many sequences of edits TestHotIsWhatABuildGives tries")
	seed      = flag.Uint64("seed", 0, "which ones; 0: others each time")
)

// TestHotIsWhatABuildGives edits a service's files at random while dev runs. After each edit the running container has, file by file, what an image
// built from the same tree has: first hot, and after a sequence settled.
func TestHotIsWhatABuildGives(t *testing.T) {
	checkout(t)
	parallel(t, 90*time.Second)
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", *seed)
	random := rand.New(rand.NewPCG(*seed, 1)) //nolint:gosec // edits, no secrets
	p := newHotPlace(t, "e2e-settle")
	p.onlyFiles(t)
	w := p.dev(t, "--settle-after", "1h")
	ways := map[string]int{}
	for n := range *sequences {
		for range 6 {
			from := w.now()
			var edits []string
			for range 1 + random.IntN(3) {
				edits = append(edits, p.editAtRandom(t, random))
			}
			want := p.built(t)
			var got map[string]string
			eventually(t, fmt.Sprintf("after %s, the container has what a build has", edits), func() error {
				if got = p.inContainer(t); !cmp.Equal(want, got) {
					return errors.New("(-build +container)\n" + cmp.Diff(want, got) + w.since(from))
				}
				return nil
			})
			if done := w.find(from, "dev.shortcut.done", nil); done != nil {
				ways[done.Way]++
			}
			t.Logf("%v: %s", edits, w.since(from))
		}
		if n < *sequences-1 {
			continue
		}
		w.stop()
		p.devenv(t, "up").must(t, 0)
		p.requireSettled(t)
		if diff := cmp.Diff(p.built(t), p.inContainer(t)); diff != "" {
			t.Errorf("settled (-build +container):\n%s", diff)
		}
	}
	t.Logf("ways: %v", ways)
	if ways["sync"] == 0 || ways["image"]+ways["swap"] == 0 {
		t.Errorf("only these ways were taken: %v", ways)
	}
}

// onlyFiles leaves the service files alone in the project.
func (p *place) onlyFiles(t *testing.T) {
	t.Helper()
	for file, keep := range map[string]func(block string) bool{
		"app.yaml":    func(block string) bool { return strings.Contains(block, "name: files") },
		"devenv.yaml": nil,
	} {
		data, err := os.ReadFile(filepath.Join(p.dir, file))
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		if keep != nil {
			text = strings.Join(slices.DeleteFunc(strings.Split(text, "---\n"), func(b string) bool { return !keep(b) }), "---\n")
		} else {
			head, _, _ := strings.Cut(text, "  py:\n")
			text = head + text[strings.Index(text, "  files:\n"):]
		}
		p.write(t, file, text)
	}
}

// editAtRandom creates, changes, removes, renames, or changes the mode or the kind of something in the service's context, and says what it did.
func (p *place) editAtRandom(t *testing.T, random *rand.Rand) string {
	t.Helper()
	root := filepath.Join(p.dir, "files")
	top := []string{"synced", "synced", "copied", "copied", "built", ""}[random.IntN(6)]
	if top == "" {
		name := []string{"one.txt", "README"}[random.IntN(2)]
		must(t, os.WriteFile(filepath.Join(root, name), []byte(unique(name)+"\n"), 0o644)) //nolint:gosec // a test's file
		return "write " + name
	}
	dirs, all := []string{top}, []string{}
	must(t, filepath.WalkDir(filepath.Join(root, top), func(full string, e fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(root, full); rel != top && err == nil {
			all = append(all, rel)
			if e.IsDir() {
				dirs = append(dirs, rel)
			}
		}
		return err
	}))
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	fresh := path.Join(pick(dirs), fmt.Sprintf("n%d", random.IntN(6)))
	name, full := fresh, filepath.Join(root, fresh)
	if len(all) > 0 && random.IntN(3) > 0 {
		name = pick(all)
		full = filepath.Join(root, name)
	}
	info, err := os.Lstat(full)
	exists := err == nil
	switch what := random.IntN(8); {
	case what == 0 && exists:
		must(t, os.RemoveAll(full))
		return "remove " + name
	case what == 1 && exists && !strings.HasPrefix(fresh+"/", name+"/"):
		to := filepath.Join(root, fresh)
		must(t, os.RemoveAll(to))
		if _, err := os.Lstat(full); err != nil {
			return "remove " + fresh // what was to be renamed was in it
		}
		must(t, os.Rename(full, to))
		return "rename " + name + " to " + fresh
	case what == 2 && exists && info.Mode()&fs.ModeSymlink == 0:
		mode := []fs.FileMode{0o644, 0o755, 0o600}[random.IntN(3)]
		if info.IsDir() {
			mode |= 0o700
		}
		must(t, os.Chmod(full, mode))
		return fmt.Sprintf("chmod %o %s", mode, name)
	case what == 3 && top != "built":
		must(t, os.RemoveAll(full))
		// To files that are there and differ: the engine's old builder takes a link for what it leads to, and finds the wrong one in its cache.
		must(t, os.Symlink(strings.Repeat("../", strings.Count(name, "/"))+[]string{"one.txt", "README"}[random.IntN(2)], full))
		return "link " + name
	case what == 4:
		must(t, os.RemoveAll(full))
		must(t, os.Mkdir(full, 0o755)) //nolint:gosec // a test's directory
		return "mkdir " + name
	}
	if exists && !info.Mode().IsRegular() {
		must(t, os.RemoveAll(full))
	}
	must(t, os.WriteFile(full, []byte(unique(name)+"\n"), 0o644)) //nolint:gosec // a test's file
	return "write " + name
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// runtimes says whether a path of a container comes from the container runtime.
func runtimes(name string) bool {
	top, _, _ := strings.Cut(name, "/")
	return slices.Contains([]string{"", ".", "dev", "proc", "sys", "etc", "run", "var", ".dockerenv", "product_uuid", "product_name"}, top)
}

// built builds the image of the service from the tree as it is, and lists its files.
func (p *place) built(t *testing.T) map[string]string {
	t.Helper()
	context := filepath.Join(p.dir, "files")
	build := exec.Command("docker", "build", "-q", context)
	id, err := build.Output()
	must(t, err)
	image := strings.TrimSpace(string(id))
	made, err := exec.Command("docker", "create", image).Output()
	must(t, err)
	defer func() { _ = exec.Command("docker", "rm", strings.TrimSpace(string(made))).Run() }()
	archive, err := exec.Command("docker", "export", strings.TrimSpace(string(made))).Output()
	must(t, err)
	files := map[string]string{}
	for in := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		must(t, err)
		name := path.Clean(h.Name)
		if runtimes(name) {
			continue
		}
		sum := sha256.New()
		_, err = io.Copy(sum, in)
		must(t, err)
		switch h.Typeflag {
		case tar.TypeDir:
			files[name] = fmt.Sprintf("d %o %d:%d", h.Mode&0o7777, h.Uid, h.Gid)
		case tar.TypeSymlink:
			files[name] = "l " + h.Linkname
		default:
			files[name] = fmt.Sprintf("f %o %d:%d %x", h.Mode&0o7777, h.Uid, h.Gid, sum.Sum(nil))
		}
	}
}

// inContainer lists the files of the service's container, through its node.
func (p *place) inContainer(t *testing.T) map[string]string {
	t.Helper()
	ids, err := p.kubectl("-n", "hot", "get", "pods", "-l", "app=files", "-o", `jsonpath={range .items[?(@.metadata.deletionTimestamp=="")]}{.status.containerStatuses[0].containerID}{end}{.items[0].status.containerStatuses[0].containerID}`)
	if err != nil {
		return nil
	}
	at := strings.LastIndex(ids, "//")
	if at < 0 {
		return nil // it has not begun yet
	}
	id := ids[at+2:]
	script := `cd /proc/$(cat /run/containerd/io.containerd.runtime.v2.task/k8s.io/` + id + `/init.pid)/root &&
		find . -xdev -printf '%y %m %U:%G %P|%l\n' && find . -xdev -type f -exec sha256sum {} +`
	out, err := exec.Command("docker", "exec", p.cluster()+"-control-plane", "sh", "-c", script).Output()
	if err != nil {
		return nil // it is being replaced
	}
	files := map[string]string{}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSuffix(line, "\n")
		if sum, name, isSum := strings.Cut(line, "  ./"); isSum && len(sum) == 64 {
			if !runtimes(name) {
				files[name] += " " + sum
			}
			continue
		}
		f := strings.SplitN(line, " ", 4)
		name, link, _ := strings.Cut(f[3], "|")
		switch {
		case runtimes(name):
		case f[0] == "l":
			files[name] = "l " + link
		default:
			files[name] = fmt.Sprintf("%s %s %s", f[0], f[1], f[2])
		}
	}
	return files
}
