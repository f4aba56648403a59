package docker

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vbatts/tar-split/tar/asm"
	"github.com/vbatts/tar-split/tar/storage"
	"pgregory.net/rapid"
)

// noted is what an engine notes of a layer's archive.
func noted(t rapid.TB, archive []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	compressed := gzip.NewWriter(&out)
	in, done, err := asm.NewInputTarStreamWithDone(bytes.NewReader(archive), storage.NewJSONPacker(compressed), nil)
	if err == nil {
		_, err = io.Copy(io.Discard, in)
		err = errors.Join(err, <-done)
	}
	if err = errors.Join(err, compressed.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// entry is an entry of an archive with what is in it.
type entry struct {
	tar.Header
	data string
}

func packed(t rapid.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		e.Size = int64(len(e.data))
		if err := w.WriteHeader(&e.Header); err != nil {
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

// unpackedAs is the archive that an engine sends of what it noted and unpacked of a layer.
func unpackedAs(t rapid.TB, notes []byte, tree ...entry) []byte {
	t.Helper()
	all := []entry{
		{Header: directory("root")}, {Header: directory("root/s0")},
		{Header: tar.Header{Typeflag: tar.TypeReg, Name: "root/s0/split", Mode: 0o600}, data: string(notes)},
		{Header: directory("root/s0/tree")},
	}
	for _, e := range tree {
		e.Name = "root/s0/tree/" + e.Name
		if e.Typeflag == tar.TypeLink {
			e.Linkname = "root/s0/tree/" + e.Linkname
		}
		all = append(all, e)
	}
	return packed(t, all...)
}

// byWalk compares paths in the order in which a directory is walked.
func byWalk(a, b string) int { return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/")) }

// named are the entries of names for the same file: the first holds it, the others are links to it.
func named(names []string, prefix, data string, h tar.Header) (all []entry) {
	for n, name := range names {
		e := entry{Header: h, data: data}
		if e.Name = prefix + name; n > 0 {
			e.Typeflag, e.Linkname, e.data = tar.TypeLink, prefix+names[0], ""
		}
		all = append(all, e)
	}
	return all
}

// Whoever wrote a layer's archive, in whatever order and with whatever names for a file first, it comes as it was.
func TestJoinedIsTheLayerAsItCame(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		type inode struct {
			names []string
			data  string
		}
		dirs := []string{"a/", "a-b/", "a/b/", "a.d/"}
		prefix := rapid.SampledFrom([]string{"", "./"}).Draw(r, "prefix")
		format := rapid.SampledFrom([]tar.Format{tar.FormatUSTAR, tar.FormatGNU, tar.FormatPAX}).Draw(r, "format")
		var inodes []inode
		for n := range rapid.IntRange(0, 12).Draw(r, "files") {
			i := inode{data: strings.Repeat("x", rapid.SampledFrom([]int{0, 1, 511, 512, 3000}).Draw(r, "size")) + strings.Repeat("y", n%2)}
			for k := range rapid.IntRange(1, 3).Draw(r, "names") {
				i.names = append(i.names, rapid.SampledFrom(append(dirs, "")).Draw(r, "dir")+fmt.Sprintf("f%d-%d", n, k))
			}
			inodes = append(inodes, i)
		}
		header := tar.Header{Typeflag: tar.TypeReg, Mode: 0o644, ModTime: time.Unix(1700000000, 0), Format: format}
		var came, found []entry
		for _, d := range dirs {
			came = append(came, entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: prefix + d, Mode: 0o755, Format: format}})
			found = append(found, entry{Header: directory(strings.TrimSuffix(d, "/"))})
		}
		for _, i := range rapid.Permutation(inodes).Draw(r, "order") {
			came = append(came, named(rapid.Permutation(i.names).Draw(r, "names"), prefix, i.data, header)...)
			found = append(found, named(slices.SortedFunc(slices.Values(i.names), byWalk), "", i.data, file("", 0))...)
		}
		slices.SortStableFunc(found, func(a, b entry) int {
			return byWalk(strings.TrimSuffix(a.Name, "/"), strings.TrimSuffix(b.Name, "/"))
		})
		layer := packed(r, came...)
		got, err := repacked(t, unpackedAs(r, noted(r, layer), found...))
		if err != nil || len(got) != 1 || !bytes.Equal(got["s0"], layer) {
			r.Fatalf("%d layers, %v:\n%q\nwant\n%q", len(got), err, got["s0"], layer)
		}
	})
}

func TestJoinedRefuses(t *testing.T) {
	a := entry{Header: file("a", 0), data: "aaa"}
	layer := packed(t, a)
	notes := noted(t, layer)
	other := a
	other.data = "bbb"
	next := entry{Header: directory("../../1")}
	tests := map[string][]byte{
		"another content":       unpackedAs(t, notes, other),
		"a file that is gone":   unpackedAs(t, notes),
		"one of the next layer": unpackedAs(t, notes, next, entry{Header: file("../../1/a", 0), data: "aaa"}),
		"notes that end early":  unpackedAs(t, notes[:len(notes)-9], a),
		"notes of nothing":      unpackedAs(t, nil, a),
		"no notes":              packed(t, entry{Header: directory("root/s0")}, entry{Header: directory("root/s0/tree")}),
	}
	for name, archive := range tests {
		if got, err := repacked(t, archive); err == nil {
			t.Errorf("%s: taken as %q", name, got["s0"])
		}
	}
	if got, err := repacked(t, unpackedAs(t, notes, a)); err != nil || !bytes.Equal(got["s0"], layer) {
		t.Errorf("what is right: %v", err)
	}
}
