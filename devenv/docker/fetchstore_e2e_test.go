package docker

import (
	"errors"
	"testing"

	"github.com/devenv-run/devenv/devenv/image"
)

// An engine with a containerd store knows its layers by the digests that it exports them under. Nodes that were sent those have them under the same.
func TestFetchFromAContainerdStore(t *testing.T) {
	e := realEngine(t)
	if info, err := e.traits(t.Context()); err != nil || !info.ContainerdStore {
		t.Skip("the engine has a classic store; see TestFetchForReal", err)
	}
	if !e.reachesUs(t.Context()) {
		t.Skip("the engine does not run on this machine")
	}
	_, build := layered(t, e)
	ref, layers := build()
	whole, err := fetch(t, func(w image.Want) (*image.Image, error) { return e.Fetch(t.Context(), w) }, e, ref, layers...)
	if err != nil {
		t.Fatalf("everything: %v", err)
	}
	if _, err := fetch(t, func(w image.Want) (*image.Image, error) { return e.push(t.Context(), w) }, e, ref, layers[2]); !errors.Is(err, errUntaught) {
		t.Fatalf("a push to nodes that have the layers under other digests: %v", err)
	}
	ref, layers = build()
	i, err := fetch(t, func(w image.Want) (*image.Image, error) {
		w.Held = map[string]string{whole.Layers[0].Digest: layers[0], whole.Layers[1].Digest: layers[1]}
		return e.push(t.Context(), w)
	}, e, ref, layers[2])
	if err != nil {
		t.Fatalf("a push to nodes that have the layers under the engine's digests: %v", err)
	}
	for n, l := range i.Layers {
		if (l.File != "") != (n == 2) {
			t.Errorf("layer %d came, or did not: %+v", n, l)
		}
	}
}
