package digest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestStable(t *testing.T) {
	read := time.Unix(1000, 500e6)
	for _, c := range []struct {
		name   string
		change time.Time
		want   bool
	}{
		{"long ago", time.Unix(900, 1), true},
		{"a quarter of a second ago", read.Add(-250 * time.Millisecond), true},
		{"in this tick", read, false},
		{"in the tick before", read.Add(-10 * time.Millisecond), false},
		{"in the future, by a clock that was put back", read.Add(time.Hour), false},
		{"this second, on a file system that knows seconds only", time.Unix(1000, 0), false},
		{"long ago, on a file system that knows seconds only", time.Unix(990, 0), true},
	} {
		if got := stable(&stat{ctime: c.change.UnixNano()}, read); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestCacheForgetsWhatIsOfNoUse(t *testing.T) {
	c := &Cache{index: map[string]int32{}}
	add := func(path string) {
		c.learn(nil, []result{{job: job{path: path}, stable: true, seen: stat{kind: File}}})
	}
	add("gone")
	for i := range oldest {
		add(fmt.Sprint("new", i))
		index, records, err := decodeCache(c.encode())
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := index["gone"]; !ok && i < oldest-1 {
			t.Fatalf("forgotten after %d saves", i)
		}
		c.index, c.records = index, records
	}
	index, _, err := decodeCache(c.encode())
	if _, ok := index["gone"]; ok || err != nil {
		t.Error("remembered for ever", err)
	}
}

// collected are the bytes that encode gives to the hash.
type collected struct{ bytes.Buffer }

func (*collected) Sum(b []byte) []byte { return b }
func (*collected) Size() int           { return 0 }
func (*collected) BlockSize() int      { return 1 }

// decode reads the canonical encoding back, which is possible only if it is unambiguous.
func decode(b []byte) (in Inputs, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("too short")
		}
	}()
	count := func() int {
		n, size := binary.Uvarint(b)
		b = b[size:]
		return int(n)
	}
	text := func() string {
		n := count()
		s := string(b[:n])
		b = b[n:]
		return s
	}
	pairs := func() map[string]string {
		m := map[string]string{}
		for range count() {
			k := text()
			m[k] = text()
		}
		return m
	}
	if text() != version {
		return in, errors.New("another version")
	}
	for range count() {
		e := Entry{Path: text(), Kind: Kind(b[0])}
		b = b[1:]
		e.Mode = uint32(count())
		switch e.Kind {
		case File:
			b = b[copy(e.Hash[:], b):]
		case Link, Device:
			e.Link = text()
		}
		in.Context = append(in.Context, e)
	}
	in.Dockerfile, in.Args, in.Target, in.Platform, in.Bases = []byte(text()), pairs(), text(), text(), pairs()
	for range count() {
		in.Secrets = append(in.Secrets, text())
	}
	if len(b) > 0 {
		return in, errors.New("more bytes than inputs")
	}
	return in, nil
}

var anyInputs = rapid.Custom(func(t *rapid.T) Inputs {
	entries := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Entry {
		e := Entry{
			Path: rapid.String().Draw(t, "path"), Kind: rapid.SampledFrom([]Kind{File, Dir, Link, Pipe, Device}).Draw(t, "kind"),
			Mode: rapid.Uint32Range(0, 0o7777).Draw(t, "mode"),
		}
		switch e.Kind {
		case File:
			copy(e.Hash[:], rapid.SliceOfN(rapid.Byte(), sha256.Size, sha256.Size).Draw(t, "hash"))
		case Link, Device:
			e.Link = rapid.String().Draw(t, "link")
		}
		return e
	}))
	texts := rapid.MapOf(rapid.String(), rapid.String())
	secrets := rapid.SliceOfDistinct(rapid.String(), rapid.ID).Draw(t, "secrets")
	slices.Sort(secrets)
	return Inputs{
		Context: entries.Draw(t, "context"), Dockerfile: []byte(rapid.String().Draw(t, "dockerfile")), Args: texts.Draw(t, "args"),
		Target: rapid.String().Draw(t, "target"), Platform: rapid.String().Draw(t, "platform"), Bases: texts.Draw(t, "bases"), Secrets: secrets,
	}
})

func TestEncodingIsUnambiguous(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		in := anyInputs.Draw(r, "inputs")
		var sum collected
		e := encoder{hash: &sum}
		in.encode(&e)
		e.flush()
		got, err := decode(sum.Bytes())
		if err != nil {
			r.Fatal(err)
		}
		if len(in.Context) == 0 {
			got.Context, in.Context = nil, nil
		}
		if len(in.Secrets) == 0 {
			got.Secrets, in.Secrets = nil, nil
		}
		if diff := cmp.Diff(in, got); diff != "" {
			r.Fatal(diff)
		}
	})
}

func FuzzDecodeCache(f *testing.F) {
	c := &Cache{index: map[string]int32{}}
	f.Add(c.encode())
	c.learn(nil, []result{
		{job: job{path: "/a"}, stable: true, seen: stat{size: 1, mtime: 2, ctime: 3, ino: 4, mode: 0o644, kind: File}},
		{job: job{path: "/b/c"}, stable: true, seen: stat{kind: File}},
	})
	f.Add(c.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > headerSize { // no fuzzer guesses a checksum
			data = bytes.Clone(data)
			copy(data, magic)
			binary.LittleEndian.PutUint32(data[len(magic):], castagnoli(data[len(magic)+4:]))
		}
		index, records, err := decodeCache(data)
		if err != nil {
			return
		}
		if len(index) > len(records) {
			t.Fatal("more paths than records")
		}
		c := &Cache{index: index, records: records}
		for i := range c.records {
			c.records[i].age = 0
		}
		again, _, err := decodeCache(c.encode())
		if err != nil || !maps.EqualFunc(index, again, func(int32, int32) bool { return true }) {
			t.Fatal("what was read is not what is written", err)
		}
	})
}
