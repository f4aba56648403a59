package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAppendKeepsWhatItDoesNotKnow(t *testing.T) {
	config := fmt.Sprintf(`{"created":"2026-01-02T03:04:05Z","architecture":"amd64","os":"linux","config":{"Env":["A=1"],"StopSignal":"HUP"},`+
		`"rootfs":{"type":"layers","diff_ids":[%q]},"history":[{"created_by":"one"}],"novel":{"x":1}}`, id("one"))
	base := &Image{Config: []byte(config), Layers: []Layer{{DiffID: id("one"), Digest: id("one"), Size: 3}}}
	top := Layer{DiffID: id("two"), Digest: id("two"), Size: 3, File: "two"}
	got, err := base.Append(top, "devenv")
	if err != nil {
		t.Fatal(err)
	}
	again, err := base.Append(top, "devenv")
	if err != nil || !bytes.Equal(again.Config, got.Config) {
		t.Errorf("not the same twice: %v", err)
	}
	var whole struct {
		Config  struct{ StopSignal string }
		RootFS  struct{ Type string }
		History []struct {
			Created   string
			CreatedBy string `json:"created_by"`
		}
		Novel struct{ X int }
	}
	if err := json.Unmarshal(got.Config, &whole); err != nil {
		t.Fatal(err)
	}
	if whole.Config.StopSignal != "HUP" || whole.RootFS.Type != "layers" || whole.Novel.X != 1 {
		t.Errorf("%s", got.Config)
	}
	if h := whole.History; len(h) != 2 || h[1].CreatedBy != "devenv" || h[1].Created != "2026-01-02T03:04:05Z" {
		t.Errorf("history %+v", h)
	}
	if ids, err := DiffIDs(got.Config); err != nil || fmt.Sprint(ids) != fmt.Sprint([]string{id("one"), id("two")}) || len(got.Layers) != 2 || got.Layers[1] != top {
		t.Errorf("%v, %v, %+v", ids, err, got.Layers)
	}
	if string(base.Config) != config || len(base.Layers) != 1 {
		t.Error("the image below was changed")
	}
	if _, err := got.Manifest(); err != nil {
		t.Error(err)
	}
}

func TestAppendRefusesWhatIsNoImage(t *testing.T) {
	for _, config := range []string{"", "[]", "{}", `{"rootfs":{"diff_ids":["sha256:1"]}}`, `{"rootfs":7}`} {
		if _, err := (&Image{Config: []byte(config)}).Append(Layer{DiffID: id("x")}, "devenv"); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %v", config, err)
		}
	}
}

func TestNamedIsWhatTheManifestSays(t *testing.T) {
	i := &Image{Config: []byte(configOf(t, "one", "two", "three")), Layers: []Layer{
		{DiffID: id("one"), Digest: id("one"), Size: 3}, {DiffID: id("two"), Digest: id("z2"), Size: 4, Format: Gzip}, {DiffID: id("three"), Digest: id("z3"), Size: 5, Format: Zstd},
	}}
	manifest, err := i.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Named(manifest, i.Config)
	if err != nil || fmt.Sprint(got.Layers) != fmt.Sprint(i.Layers) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := Named(manifest, []byte(configOf(t, "one"))); !errors.Is(err, ErrDamaged) {
		t.Errorf("of another configuration: %v", err)
	}
	docker := strings.ReplaceAll(string(manifest), "application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.docker.image.rootfs.diff.tar.gzip")
	if got, err := Named([]byte(docker), i.Config); err != nil || got.Layers[1].Format != Gzip {
		t.Errorf("%+v, %v", got, err)
	}
}

// listing is a layer's archive, one line an entry.
func listing(t *testing.T, archive []byte) string {
	t.Helper()
	var lines []string
	for in := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return strings.Join(lines, "\n")
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%c %o %d:%d %s", h.Typeflag, h.Mode, h.Uid, h.Gid, h.Name)
		if h.Linkname != "" {
			line += " -> " + h.Linkname
		}
		if len(data) > 0 {
			line += fmt.Sprintf(" %q %d", data, h.ModTime.Unix())
		}
		lines = append(lines, line)
	}
}

func TestWriteLayer(t *testing.T) {
	from := filepath.Join(t.TempDir(), "from")
	at := time.Unix(1700000000, 5)
	if err := errors.Join(os.WriteFile(from, []byte("text"), 0o600), os.Chtimes(from, at, at)); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		entries []Entry
		want    string
	}{
		{"nothing", nil, ""},
		{"a file", []Entry{{Path: "/app/a", From: from, Mode: 0o4755, UID: 5, GID: 6}}, `0 4755 5:6 app/a "text" 1700000000`},
		{"a directory and a link", []Entry{{Path: "/d", Dir: true, Mode: 0o1777}, {Path: "/l", Link: "../d"}}, "5 1777 0:0 d/\n2 777 0:0 l -> ../d"},
		{"gone", []Entry{{Path: "/app/a", Gone: true}}, "0 600 0:0 app/.wh.a"},
		{"gone with something in it", []Entry{{Path: "/app", Gone: true}, {Path: "/app/a", Gone: true}}, "0 600 0:0 .wh.app"},
		{"replaced by a file", []Entry{{Path: "/d", Gone: true}, {Path: "/d", From: from, Mode: 0o644}}, `0 644 0:0 d "text" 1700000000`},
		{"replaced by a directory", []Entry{{Path: "/d", Gone: true}, {Path: "/d", Dir: true, Mode: 0o700}}, "5 700 0:0 d/\n0 600 0:0 d/.wh..wh..opq"},
		{
			"gone, and something new in it", []Entry{{Path: "/d", Gone: true}, {Path: "/d/e/a", From: from, Mode: 0o644}, {Path: "/d/b", From: from, Mode: 0o644}},
			"5 755 0:0 d/\n0 600 0:0 d/.wh..wh..opq\n0 644 0:0 d/e/a \"text\" 1700000000\n0 644 0:0 d/b \"text\" 1700000000",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var first, second bytes.Buffer
			if err := errors.Join(WriteLayer(&first, tt.entries), WriteLayer(&second, tt.entries)); err != nil {
				t.Fatal(err)
			}
			if got := listing(t, first.Bytes()); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			if !bytes.Equal(first.Bytes(), second.Bytes()) {
				t.Error("not the same twice")
			}
		})
	}
}

func TestWriteLayerRefuses(t *testing.T) {
	for _, e := range []Entry{{Path: "a"}, {Path: "/"}, {Path: "/a/../b"}, {Path: "/.wh.a", Gone: true}, {Path: "/missing", From: "/nowhere/at/all"}, {Path: "/dir", From: t.TempDir()}} {
		if err := WriteLayer(io.Discard, []Entry{e}); err == nil {
			t.Errorf("%+v was taken", e)
		}
	}
}
