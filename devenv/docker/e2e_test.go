package docker

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/fault"
)

// realEngine is the machine's engine, for tests that build real images. They need no base image: testdata/tool is a program that
// does without anything else in its image.
func realEngine(t *testing.T) *Engine {
	t.Helper()
	if os.Getenv("DEVENV_E2E") != "1" {
		t.Skip("needs a Docker Engine: set DEVENV_E2E=1")
	}
	e, err := Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

var buildTool = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "devenv-tool")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", filepath.Join(dir, "tool"), "./testdata/tool")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return os.ReadFile(filepath.Join(dir, "tool"))
})

// toolContext is a build context that holds the tool, and other files. The tool is different each time, so that no step is in the builder's
// cache: one that is prints nothing.
func toolContext(t *testing.T, files map[string]string) string {
	t.Helper()
	tool, err := buildTool()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, files)
	if err := os.WriteFile(filepath.Join(dir, "tool"), slices.Concat(tool, []byte(rand.Text())), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// testLabel is on the images of the tests, so that they can be removed, also those that lost their name to another.
const testLabel = "run.devenv.test"

// toolBuild is a build in dir, of an image that is removed after the test: the tool, and what the instructions make.
func toolBuild(t *testing.T, e *Engine, dir string, instructions ...string) Build {
	t.Helper()
	name := fmt.Sprintf("t%d", time.Now().UnixNano())
	t.Cleanup(func() {
		images, err := e.ImagesByLabel(context.Background(), testLabel+"="+name)
		if err != nil {
			t.Error(err)
		}
		for _, i := range images {
			if err := e.Remove(context.Background(), append(i.Tags, i.ID)); err != nil {
				t.Error(err)
			}
		}
	})
	return Build{
		Service: name, Ref: "devenv.test/" + name + ":devenv-1", Context: dir, DockerfileName: "services/" + name + "/Dockerfile",
		Dockerfile: []byte("FROM scratch\nCOPY tool /tool\n" + strings.Join(instructions, "\n") + "\n"),
		Labels:     map[string]string{testLabel: name},
	}
}

// lines collects progress.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) add(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, s)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.text, "\n")
}

func mustBuild(t *testing.T, e *Engine, b Build) string {
	t.Helper()
	var l lines
	if err := e.Build(t.Context(), b, l.add); err != nil {
		var f *fault.Error
		errors.As(err, &f)
		t.Fatalf("%v\n%+v\nprogress:\n%s", err, f, l.String())
	}
	return l.String()
}

func mustFail(t *testing.T, e *Engine, b Build) *fault.Error {
	t.Helper()
	var f *fault.Error
	if err := e.Build(t.Context(), b, func(string) {}); !errors.As(err, &f) {
		t.Fatalf("got %v, want a fault", err)
	}
	if f.Next == "" {
		t.Error("the fault does not say what to do")
	}
	return f
}

// contents are the files and links in the layers of an image, by path, beside the parts of its archive that are no layers.
func contents(t *testing.T, e *Engine, ref string) map[string]string {
	t.Helper()
	var archive bytes.Buffer
	if err := e.Export(t.Context(), []string{ref}, &archive); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for path, data := range untar(&archive) {
		layer := io.Reader(strings.NewReader(data))
		if unzipped, err := gzip.NewReader(layer); err == nil {
			layer = unzipped
		} else {
			layer = strings.NewReader(data)
		}
		inner := untar(layer)
		if len(inner) == 0 {
			files[path] = data
		}
		maps.Copy(files, inner)
	}
	return files
}

// untar reads what it can of an archive; what is none is empty.
func untar(r io.Reader) map[string]string {
	files := map[string]string{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if err != nil {
			return files
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			return files
		}
		if h.Typeflag != tar.TypeDir {
			files[h.Name] = string(data)
		}
	}
}
