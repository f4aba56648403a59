package config_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/fault"
)

// Paths in every file are relative to the directory of the first, wherever the others lie.
func TestPathsOfSeveralFiles(t *testing.T) {
	root := unpack(t, txtar.Parse([]byte(`-- app/devenv.yaml --
apiVersion: devenv/v1
name: academy
-- shared/over.yaml --
services: {web: {image: a/web, build: {context: web}}}
-- app/web/Dockerfile --
-- shared/elsewhere/Dockerfile --
`)))
	c, err := config.Load(filepath.Join(root, "app", config.FileName), config.Options{Over: []string{filepath.Join(root, "shared/over.yaml")}})
	if err != nil {
		t.Fatal(problems(err))
	}
	if got := c.ContextDir(c.Services[0]); got != filepath.Join(root, "app/web") {
		t.Error(got)
	}
	if got := c.At("services.web.image").String(); got != "../shared/over.yaml:1:25" {
		t.Error(got)
	}
	if got := c.At("name").String(); got != "devenv.yaml:2:7" {
		t.Error(got)
	}
}

// Files that cannot be read are told together with what is wrong in the others.
func TestUnreadableFiles(t *testing.T) {
	root := unpack(t, txtar.Parse([]byte("-- devenv.yaml --\napiVersion: devenv/v1\nservces: {}\n-- dir/x --\n-- closed.yaml --\nname: a\n")))
	over := []string{filepath.Join(root, "none.yaml"), filepath.Join(root, "dir"), filepath.Join(root, "closed.yaml"), filepath.Join(root, "huge.yaml")}
	if err := os.Chmod(over[2], 0); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // root reads everything: a path through a file is what it cannot read
		over[2] = filepath.Join(root, "closed.yaml", "x")
	}
	if err := os.WriteFile(over[3], []byte(strings.Repeat("# nothing\n", 1<<19)), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := config.Load(filepath.Join(root, config.FileName), config.Options{Over: over})
	var got []string
	for _, err := range fault.All(err) {
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Config || f.Next == "" {
			t.Fatalf("%#v", err)
		}
		got = append(got, f.Where+": "+f.What)
	}
	third := "closed.yaml"
	if os.Geteuid() == 0 {
		third = "closed.yaml/x"
	}
	want := []string{
		"none.yaml: the configuration cannot be read", "dir: the configuration cannot be read", third + ": the configuration cannot be read",
		"huge.yaml: the configuration cannot be read", "devenv.yaml:2:1: the file is not valid",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, syscall.EISDIR) || strings.Contains(err.Error(), root) {
		t.Error(err)
	}
	if !strings.Contains(err.Error(), "larger than 4 MiB") {
		t.Error(err)
	}
}

// TestBytes is about what an archive of tests cannot hold: byte order marks, carriage returns, control characters, other encodings.
func TestBytes(t *testing.T) {
	const good = "apiVersion: devenv/v1\nname: academy\n"
	deep := "cluster: " + strings.Repeat("[", 20_000)
	bomb := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c <= 'h'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s*%c]\n", c, c, strings.Repeat(fmt.Sprintf("*%c, ", c-1), 9), c-1)
	}
	for _, c := range []struct{ name, text, want string }{
		{"byte order mark", "\ufeff" + good, ""},
		{"carriage returns", strings.ReplaceAll(good, "\n", "\r\n"), ""},
		{"a mistake after carriage returns", strings.ReplaceAll(good+"servces: {}\n", "\n", "\r\n"), `devenv.yaml:3:1: unknown key "servces", did you mean "services"?`},
		{"a mistake after a byte order mark", "\ufeffservces: {}\n" + good, `devenv.yaml:1:1: unknown key "servces", did you mean "services"?`},
		{"UTF-16", "a\x00p\x00i\x00\n\x00", "devenv.yaml:1:2: the file holds a character that YAML does not allow, U+0000"},
		{"UTF-16 with its mark", "\xff\xfea\x00", "devenv.yaml:1:1: the file is not UTF-8 text"},
		{"an escape sequence", good + "# \x1b[0m\n", "devenv.yaml:3:3: the file holds a character that YAML does not allow, U+001B"},
		{"a sequence without end", good + deep, "devenv.yaml:3:1: not valid YAML: exceeded max depth of 10000"},
		{"aliases that multiply", good + bomb, "the file's aliases expand to more than 50000 values"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), config.FileName)
			if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := config.Load(path, config.Options{})
			if c.want == "" {
				if err != nil {
					t.Error(problems(err))
				}
				return
			}
			var all config.Errors
			if !errors.As(err, &all) {
				t.Fatalf("%#v", err)
			}
			if !slices.ContainsFunc(all, func(p config.Problem) bool { return strings.Contains(p.String(), c.want) }) {
				t.Errorf("%s\nwant %s", all[0], c.want)
			}
		})
	}
}
