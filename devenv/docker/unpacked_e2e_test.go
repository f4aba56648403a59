package docker

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"

	"github.com/devenv-run/devenv/devenv/image"
)

// unpackedEngine is a real engine whose layers can be read where it has unpacked them.
func unpackedEngine(t *testing.T) *Engine {
	t.Helper()
	e := realEngine(t)
	info, err := e.traits(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.ContainerdStore || info.StorageDriver != "overlay2" || info.UserNamespace || !e.reachesUs(t.Context()) {
		t.Skipf("the engine does not say where layers are, or does not run on this machine: %+v", info)
	}
	return e
}

// readers are the containers for reading layers that there are.
func readers(t *testing.T, e *Engine) int {
	t.Helper()
	list, err := e.api.ContainerList(t.Context(), container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", readerLabel))})
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestUnpackedForReal(t *testing.T) {
	e := unpackedEngine(t)
	long := strings.Repeat("long/", 40) + strings.Repeat("n", 120)
	dir := toolContext(t, map[string]string{"tree/" + long: "a", "tree/gone": "b", "tree/sub/gone": "c", "tree/sub/ünï": "d", "tree/kept": "e", "top": "f"})
	if err := os.Symlink("../kept", dir+"/tree/sub/link"); err != nil {
		t.Fatal(err)
	}
	b := toolBuild(t, e, dir,
		"COPY --chown=1234:33 tree /tree", // numbers that have other names in some places than in others
		`RUN ["/tool", "change", "remove", "/tree/gone", "remove", "/tree/sub/gone", "setuid", "/tree/kept", "link", "/tree/kept"]`,
		"COPY top /etc/top",
		`VOLUME /tree/sub`,
	)
	mustBuild(t, e, b)
	d, err := e.Describe(t.Context(), b.Ref)
	if err != nil || len(d.Layers) != 4 {
		t.Fatalf("%+v, %v", d, err)
	}
	read := func(w image.Want) (*image.Image, error) { return e.unpacked(t.Context(), w) }
	for _, wanted := range [][]string{d.Layers, d.Layers[1:3], d.Layers[3:]} {
		i, err := fetch(t, read, e, b.Ref, wanted...)
		if err != nil {
			t.Fatalf("%d layers: %v", len(wanted), err)
		}
		if _, named := i.Sizes(); (named > 0) != (len(wanted) < 4) && named != 0 {
			t.Errorf("%d layers: %+v", len(wanted), i.Layers)
		}
	}
	// Of a directory that replaces another no archive says so. It does not come as something else than it is, and comes all the same.
	b.Dockerfile = append(b.Dockerfile, []byte(`RUN ["/tool", "change", "replace", "/tree"]`+"\n")...)
	mustBuild(t, e, b)
	if d, err = e.Describe(t.Context(), b.Ref); err != nil || len(d.Layers) != 5 {
		t.Fatalf("%+v, %v", d, err)
	}
	if _, err := fetch(t, read, e, b.Ref, d.Layers[4]); !errors.Is(err, image.ErrDamaged) {
		t.Errorf("a directory that replaces another: %v", err)
	}
	i, err := fetch(t, func(w image.Want) (*image.Image, error) { return e.Fetch(t.Context(), w) }, e, b.Ref, d.Layers[3:]...)
	if err != nil || i.Layers[4].Pushed == "" {
		t.Errorf("what cannot be read is pushed: %+v, %v", i, err)
	}
	if n := readers(t, e); n > 0 {
		t.Errorf("%d containers for reading layers were left behind", n)
	}
}

// Layers that did not come of a build here come as they came.
func TestUnpackedFromElsewhereForReal(t *testing.T) {
	e := unpackedEngine(t)
	for _, ref := range []string{"debian:bookworm-slim", "python:3.11-slim-bookworm"} {
		d, err := e.Describe(t.Context(), ref)
		if err != nil {
			t.Skip("the engine does not hold ", ref, ": ", err)
		}
		i, err := fetch(t, func(w image.Want) (*image.Image, error) { return e.unpacked(t.Context(), w) }, e, ref, d.Layers...)
		if err != nil || !i.Has(d.Layers) {
			t.Errorf("%s: %+v, %v", ref, i, err)
		}
	}
}
