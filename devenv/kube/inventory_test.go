package kube

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

func drawID(t *rapid.T, label string) plan.ID {
	word := rapid.StringMatching(`[a-z][a-z0-9-]{0,12}`)
	return plan.ID{
		Group:     rapid.SampledFrom([]string{"", "apps", "batch", "example.com"}).Draw(t, label+" group"),
		Kind:      rapid.SampledFrom([]string{"ConfigMap", "Deployment", "Job", "Widget"}).Draw(t, label+" kind"),
		Namespace: rapid.OneOf(rapid.Just(""), word).Draw(t, label+" namespace"),
		Name:      word.Draw(t, label+" name"),
	}
}

func drawInventory(t *rapid.T) inventory {
	v := newInventory()
	text, flag := rapid.StringMatching(`[a-z0-9]{0,16}`), rapid.Bool()
	for range rapid.IntRange(0, 20).Draw(t, "objects") {
		v.Objects[drawID(t, "object")] = entry{Source: text.Draw(t, "source"), Hash: text.Draw(t, "hash"), UID: text.Draw(t, "uid"),
			Holdings: text.Draw(t, "holdings"), Adopted: flag.Draw(t, "adopted"), Finished: flag.Draw(t, "finished")}
	}
	for range rapid.IntRange(0, 5).Draw(t, "hooks") {
		v.Hooks[drawID(t, "hook")] = hookEntry{Source: text.Draw(t, "source"), Hash: text.Draw(t, "hash"), UID: text.Draw(t, "uid"),
			Made: flag.Draw(t, "made"), Sweep: flag.Draw(t, "sweep")}
	}
	for range rapid.IntRange(0, 5).Draw(t, "kept") {
		v.Kept[drawID(t, "kept")] = keptEntry{Source: text.Draw(t, "source"), UID: text.Draw(t, "uid")}
	}
	for range rapid.IntRange(0, 3).Draw(t, "sources") {
		v.Sources[text.Draw(t, "source")] = true
	}
	return v
}

func TestInventoryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawInventory(t)
		text, packed, err := v.encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeInventory(text, packed)
		if err != nil {
			t.Fatal(err)
		}
		if !got.equal(v) {
			t.Fatal(cmp.Diff(v, got))
		}
	})
}

func TestInventoryIsDeterministic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawInventory(t)
		a, ap, _ := v.encode()
		b, bp, _ := v.clone().encode()
		if !cmp.Equal(a, b) || !cmp.Equal(ap, bp) {
			t.Fatal("equal inventories, different documents")
		}
	})
}

func bigInventory(n int) inventory {
	v := newInventory()
	for i := range n {
		id := plan.ID{Group: "apps", Kind: "Deployment", Namespace: fmt.Sprintf("team-%d", i%40), Name: fmt.Sprintf("some-service-%d", i)}
		digest := strings.Repeat(fmt.Sprintf("%016x", uint64(i+1)*0x9E3779B97F4A7C15), 4)
		v.Objects[id] = entry{Source: "academy", Hash: digest, UID: digest[:36], Holdings: digest[:16]}
	}
	return v
}

func TestInventoryOfThousandsFits(t *testing.T) {
	for _, n := range []int{0, 100, 5000} {
		v := bigInventory(n)
		text, packed, err := v.encode()
		if err != nil {
			t.Fatalf("%d objects: %v", n, err)
		}
		size := len(text[plainKey]) + len(packed[packedKey])
		t.Logf("%d objects: %d bytes", n, size)
		if size > storedLimit {
			t.Errorf("%d objects take %d bytes", n, size)
		}
		if got, err := decodeInventory(text, packed); err != nil || !got.equal(v) {
			t.Errorf("%d objects do not come back: %v", n, err)
		}
	}
}

func TestInventoryOfTheFuture(t *testing.T) {
	_, err := decodeInventory(map[string]string{plainKey: `{"version":2}`}, nil)
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Refused {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestForgetDropsASourceWithItsLastObject(t *testing.T) {
	a, b := plan.ID{Kind: "ConfigMap", Name: "a"}, plan.ID{Kind: "ConfigMap", Name: "b"}
	v := newInventory()
	v.Objects[a], v.Objects[b] = entry{Source: "s"}, entry{Source: "s"}
	v.Sources["s"] = true
	v.forget(a)
	if !v.Sources["s"] {
		t.Error("the source is forgotten while it has an object")
	}
	v.keep(b)
	if v.Sources["s"] || len(v.Objects) != 0 || len(v.Kept) != 1 {
		t.Errorf("after the last one: %+v", v)
	}
}

func FuzzDecodeInventory(f *testing.F) {
	text, packed, _ := bigInventory(3).encode()
	f.Add(text[plainKey], packed[packedKey])
	_, packed, _ = bigInventory(1000).encode()
	f.Add("", packed[packedKey])
	f.Add(`{"version":1,"objects":[{"kind":1}]}`, []byte(nil))
	f.Fuzz(func(t *testing.T, plain string, z []byte) {
		m := map[string][]byte{}
		if len(z) > 0 {
			m[packedKey] = z
		}
		v, err := decodeInventory(map[string]string{plainKey: plain}, m)
		if err != nil {
			return
		}
		if _, _, err := v.encode(); err != nil && fault.Of(err) == fault.Internal {
			t.Errorf("what was read cannot be written: %v", err)
		}
	})
}
