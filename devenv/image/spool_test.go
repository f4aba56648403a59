package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

func TestSpoolFindsABlobByWhatItHolds(t *testing.T) {
	for name, data := range map[string]string{"plain": "text", "gzip": zipped(t, "text"), "zstd": zstandard(t, "text"), "gzip and more": zipped(t, "text") + zipped(t, "")} {
		t.Run(name, func(t *testing.T) {
			s := newSpool(t)
			b, err := s.Add(strings.NewReader(data), -1)
			if err != nil {
				t.Fatal(err)
			}
			byContent, ok := s.Get(id("text"))
			byDigest, ok2 := s.Get(id(data))
			if !ok || !ok2 || byContent != b || byDigest != b || b.Holds != 4 || b.Size != int64(len(data)) {
				t.Errorf("%+v, %+v, %+v", b, byContent, byDigest)
			}
			if kept, err := os.ReadFile(b.File); err != nil || string(kept) != data {
				t.Errorf("kept %q, %v", kept, err)
			}
		})
	}
}

func TestSpoolKeepsWhatIsInABlob(t *testing.T) {
	for _, data := range []string{"text", zipped(t, "text"), zstandard(t, "text")} {
		s := newSpool(t)
		b, err := s.AddPlain(strings.NewReader(data), -1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if kept, err := os.ReadFile(b.File); err != nil || string(kept) != "text" {
			t.Errorf("kept %q, %v", kept, err)
		}
		if byDigest, ok := s.Get(id(data)); !ok || byDigest != b || b.Digest != id(data) || b.Size != int64(len(data)) {
			t.Errorf("%+v, %+v", b, byDigest)
		}
		l := b.layer()
		if l.DiffID != id("text") || l.Digest != id("text") || l.Size != 4 || l.Format != Plain || (l.Pushed == id(data)) == (data == "text") {
			t.Errorf("%+v", l)
		}
	}
}

// taken notes what comes early.
type taken struct {
	bytes.Buffer
	layer Layer
	err   error
	ended int
}

func (e *taken) Done(l Layer, err error) { e.layer, e.err, e.ended = l, err, e.ended+1 }

func TestSpoolGivesWhatIsCompressedBeforeAllOfItHasCome(t *testing.T) {
	for _, data := range []string{"text", zipped(t, "text"), zipped(t, "text")[:20]} {
		var early taken
		begun := 0
		b, err := newSpool(t).AddPlain(strings.NewReader(data), -1, func() Early { begun++; return &early })
		switch {
		case data == "text":
			if err != nil || begun != 0 {
				t.Errorf("what is not compressed may be anything: begun %d times, %v", begun, err)
			}
		case err != nil:
			if begun != 1 || early.ended != 1 || early.err == nil {
				t.Errorf("half a blob: %+v", early)
			}
		default:
			if begun != 1 || early.ended != 1 || early.err != nil || early.layer != b.layer() || early.String() != "text" {
				t.Errorf("%+v, of %+v", early, b)
			}
		}
	}
}

func TestSpoolTakesTheLayerThatItShouldBe(t *testing.T) {
	failed := errors.New("no more came")
	for name, tt := range map[string]struct {
		text string
		err  error // of who writes
		want error
	}{
		"the layer":      {"text", nil, nil},
		"something else": {"another", nil, ErrDamaged},
		"half of it":     {"te", failed, failed},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpool(t)
			var early taken
			l, err := s.Take(id("text"), func() Early { return &early }, func(w io.Writer) error {
				_, err := io.WriteString(w, tt.text)
				return errors.Join(err, tt.err)
			})
			if !errors.Is(err, tt.want) || early.ended != 1 || !errors.Is(early.err, tt.want) || early.layer != l || early.String() != tt.text {
				t.Errorf("%+v, %v; early %+v", l, err, early)
			}
			_, kept := s.Get(id("text"))
			files, err := os.ReadDir(s.dir)
			if err != nil || kept != (tt.want == nil) || len(files) > 0 != kept {
				t.Errorf("kept %v, in %v, %v", kept, files, err)
			}
			if !kept {
				return
			}
			if data, err := os.ReadFile(l.File); err != nil || string(data) != "text" || l != (Layer{DiffID: id("text"), Digest: id("text"), Size: 4, File: l.File}) {
				t.Errorf("%+v, %q, %v", l, data, err)
			}
		})
	}
	if _, err := newSpool(t).Take(id(""), nil, func(io.Writer) error { return nil }); err != nil {
		t.Errorf("where nobody takes it early: %v", err)
	}
}

func TestSpoolKeepsNothingBeyondALimit(t *testing.T) {
	s := newSpool(t)
	big := strings.Repeat("x", 1000)
	for _, data := range []string{big, zipped(t, big)} {
		if _, err := s.Add(strings.NewReader(data), 999); !errors.Is(err, ErrTooMuch) {
			t.Errorf("999 of 1000 bytes: %v", err)
		}
		if _, err := s.Add(strings.NewReader(data), 1000); err != nil {
			t.Errorf("1000 of 1000 bytes: %v", err)
		}
	}
	if files, err := os.ReadDir(s.dir); err != nil || len(files) != 2 {
		t.Errorf("files %v, %v", files, err)
	}
}

func TestSpoolAdoptsWhatIsWantedOfAnImage(t *testing.T) {
	s := newSpool(t)
	other, err := s.Beside()
	if err != nil {
		t.Fatal(err)
	}
	i := layered(t, s, "base", "top", "top")
	adopted, err := other.Adopt(i, func(diffID string) bool { return diffID == id("top") })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if adopted.Layers[0] != (Layer{DiffID: id("base"), Digest: id("base"), Size: 4}) || !adopted.Has([]string{id("top")}) || adopted.Has([]string{id("base"), id("top")}) {
		t.Errorf("%+v", adopted.Layers)
	}
	for _, l := range adopted.Layers[1:] {
		if kept, err := os.ReadFile(l.File); err != nil || string(kept) != "top" {
			t.Errorf("%+v, %q, %v", l, kept, err)
		}
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(adopted.Layers[1].File); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}

func TestFormatOf(t *testing.T) {
	for start, want := range map[string]Format{"": Plain, "\x1f": Plain, "\x1f\x8b\x08\x00": Gzip, "\x28\xb5\x2f\xfd": Zstd, "\x28\xb5\x2f": Plain, "etc/": Plain} {
		if got := FormatOf([]byte(start)); got != want {
			t.Errorf("%q is %d, want %d", start, got, want)
		}
	}
}

func TestAssemble(t *testing.T) {
	s := newSpool(t)
	top := zipped(t, "top")
	config := configOf(t, "base", "top")
	for _, data := range []string{config, top} {
		if _, err := s.Add(strings.NewReader(data), -1); err != nil {
			t.Fatal(err)
		}
	}
	manifest := func(config string, layers ...string) []byte {
		text := fmt.Sprintf(`{"schemaVersion":2,"config":{"digest":%q,"size":1},"layers":[`, config)
		for n, l := range layers {
			text += strings.Repeat(",", min(n, 1)) + fmt.Sprintf(`{"digest":%q,"size":1}`, l)
		}
		return []byte(text + "]}")
	}
	held := func(digest string) (Layer, bool) {
		return Layer{DiffID: id("base"), Digest: digest}, digest == id("packed base")
	}
	i, err := Assemble(manifest(id(config), id("packed base"), id(top)), s, held)
	if err != nil || len(i.Layers) != 2 || string(i.Config) != config {
		t.Fatalf("%+v, %v", i, err)
	}
	if i.Layers[0] != (Layer{DiffID: id("base"), Digest: id("packed base")}) || i.Layers[1].DiffID != id("top") || i.Layers[1].Format != Gzip || i.Layers[1].File == "" {
		t.Errorf("%+v", i.Layers)
	}
	w := Want{Layers: []string{id("base"), id("top")}, Wanted: []string{id("top")}, Held: map[string]string{id("packed base"): id("base")}}
	if !w.Met(i) {
		t.Error("it is what is wanted")
	}
	if w.Wanted = w.Layers; w.Met(i) {
		t.Error("the base is wanted and did not come")
	}
	for name, m := range map[string][]byte{
		"not JSON":              []byte("{"),
		"no configuration":      manifest(id("x"), id("packed base"), id(top)),
		"a layer too few":       manifest(id(config), id(top)),
		"a layer nobody has":    manifest(id(config), id("other"), id(top)),
		"layers in other order": manifest(id(config), id(top), id("packed base")),
		"content for a blob":    manifest(id(config), id("packed base"), id("top")), // the digest of what is in it, not of it
	} {
		if i, err := Assemble(m, s, held); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %+v, %v", name, i, err)
		}
	}
}

func TestNamed(t *testing.T) {
	w := Want{Layers: []string{"a", "b"}, Wanted: []string{"b"}, Held: map[string]string{"packed a": "a", "packed b": "b"}}
	for digest, want := range map[string]string{"a": "a", "packed a": "a", "b": "", "packed b": "", "c": ""} {
		if l, ok := w.Named(digest); ok != (want != "") || l.DiffID != want {
			t.Errorf("%s is %+v, %v", digest, l, ok)
		}
	}
}

func TestWriteLayoutIsStable(t *testing.T) {
	i := layered(t, newSpool(t), "base", "top")
	var first, second bytes.Buffer
	if err := errors.Join(WriteLayout(&first, "example.com/app:1", i), WriteLayout(&second, "example.com/app:1", i)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same image gives other bytes")
	}
}

func TestVouches(t *testing.T) {
	config, manifest := []byte("configuration"), []byte("manifest")
	index := []byte(`{"schemaVersion":2,"manifests":[{"digest":"` + id("manifest") + `","size":8}]}`)
	other := []byte(`{"schemaVersion":2,"manifests":[{"digest":"` + id("other") + `","size":8}]}`)
	for name, tt := range map[string]struct {
		id   string
		want bool
	}{
		"of the configuration":         {id("configuration"), true},
		"of the manifest":              {id("manifest"), true},
		"of an index that names it":    {id(string(index)), true},
		"of an index that does not":    {id(string(other)), false},
		"of something else":            {id("x"), false},
		"not known, so nobody vouches": {"", false},
	} {
		if got := (Want{ID: tt.id}).Vouches(config, manifest, [][]byte{manifest, other, index}); got != tt.want {
			t.Errorf("an ID %s: %v", name, got)
		}
	}
}
