package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

// entry is one part of an archive; to makes it a link.
type entry struct{ name, data, to string }

func pack(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := header(e.name, int64(len(e.data)))
		if e.to != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.to
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func unpack(t testing.TB, archive []byte) map[string]string {
	t.Helper()
	files := map[string]string{}
	for in := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = string(data)
	}
}

func newSpool(t testing.TB) *Spool {
	t.Helper()
	s, err := NewSpool(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func id(content string) string { return Digest([]byte(content)) }

func configOf(t testing.TB, layers ...string) string {
	t.Helper()
	ids := []string{}
	for _, l := range layers {
		ids = append(ids, id(l))
	}
	data, err := json.Marshal(map[string]any{"os": "linux", "architecture": "arm64", "variant": "v8", "rootfs": map[string]any{"type": "layers", "diff_ids": ids}})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func zipped(t testing.TB, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = io.WriteString(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func zstandard(t testing.TB, text string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return string(w.EncodeAll([]byte(text), nil))
}

func manifestOf(config string, layers ...string) string {
	return fmt.Sprintf(`[{"Config":%q,"RepoTags":["app:1"],"Layers":["%s"]}]`, config, strings.Join(layers, `","`))
}

// archives are the forms in which engines write an image of the layers "base", "middle", "base" and "top".
func archives(t testing.TB) map[string][]byte {
	config := configOf(t, "base", "middle", "base", "top")
	blob := func(data string) entry { return entry{name: blobPath(id(data)), data: data} }
	base, top := zipped(t, "base"), zstandard(t, "top")
	return map[string][]byte{
		"a directory for each layer": pack(t,
			entry{name: "a/VERSION", data: "1.0"}, entry{name: "a/json", data: "{}"}, entry{name: "a/layer.tar", data: "base"},
			entry{name: "b/layer.tar", data: "middle"}, entry{name: "c/layer.tar", to: "../a/layer.tar"}, entry{name: "d/layer.tar", data: "top"},
			entry{name: "abc.json", data: config}, entry{name: "repositories", data: "{}"},
			entry{name: "manifest.json", data: manifestOf("abc.json", "a/layer.tar", "b/layer.tar", "c/layer.tar", "d/layer.tar")}),
		"a layout": pack(t,
			blob("base"), blob("middle"), blob("top"), blob(config), entry{name: "oci-layout", data: "{}"}, entry{name: "index.json", data: "{}"},
			entry{name: "manifest.json", data: manifestOf(blobPath(id(config)), blobPath(id("base")), blobPath(id("middle")), blobPath(id("base")), blobPath(id("top")))}),
		"a layout of compressed layers": pack(t,
			blob(base), blob("middle"), blob(top), blob(config),
			entry{name: "manifest.json", data: manifestOf(blobPath(id(config)), blobPath(id(base)), blobPath(id("middle")), blobPath(id(base)), blobPath(id(top)))}),
	}
}

func TestReadTakesEveryFormApart(t *testing.T) {
	for name, archive := range archives(t) {
		t.Run(name, func(t *testing.T) {
			all, err := Read(bytes.NewReader(archive), newSpool(t), func(string) bool { return false })
			if err != nil || len(all) != 1 || !slices.Equal(all[0].Tags, []string{"app:1"}) {
				t.Fatalf("%+v, %v", all, err)
			}
			i := all[0]
			if string(i.Config) != configOf(t, "base", "middle", "base", "top") {
				t.Errorf("configuration %s", i.Config)
			}
			var held []string
			for _, l := range i.Layers {
				f, err := os.Open(l.File)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				r, err := l.Format.expand(f)
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				data, err := io.ReadAll(r)
				if err != nil || id(string(data)) != l.DiffID {
					t.Errorf("layer %s holds %q, %v", l.DiffID, data, err)
				}
				held = append(held, string(data))
			}
			if got := strings.Join(held, " "); got != "base middle base top" {
				t.Errorf("layers %s", got)
			}
		})
	}
}

func TestReadTakesSeveralImagesOutOfOneArchive(t *testing.T) {
	first, second := configOf(t, "base", "top"), configOf(t, "base")
	s := newSpool(t)
	all, err := Read(bytes.NewReader(pack(t,
		entry{name: "a/layer.tar", data: "base"}, entry{name: "b/layer.tar", data: "top"}, entry{name: "c/layer.tar", to: "../a/layer.tar"},
		entry{name: "1.json", data: first}, entry{name: "2.json", data: second},
		entry{name: "manifest.json", data: `[{"Config":"1.json","RepoTags":["a:1"],"Layers":["a/layer.tar","b/layer.tar"]},{"Config":"2.json","RepoTags":["b:1"],"Layers":["c/layer.tar"]}]`},
	)), s, func(string) bool { return false })
	if err != nil || len(all) != 2 || all[0].Tags[0] != "a:1" || all[1].Tags[0] != "b:1" || string(all[1].Config) != second {
		t.Fatalf("%+v, %v", all, err)
	}
	if len(all[0].Layers) != 2 || len(all[1].Layers) != 1 || all[0].Layers[0] != all[1].Layers[0] {
		t.Errorf("layers %+v and %+v", all[0].Layers, all[1].Layers)
	}
}

func TestReadKeepsOnlyWhatIsWanted(t *testing.T) {
	s := newSpool(t)
	all, err := Read(bytes.NewReader(archives(t)["a layout"]), s, func(digest string) bool {
		return digest != id("top") && digest != id(configOf(t, "base", "middle", "base", "top"))
	})
	if err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	for n, l := range all[0].Layers {
		if (l.File != "") != (n == 3) || l.Size == 0 {
			t.Errorf("layer %d: %+v", n, l)
		}
	}
	if _, ok := s.Get(id("base")); ok {
		t.Error("the spool holds what nobody wants")
	}
}

func TestReadRefusesWhatIsNotAnImage(t *testing.T) {
	config := configOf(t, "base")
	tests := map[string][]entry{
		"no manifest":           {{name: "x", data: "y"}},
		"no configuration":      {{name: "manifest.json", data: manifestOf("abc.json")}},
		"an empty image":        {{name: "manifest.json", data: `[{}]`}},
		"another layer":         {{name: "abc.json", data: config}, {name: "a", data: "not base"}, {name: "manifest.json", data: manifestOf("abc.json", "a")}},
		"a layer too many":      {{name: "abc.json", data: config}, {name: "a", data: "base"}, {name: "manifest.json", data: manifestOf("abc.json", "a", "a")}},
		"links in a circle":     {{name: "abc.json", data: config}, {name: "a", to: "b"}, {name: "b", to: "a"}, {name: "manifest.json", data: manifestOf("abc.json", "a")}},
		"damaged compression":   {{name: "a", data: "\x1f\x8bxyz"}},
		"nonsense for a digest": {{name: "abc.json", data: `{"rootfs":{"diff_ids":["x"]}}`}, {name: "manifest.json", data: manifestOf("abc.json", "a")}},
	}
	for name, entries := range tests {
		t.Run(name, func(t *testing.T) {
			if i, err := Read(bytes.NewReader(pack(t, entries...)), newSpool(t), func(string) bool { return false }); !errors.Is(err, ErrDamaged) {
				t.Errorf("%+v, %v", i, err)
			}
		})
	}
	archive := archives(t)["a layout"]
	if _, err := Read(bytes.NewReader(archive[:len(archive)/2]), newSpool(t), func(string) bool { return false }); err == nil {
		t.Error("half an archive was read")
	}
}

func FuzzRead(f *testing.F) {
	for _, archive := range archives(f) {
		f.Add(archive)
	}
	f.Fuzz(func(t *testing.T, archive []byte) {
		all, err := Read(bytes.NewReader(archive), newSpool(t), func(string) bool { return false })
		if err != nil {
			return
		}
		// Whatever can be read can be written.
		for _, i := range all {
			if err := WriteLayout(io.Discard, "example.com/app:1", i.Image); err != nil {
				t.Errorf("%+v: %v", i, err)
			}
		}
	})
}

// layered is an image of the layers, all at hand.
func layered(t testing.TB, s *Spool, layers ...string) *Image {
	t.Helper()
	i := &Image{Config: []byte(configOf(t, layers...))}
	for _, l := range layers {
		b, err := s.Add(strings.NewReader(l), -1)
		if err != nil {
			t.Fatal(err)
		}
		i.Layers = append(i.Layers, b.layer())
	}
	return i
}

func TestWriteLayoutNamesAllLayersAndHoldsThoseAtHand(t *testing.T) {
	i := layered(t, newSpool(t), "base", "top", "top")
	compressed := zipped(t, "base")
	whole, ok := i.For(Holding{id("base"): {DiffID: id("base"), Digest: id(compressed), Size: int64(len(compressed)), Format: Gzip, File: "not ours"}})
	if !ok {
		t.Fatal("something is missing")
	}
	var out bytes.Buffer
	if err := WriteLayout(&out, "example.com/app:1", whole); err != nil {
		t.Fatal(err)
	}
	files := unpack(t, out.Bytes())
	if len(files) != 5 || files[blobPath(id("top"))] != "top" || files[blobPath(id(string(i.Config)))] != string(i.Config) || files["oci-layout"] == "" {
		t.Errorf("files %q", files)
	}
	var index struct {
		Manifests []struct {
			Digest      string
			Annotations map[string]string
			Platform    map[string]string
		}
	}
	if err := json.Unmarshal([]byte(files["index.json"]), &index); err != nil {
		t.Fatal(err)
	}
	m := index.Manifests[0]
	if m.Annotations["io.containerd.image.name"] != "example.com/app:1" || m.Platform["architecture"] != "arm64" || m.Platform["variant"] != "v8" {
		t.Errorf("index %s", files["index.json"])
	}
	var manifest struct {
		Layers []struct {
			MediaType, Digest string
			Size              int
		}
	}
	if err := json.Unmarshal([]byte(files[blobPath(m.Digest)]), &manifest); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(manifest.Layers)
	want := fmt.Sprintf("[{application/vnd.oci.image.layer.v1.tar+gzip %s %d} {application/vnd.oci.image.layer.v1.tar %s 3} {application/vnd.oci.image.layer.v1.tar %s 3}]",
		id(compressed), len(compressed), id("top"), id("top"))
	if got != want {
		t.Errorf("layers %s\nwant   %s", got, want)
	}
	if atHand, named := whole.Sizes(); atHand != 3 || named != int64(len(compressed)) {
		t.Errorf("sizes %d, %d", atHand, named)
	}
}

func TestWriteLayoutRefusesLayersThatAreNotTheConfigurations(t *testing.T) {
	i := layered(t, newSpool(t), "base", "top")
	i.Layers[0], i.Layers[1] = i.Layers[1], i.Layers[0]
	if err := WriteLayout(io.Discard, "example.com/app:1", i); !errors.Is(err, ErrDamaged) {
		t.Errorf("in another order: %v", err)
	}
	i.Layers = i.Layers[:1]
	if err := WriteLayout(io.Discard, "example.com/app:1", i); !errors.Is(err, ErrDamaged) {
		t.Errorf("one too few: %v", err)
	}
}

// Whatever a node holds, what it is sent and what it has are together all of the image, and it is sent nothing that it has.
func TestForCompletesAnImage(t *testing.T) {
	s := newSpool(t)
	rapid.Check(t, func(r *rapid.T) {
		layers := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 6).Draw(r, "layers")
		held := Holding{}
		for _, l := range rapid.SliceOf(rapid.SampledFrom(layers)).Draw(r, "held") {
			held[id(l)] = Layer{DiffID: id(l), Digest: id("packed " + l), Size: 1, Format: Gzip}
		}
		i := layered(t, s, layers...)
		for n := range i.Layers { // at hand is only what the node lacks
			if _, ok := held[i.Layers[n].DiffID]; ok {
				i.Layers[n].File = ""
			}
		}
		whole, ok := i.For(held)
		if !ok {
			r.Fatal("something is missing")
		}
		lacks := held.Lacks(mustIDs(t, i))
		var out bytes.Buffer
		if err := WriteLayout(&out, "example.com/app:1", whole); err != nil {
			r.Fatal(err)
		}
		files := unpack(t, out.Bytes())
		for n, l := range whole.Layers {
			_, sent := files[blobPath(l.Digest)]
			if sent != slices.Contains(lacks, id(layers[n])) || l.DiffID != id(layers[n]) {
				r.Fatalf("layer %d: sent %v, lacking %v", n, sent, lacks)
			}
		}
		if len(files) != 4+len(lacks) {
			r.Fatalf("%d files, %d layers lacking", len(files), len(lacks))
		}
	})
}

func mustIDs(t testing.TB, i *Image) []string {
	t.Helper()
	ids, err := DiffIDs(i.Config)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestForSaysWhatIsMissing(t *testing.T) {
	i := layered(t, newSpool(t), "base", "top")
	i.Layers[0].File = ""
	if _, ok := i.For(Holding{}); ok {
		t.Error("nobody has the base")
	}
}
