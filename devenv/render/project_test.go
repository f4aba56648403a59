package render

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"
)

// Several renderings at once give what one gives; run with -race.
func TestRenderConcurrently(t *testing.T) {
	want, err := Render(t.Context(), shop(t))
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			got, err := Render(t.Context(), shop(t))
			if err != nil {
				t.Error(err)
				return
			}
			for i := range want.Sources {
				for n, o := range want.Sources[i].Objects {
					if got.Sources[i].Objects[n].Hash != o.Hash {
						t.Errorf("%s is different", o.ID)
					}
				}
			}
		})
	}
	group.Wait()
}

// The project may live in a directory whose name means something to pattern matching, and be reached through a link.
func TestRenderInOddDirectory(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "a[b]*c {d}")
	if err := os.CopyFS(dir, os.DirFS(shop(t).Dir)); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(base, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	want, err := Render(t.Context(), shop(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{dir, link} {
		in := shop(t)
		in.Dir = place
		got, err := Render(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if describe(t, got) != describe(t, want) {
			t.Errorf("in %s the result is different", place)
		}
	}
	broken := filepath.Join(dir, "deploy/data/base/worker.yaml")
	if err := os.WriteFile(broken, []byte("a: b\nc: d: e\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	in := shop(t)
	in.Dir = link
	if _, err := Render(t.Context(), in); err == nil || !strings.HasPrefix(err.Error(), "deploy/data/base/worker.yaml:2: not a valid manifest") {
		t.Errorf("error is %v", err)
	}
}

func TestRenderStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Render(ctx, shop(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

// Kustomize's library writes warnings to os.Stderr; a terminal that shows progress must not get them.
func TestRenderIsSilent(t *testing.T) {
	in := project(t, Source{Kustomize: "."}, `
-- kustomization.yaml --
resources: [map.yaml]
commonLabels: {a: b}
sortOptions: {order: fifo}
-- map.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
`)
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	stderr := os.Stderr
	os.Stderr = file
	_, err = Render(t.Context(), in)
	restored := os.Stderr == file
	os.Stderr = stderr
	if err != nil {
		t.Fatal(err)
	}
	if !restored {
		t.Error("os.Stderr is not what it was")
	}
	if said, _ := os.ReadFile(file.Name()); len(said) > 0 {
		t.Errorf("it said %q", said)
	}
}

// The sample application renders with its own services: without a note, and every image is a service's or a third party's.
func TestRenderSampleApp(t *testing.T) {
	dir, err := filepath.Abs("../../sample-app")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "devenv.yaml"))
	if err != nil {
		t.Skip("the sample app is not here")
	}
	var declared struct {
		Services map[string]struct{ Image string }
		Deploy   []Source
	}
	if err := yaml.Unmarshal(data, &declared); err != nil {
		t.Fatal(err)
	}
	in := Input{Dir: dir, Sources: declared.Deploy, Capabilities: Capabilities{KubeVersion: "v1.36.3"}}
	var allowed []string
	for name, s := range declared.Services {
		in.Services = append(in.Services, Service{Name: name, Repository: s.Image, Ref: s.Image + ":devenv-1"})
		allowed = append(allowed, s.Image+":devenv-1")
	}
	got, err := Render(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Notes) > 0 {
		t.Errorf("notes: %q", got.Notes)
	}
	for _, s := range got.Sources {
		for _, o := range s.Objects {
			for _, ref := range o.Images {
				if !slices.Contains(allowed, ref) && !slices.Contains(got.ThirdParty, ref) {
					t.Errorf("%s uses %s, which is nobody's", o.ID, ref)
				}
			}
		}
	}
}
