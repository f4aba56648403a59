package render

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// plantChart writes files of an archive below a new directory.
func plantChart(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range txtar.Parse([]byte(text)).Files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// packChart makes an archive of the chart in a directory, as helm package does.
func packChart(t *testing.T, dir, name string, at time.Time) []byte {
	t.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	w := tar.NewWriter(zip)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		header := &tar.Header{Name: name + "/" + filepath.ToSlash(rel), Mode: 0o644, Size: int64(len(data)), ModTime: at, Typeflag: tar.TypeReg}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	for _, close := range []func() error{w.Close, zip.Close} {
		if err == nil {
			err = close()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const dependent = `-- chart/Chart.yaml --
apiVersion: v2
name: app
version: 0.1.0
dependencies:
  - {name: common, version: ^1.0.0, repository: "file://../common"}
  - {name: common, version: ^1.0.0, repository: "file://../common", alias: other}
  - {name: redis, version: 20.x.x, repository: "https://charts.example.com/stable"}
-- chart/charts/common/Chart.yaml --
apiVersion: v2
name: common
version: 1.2.3
-- chart/charts/common/templates/a.yaml --
a: b
-- chart/charts/redis/Chart.yaml --
apiVersion: v2
name: redis
version: 20.1.0
`

func TestDependencies(t *testing.T) {
	dir := plantChart(t, dependent)
	source := Source{Name: "app", Helm: &Helm{Chart: "chart"}}
	read := func() Vendored {
		t.Helper()
		v, err := Dependencies(dir, source)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	folder := read()
	short := folder
	short.Dependencies = append([]Dependency{}, folder.Dependencies...)
	for i := range short.Dependencies {
		if len(short.Dependencies[i].Digest) != len("sha256:")+64 {
			t.Error(short.Dependencies[i].Digest)
		}
		short.Dependencies[i].Digest = ""
	}
	want := Vendored{Dependencies: []Dependency{
		{Name: "common", Version: "1.2.3", Repository: "file://../common"},
		{Name: "redis", Version: "20.1.0", Repository: "https://charts.example.com/stable"},
	}}
	if diff := cmp.Diff(want, short); diff != "" {
		t.Error(diff)
	}

	// The archive of the same chart has the same digest, whenever it was packed.
	common := filepath.Join(dir, "chart/charts/common")
	for _, at := range []time.Time{time.Unix(1, 0), time.Unix(1e9, 0)} {
		archive := packChart(t, common, "common", at)
		aside := filepath.Join(dir, "aside")
		if err := os.Rename(common, aside); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "chart/charts/common-1.2.3.tgz")
		if err := os.WriteFile(file, archive, 0o644); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(folder, read()); diff != "" {
			t.Error(diff)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(aside, common); err != nil {
			t.Fatal(err)
		}
	}

	// Any file of it counts, and only of it.
	if err := os.WriteFile(filepath.Join(common, "templates/a.yaml"), []byte("a: c\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	changed := read()
	if changed.Dependencies[0].Digest == folder.Dependencies[0].Digest || changed.Dependencies[1] != folder.Dependencies[1] {
		t.Errorf("%+v", changed)
	}

	// Of two versions the wanted one is meant.
	newer := "apiVersion: v2\nname: redis\nversion: 19.0.0\n"
	if err := os.MkdirAll(filepath.Join(dir, "chart/charts/redis-old"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "chart/charts/redis-old/Chart.yaml"), []byte(newer), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := read().Dependencies[1]; got != folder.Dependencies[1] {
		t.Errorf("%+v", got)
	}
	if err := os.RemoveAll(common); err != nil {
		t.Fatal(err)
	}
	if _, err := Dependencies(dir, source); err == nil {
		t.Error("a dependency that is missing is no error")
	}
}
