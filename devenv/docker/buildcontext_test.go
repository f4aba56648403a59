package docker

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/secret"
)

func walk(t *testing.T, dir fsutil.FS) map[string]*types.Stat {
	t.Helper()
	found := map[string]*types.Stat{}
	err := dir.Walk(context.Background(), "", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			found[path] = info.Sys().(*types.Stat)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestFilesOfABuild(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a": "", "sub/b": "", "sub/c.log": "", "node_modules/x/y": "", "keep/no": "", "keep/yes": "", ".dockerignore": "a\n"})
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	b := Build{Service: "grades", Context: link, Ignore: []string{"**/*.log", "node_modules", "keep", "!keep/yes"}, Dockerfile: []byte("FROM scratch\n")}
	files, err := b.files()
	if err != nil {
		t.Fatal(err)
	}
	sent := walk(t, files["context"])
	var paths []string
	for path, st := range sent {
		paths = append(paths, path)
		if st.Uid != 0 || st.Gid != 0 {
			t.Errorf("%s belongs to %d:%d", path, st.Uid, st.Gid)
		}
	}
	slices.Sort(paths)
	if want := []string{".dockerignore", "a", "keep", "keep/yes", "sub", "sub/b"}; !slices.Equal(paths, want) {
		t.Errorf("sent %q, want %q", paths, want)
	}

	described := walk(t, files["dockerfile"])
	if len(described) != 2 || described["Dockerfile"].Size != int64(len(b.Dockerfile)) || described["Dockerfile.dockerignore"] == nil {
		t.Errorf("got %v", described)
	}
	r, err := files["dockerfile"].Open("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(r); err != nil || string(data) != "FROM scratch\n" {
		t.Errorf("got %q, %v", data, err)
	}
	if _, err := files["dockerfile"].Open("other"); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
	ignore, err := files["dockerfile"].Open("Dockerfile.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	if data, _ := io.ReadAll(ignore); !strings.HasPrefix(string(data), "#") {
		t.Errorf("the ignore file for BuildKit has patterns: %q", data)
	}
}

func TestFilesThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, b := range []Build{{Context: file}, {Context: file + "/no"}, {Context: t.TempDir(), Ignore: []string{"a[b"}}} {
		b.Service = "grades"
		_, err := b.files()
		checkFault(t, err, fault.Config, "grades")
	}
}

// TestContentTime: BuildKit decides by time and size what to ask for, so an edit of the same length must show in the time.
func TestContentTime(t *testing.T) {
	if contentTime([]byte("FROM a:1")) == contentTime([]byte("FROM a:2")) || contentTime(nil) < 0 {
		t.Error("the same time for different content")
	}
}

func TestSharedKey(t *testing.T) {
	a := Build{Context: "/src", Service: "a"}
	if a.sharedKey() != (Build{Context: "/src/../src", Service: "a", Ref: "a:2"}).sharedKey() {
		t.Error("the key changes where the files do not")
	}
	if a.sharedKey() == (Build{Context: "/src", Service: "b"}).sharedKey() || a.sharedKey() == (Build{Context: "/src2", Service: "a"}).sharedKey() {
		t.Error("builds with different files share a key")
	}
}

func TestSecrets(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"token": "from file\n", "large": strings.Repeat("x", 600<<10)})
	b := Build{Service: "grades", Secrets: map[string]Secret{"file": {File: filepath.Join(dir, "token")}, "value": {Value: "from value"}}}
	values, err := readSecrets(b)
	if err != nil || string(values["file"]) != "from file\n" || string(values["value"]) != "from value" {
		t.Errorf("got %q, %v", values, err)
	}
	b.Secrets = map[string]Secret{"large": {File: filepath.Join(dir, "large")}, "absent": {File: filepath.Join(dir, "absent")}}
	_, err = readSecrets(b)
	if all := fault.All(err); len(all) != 2 {
		t.Errorf("got %v", all)
	}
	checkFault(t, err, fault.Config, "grades")
}

func TestRedactor(t *testing.T) {
	b := Build{Secrets: map[string]Secret{"a": {Value: "hunter2"}}, Hidden: &secret.Redactor{}}
	b.Hidden.Add([]byte("of-a-Secret"))
	r := hiding(b, map[string][]byte{"a": []byte("hunter2\n  second line  \nab\npin=123\n"), "b": []byte("hunter2-and-more"), "c": nil})
	got := r.Clean("it is hunter2-and-more, hunter2, second line, ab, pin=123, of-a-Secret")
	if want := "it is ***, ***, ***, ab, ***, ***"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if strings.Contains(fmt.Sprintf(verb, b)+fmt.Sprintf(verb, b.Hidden), "hunter2") {
			t.Errorf("%s of a build shows its secrets", verb)
		}
	}
}
