package dockerfile_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/dockerfile"
)

// client finds a Docker client that builds with BuildKit: one of version 28 without its buildx plugin does not.
func client(t *testing.T) string {
	t.Helper()
	if os.Getenv("DEVENV_E2E") != "1" {
		t.Skip("needs a Docker Engine; set DEVENV_E2E=1")
	}
	root := plant(t, "Dockerfile")
	if err := os.WriteFile(filepath.Join(root, "Dockerfile"), []byte("FROM scratch\nCOPY . /\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var tried []error
	for _, docker := range []string{"docker", "/usr/bin/docker"} {
		if _, err := build(t, docker, root, "Dockerfile"); err == nil {
			return docker
		} else {
			tried = append(tried, err)
		}
	}
	t.Skip("no Docker client builds with BuildKit here:", errors.Join(tried...))
	return ""
}

// build makes an image of what COPY sees and gives its files as lines: kind, mode, path, and content or target.
func build(t *testing.T, docker, context, file string) ([]string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), docker, "build", "--output", "type=tar,dest=-", "--file", filepath.Join(context, file), context)
	cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, stderr.String())
	}
	lines := []string{}
	archive := tar.NewReader(bytes.NewReader(out))
	for {
		h, err := archive.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		kind := map[byte]digest.Kind{tar.TypeReg: digest.File, tar.TypeDir: digest.Dir, tar.TypeSymlink: digest.Link}[h.Typeflag]
		e := digest.Entry{Path: strings.TrimSuffix(h.Name, "/"), Kind: kind, Mode: uint32(h.Mode) & 0o7777, Size: h.Size, Link: h.Linkname}
		content, err := io.ReadAll(archive)
		if err != nil {
			return nil, err
		}
		e.Hash = sha256.Sum256(content)
		lines = append(lines, line(e))
	}
	slices.Sort(lines)
	return lines, nil
}

func line(e digest.Entry) string {
	switch e.Kind {
	case digest.File:
		return fmt.Sprintf("%s %c %04o %d %x", e.Path, e.Kind, e.Mode, e.Size, e.Hash[:4])
	case digest.Link:
		return fmt.Sprintf("%s %c %s", e.Path, e.Kind, e.Link)
	}
	return fmt.Sprintf("%s %c %04o", e.Path, e.Kind, e.Mode)
}

// check compares what the engine copies with what Walk says.
func check(t *testing.T, docker, context, file string) {
	t.Helper()
	want, err := build(t, docker, context, file)
	if err != nil {
		t.Fatal(err)
	}
	ignore, err := dockerfile.ReadIgnore(context, filepath.Join(context, file))
	if err != nil {
		t.Fatal(err)
	}
	m, err := digest.Walk(t.Context(), context, ignore, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, e := range m {
		got = append(got, line(e))
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func put(t *testing.T, root, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestEngineCopiesWhatWalkSees(t *testing.T) {
	docker := client(t)
	out, err := exec.CommandContext(t.Context(), docker, "version", "--format", "{{.Client.Version}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	version := string(out)
	const text = "FROM scratch\nCOPY . /\n"
	for _, c := range tricky {
		t.Run(c.name, func(t *testing.T) {
			if c.name == wildcardException && strings.HasPrefix(version, "20.") {
				t.Skip("this client gets it wrong")
			}
			root := plant(t, trickyFiles...)
			put(t, root, "Dockerfile", text)
			put(t, root, ".dockerignore", c.ignore)
			check(t, docker, root, "Dockerfile")
		})
	}
	t.Run("a Dockerfile's own ignore file", func(t *testing.T) {
		root := plant(t, trickyFiles...)
		put(t, root, "a/Dockerfile.dev", text)
		put(t, root, ".dockerignore", "docs\n")
		put(t, root, "a/Dockerfile.dev.dockerignore", "src\n**/*.dockerignore\n")
		check(t, docker, root, "a/Dockerfile.dev")
	})
	t.Run("a Dockerfile's own ignore file, empty", func(t *testing.T) {
		root := plant(t, trickyFiles...)
		put(t, root, "Dockerfile", text)
		put(t, root, ".dockerignore", "docs\n")
		put(t, root, "Dockerfile.dockerignore", "")
		check(t, docker, root, "Dockerfile")
	})
	// Pipes are not here: old engines leave them out of what COPY copies, newer ones do not; Walk has them.
	t.Run("modes, links and sockets", func(t *testing.T) {
		root := plant(t, "Dockerfile", "run.sh", "group", "dir/x", "empty/", "sticky/")
		put(t, root, "Dockerfile", text)
		for name, mode := range map[string]fs.FileMode{"run.sh": 0o755, "group": 0o664, "dir": 0o2775 | fs.ModeSetgid, "sticky": 0o777 | fs.ModeSticky} {
			if err := os.Chmod(filepath.Join(root, name), mode); err != nil {
				t.Fatal(err)
			}
		}
		listener, err := net.Listen("unix", filepath.Join(root, "sock"))
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		for _, err := range []error{
			os.Symlink("run.sh", filepath.Join(root, "link")), os.Symlink("/etc/passwd", filepath.Join(root, "out")),
			os.Symlink("dir", filepath.Join(root, "dirlink")), os.Symlink("nowhere", filepath.Join(root, "dangling")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		check(t, docker, root, "Dockerfile")
	})
}
