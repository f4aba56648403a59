package docker

import (
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/image"
)

// fetch fetches the wanted layers and checks that they came, and nothing else did that the way to get them lets out.
func fetch(t *testing.T, get func(image.Want) (*image.Image, error), e *Engine, ref string, wanted ...string) (*image.Image, error) {
	t.Helper()
	d, err := e.Describe(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	spool, err := image.NewSpool(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { spool.Close() })
	w := image.Want{Ref: ref, ID: d.ID, Layers: d.Layers, Wanted: wanted, Size: d.Size, Spool: spool}
	if len(wanted) == len(d.Layers) {
		w.Bytes = d.Size
	}
	began := time.Now()
	i, err := get(w)
	t.Logf("%d of %d layers, %s: %v", len(wanted), len(d.Layers), time.Since(began).Round(time.Millisecond), err)
	if err != nil {
		return nil, err
	}
	if !w.Met(i) {
		t.Errorf("not what was wanted: %+v", i.Layers)
	}
	if ids, err := image.DiffIDs(i.Config); err != nil || !slices.Equal(ids, d.Layers) {
		t.Errorf("its configuration names %v, %v", ids, err)
	}
	return i, nil
}

// layered builds images of three layers, of which the second is big and always the same, and the third is another one each time.
func layered(t *testing.T, e *Engine) (big []byte, build func() (ref string, layers []string)) {
	t.Helper()
	big = make([]byte, 16<<20)
	_, _ = rand.Read(big)
	dir := toolContext(t, map[string]string{"big": string(big)})
	return big, func() (ref string, layers []string) {
		write(t, dir, map[string]string{"small": rand.Text()})
		b := toolBuild(t, e, dir, "COPY big /big", "COPY small /small")
		mustBuild(t, e, b)
		d, err := e.Describe(t.Context(), b.Ref)
		if err != nil || len(d.Layers) != 3 {
			t.Fatalf("%+v, %v", d, err)
		}
		return b.Ref, d.Layers
	}
}

func TestFetchForReal(t *testing.T) {
	e := realEngine(t)
	if !e.reachesUs(t.Context()) {
		t.Skip("the engine does not run on this machine")
	}
	if info, err := e.traits(t.Context()); err != nil || info.ContainerdStore {
		t.Skip("the engine goes by digests and has to learn none; see TestFetchFromAContainerdStore", err)
	}
	big, build := layered(t, e)
	push := func(w image.Want) (*image.Image, error) { return e.push(t.Context(), w) }
	all := func(w image.Want) (*image.Image, error) { return e.Fetch(t.Context(), w) }

	ref, layers := build()
	if _, err := fetch(t, push, e, ref, layers[2]); !errors.Is(err, errUntaught) {
		t.Fatalf("a push from an engine that knows no digests: %v", err)
	}
	if _, err := fetch(t, all, e, ref, layers...); err != nil {
		t.Fatalf("everything: %v", err)
	}
	if i, err := fetch(t, all, e, ref, layers[2]); err != nil || i.Layers[2].Pushed != "" {
		t.Fatalf("the new layer should have been read where it is unpacked: %+v, %v", i, err)
	}
	if err := e.teach(t.Context(), lesson{image.Digest(big)}); err == nil {
		t.Error("the engine learned about a layer that it does not have")
	}
	ref, layers = build()
	if err := e.teach(t.Context(), layers[:2]); err != nil {
		t.Fatal(err)
	}
	i, err := fetch(t, push, e, ref, layers[2])
	if err != nil {
		t.Fatalf("a push from an engine that was taught: %v", err)
	}
	for n, l := range i.Layers {
		if (l.File != "") != (n == 2) {
			t.Errorf("layer %d came, or did not: %+v", n, l)
		}
	}
	// The engine compressed the layer, and knows it by that from now on; a node that says so has it.
	if top := i.Layers[2]; top.Format != image.Plain || top.Pushed == "" || top.Pushed == top.Digest {
		t.Errorf("the layer that was pushed: %+v", top)
	}
	known := func(w image.Want) (*image.Image, error) {
		w.Held = map[string]string{i.Layers[2].Pushed: layers[2]}
		return push(w)
	}
	if _, err := fetch(t, known, e, ref); err != nil {
		t.Errorf("nothing, to a node that has what was pushed: %v", err)
	}
	// Everything is on the nodes already, under other names: only the configuration is new.
	if _, err := fetch(t, push, e, ref); err == nil {
		t.Log("no layer at all can be pushed")
	}
	if _, err := fetch(t, all, e, ref); err != nil {
		t.Errorf("no layer at all: %v", err)
	}
	if _, err := fetch(t, all, e, ref, layers[0], layers[2]); err != nil {
		t.Errorf("a node lost a layer that the engine knows by its digest: %v", err)
	}
	list, err := e.api.ImageList(t.Context(), listOurs())
	if err != nil || len(list) > 0 {
		t.Errorf("references left behind: %+v, %v", list, err)
	}
}
