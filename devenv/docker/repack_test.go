package docker

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// tarOf is an archive of entries.
func tarOf(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	all := make([]entry, len(entries))
	for n, h := range entries {
		h.Format, h.ModTime = tar.FormatPAX, time.Unix(1700000000, 0)
		all[n] = entry{h, strings.Repeat("x", int(h.Size))}
	}
	return packed(t, all...)
}

// repacked are the layers that come of an archive, by directory.
func repacked(t testing.TB, archive []byte) (map[string][]byte, error) {
	got := map[string][]byte{}
	err := repack(bytes.NewReader(archive), "root", repackInto{
		layer: func(dir string, write func(io.Writer) error) error {
			var out bytes.Buffer
			err := write(&out)
			got[dir] = out.Bytes()
			return err
		},
		file: func(name string, r io.Reader) error {
			data, err := io.ReadAll(r)
			if err == nil && (name != configName || len(data) == 0) {
				return errOther
			}
			return err
		},
		scratch: func() (string, error) { return t.TempDir(), nil },
	})
	return got, err
}

func directory(name string) tar.Header {
	return tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o40755}
}

func file(name string, size int64) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o100644, Size: size, Uid: 1, Uname: "one"}
}

func link(name, to string) tar.Header {
	return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: to, Mode: 0o100644}
}

func device(name string, major int64) tar.Header {
	return tar.Header{Typeflag: tar.TypeChar, Name: name, Mode: 0o20000, Devmajor: major}
}

func gone(name, first string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Linkname: first, Mode: 0o600}
}

func TestRepack(t *testing.T) {
	long := strings.Repeat("d/", 150) + "f"
	capable := file("root/0/ping", 3)
	capable.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "\x01\x00"}
	inLayer := capable
	inLayer.Name = "ping"
	none := []tar.Header{}
	tests := map[string]struct {
		found []tar.Header
		want  map[string][]tar.Header
	}{
		"nothing":                          {nil, nil},
		"no layer":                         {[]tar.Header{directory("root")}, nil},
		"the configuration beside a layer": {[]tar.Header{directory("root/0"), file("root/config", 7)}, map[string][]tar.Header{"0": none}},
		"an empty layer":                   {[]tar.Header{directory("root"), directory("root/0")}, map[string][]tar.Header{"0": none}},
		"files, also with long names":      {[]tar.Header{directory("root/0"), directory("root/0/a"), file("root/0/a/b", 700), file("root/0/"+long, 1)}, map[string][]tar.Header{"0": {directory("a"), file("a/b", 700), file(long, 1)}}},
		"a name that is too long in root":  {[]tar.Header{directory("root/0"), directory("root/0/" + strings.Repeat("aaaaa/", 41) + "b")}, map[string][]tar.Header{"0": {directory(strings.Repeat("aaaaa/", 41) + "b")}}},
		"capabilities":                     {[]tar.Header{directory("root/0"), capable}, map[string][]tar.Header{"0": {inLayer}}},
		"several layers, in any order":     {[]tar.Header{directory("root"), directory("root/1"), file("root/1/a", 1), directory("root/0"), directory("root/10"), file("root/10/a", 2)}, map[string][]tar.Header{"1": {file("a", 1)}, "0": none, "10": {file("a", 2)}}},
		"links within a layer":             {[]tar.Header{directory("root/0"), file("root/0/a", 1), link("root/0/b", "root/0/a")}, map[string][]tar.Header{"0": {file("a", 1), link("b", "a")}}},
		"a removed file":                   {[]tar.Header{directory("root/0"), directory("root/0/d"), device("root/0/d/a", 0), device("root/0/b", 0)}, map[string][]tar.Header{"0": {directory("d"), gone("d/.wh.a", ""), gone(".wh.b", "")}}},
		"removed files, which are one":     {[]tar.Header{directory("root/0"), device("root/0/a", 0), link("root/0/d/b", "root/0/a")}, map[string][]tar.Header{"0": {gone(".wh.a", ""), gone("d/.wh.b", "a")}}},
		"a device that is in the image":    {[]tar.Header{directory("root/0"), device("root/0/null", 1)}, map[string][]tar.Header{"0": {device("null", 1)}}},
		"a link to what is in an image":    {[]tar.Header{directory("root/0"), device("root/0/null", 1), link("root/0/b", "root/0/null")}, map[string][]tar.Header{"0": {device("null", 1), link("b", "null")}}},
		"symbolic links stay as they are":  {[]tar.Header{directory("root/0"), {Typeflag: tar.TypeSymlink, Name: "root/0/l", Linkname: "root/0/a"}}, map[string][]tar.Header{"0": {{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "root/0/a"}}}},
		"the same names in several layers": {[]tar.Header{directory("root/0"), device("root/0/a", 0), directory("root/1"), file("root/1/a", 4), link("root/1/b", "root/1/a")}, map[string][]tar.Header{"0": {gone(".wh.a", "")}, "1": {file("a", 4), link("b", "a")}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := repacked(t, tarOf(t, tt.found...))
			if err != nil || len(got) != len(tt.want) {
				t.Fatalf("%d layers, %v", len(got), err)
			}
			for dir, want := range tt.want {
				if !bytes.Equal(got[dir], tarOf(t, want...)) {
					t.Errorf("layer %s is not as it should be: %q", dir, got[dir])
				}
			}
		})
	}
}

func TestRepackRefusesWhatItDidNotAskFor(t *testing.T) {
	for name, found := range map[string][]tar.Header{
		"another directory":         {directory("other")},
		"a file beside the layers":  {directory("root"), file("root/a", 1)},
		"no directory of a layer":   {directory("root"), file("root/0/a", 1)},
		"a link to another layer":   {directory("root/0"), file("root/0/a", 1), directory("root/1"), link("root/1/b", "root/0/a")},
		"a link out of all of them": {directory("root/0"), link("root/0/b", "etc/passwd")},
	} {
		if got, err := repacked(t, tarOf(t, found...)); !errors.Is(err, errOther) {
			t.Errorf("%s: %d layers, %v", name, len(got), err)
		}
	}
	whole := tarOf(t, directory("root/0"), file("root/0/a", 2000))
	for _, n := range []int{700, 1024, 2000} {
		if _, err := repacked(t, whole[:n]); err == nil {
			t.Errorf("an archive of %d bytes that ends after %d was taken", len(whole), n)
		}
	}
	failed := errors.New("the disk is full")
	into := repackInto{layer: func(string, func(io.Writer) error) error { return failed }}
	if err := repack(bytes.NewReader(whole), "root", into); !errors.Is(err, failed) {
		t.Errorf("%v", err)
	}
}

// Whatever layers there are, each comes as it would have been written by itself.
func TestRepackGivesEachLayerItsOwn(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		entry := rapid.Custom(func(r *rapid.T) tar.Header {
			name := strings.Repeat(rapid.StringMatching(`[a-zä]{1,9}/`).Draw(r, "parent"), rapid.IntRange(0, 40).Draw(r, "depth")) + rapid.StringMatching(`[a-z.]{1,110}`).Draw(r, "name") + "x"
			h := rapid.SampledFrom([]tar.Header{directory(name), file(name, int64(rapid.IntRange(0, 2000).Draw(r, "size"))), {Typeflag: tar.TypeSymlink, Name: name, Linkname: "to/ü", Mode: 0o777}}).Draw(r, "entry")
			h.Uid, h.Gname = rapid.IntRange(0, 3<<21).Draw(r, "owner"), rapid.SampledFrom([]string{"", "root", "grüppe"}).Draw(r, "group")
			return h
		})
		layers := rapid.SliceOfN(rapid.SliceOfN(entry, 0, 5), 0, 4).Draw(r, "layers")
		found := []tar.Header{directory("root")}
		for n, entries := range layers {
			found = append(found, directory(fmt.Sprint("root/", n)))
			for _, h := range slices.Clone(entries) {
				h.Name = fmt.Sprint("root/", n, "/", h.Name)
				found = append(found, h)
			}
		}
		got, err := repacked(t, tarOf(t, found...))
		if err != nil || len(got) != len(layers) {
			r.Fatalf("%d of %d layers, %v", len(got), len(layers), err)
		}
		for n, entries := range layers {
			if !bytes.Equal(got[fmt.Sprint(n)], tarOf(t, entries...)) {
				r.Fatalf("layer %d is another one", n)
			}
		}
	})
}
