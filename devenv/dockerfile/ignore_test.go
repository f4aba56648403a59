package dockerfile_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tonistiigi/fsutil"
	"pgregory.net/rapid"

	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/dockerfile"
	"github.com/devenv-run/devenv/devenv/fault"
)

// plant makes files below a new directory; a name that ends in a slash is a directory.
func plant(t testing.TB, files ...string) string {
	t.Helper()
	root, err := os.MkdirTemp(t.TempDir(), "context")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		full := filepath.Join(root, f)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f, "/") {
			err = os.MkdirAll(full, 0o755)
		} else {
			err = os.WriteFile(full, []byte(f), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// walked are the paths of the context at root that an ignore file leaves in.
func walked(t testing.TB, root, ignore string) []string {
	t.Helper()
	parsed, err := dockerfile.ParseIgnore([]byte(ignore), ".dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	m, err := digest.Walk(t.Context(), root, parsed, nil)
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{}
	for _, e := range m {
		paths = append(paths, e.Path)
	}
	return paths
}

// sent are the paths that BuildKit's client sends of the context at root for these patterns.
func sent(t testing.TB, root string, patterns []string) []string {
	t.Helper()
	all, err := fsutil.NewFS(root)
	if err != nil {
		t.Fatal(err)
	}
	filtered, err := fsutil.NewFilterFS(all, &fsutil.FilterOpt{ExcludePatterns: patterns})
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{}
	err = filtered.Walk(context.Background(), "/", func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, filepath.ToSlash(path))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	return paths
}

// wildcardException is a case that the client of Docker 20.10 gets wrong: it never looks into a directory that is ignored
// for an exception with a wildcard. devenv sends contexts itself, so its builds are right with that engine, too.
const wildcardException = "exceptions with two stars"

// tricky are ignore files that say something that is easy to get wrong. They are used with a real engine, too.
var tricky = []struct {
	name, ignore string
	want         string // paths that stay, of files only
}{
	{"nothing", "", ".hidden Dockerfile README.md a/b/c.go a/b/c.txt a/x.go docs/README.md docs/internal/plan.md node_modules/m/index.js src/main.go"},
	{"comments, empty lines and spaces", "# README.md\n\n   src   \n\t.hidden\n", "Dockerfile README.md a/b/c.go a/b/c.txt a/x.go docs/README.md docs/internal/plan.md node_modules/m/index.js"},
	{"a comment is only at the start of a line", " # README.md\nREADME.md # why\n", ".hidden Dockerfile README.md a/b/c.go a/b/c.txt a/x.go docs/README.md docs/internal/plan.md node_modules/m/index.js src/main.go"},
	{"everything but", "*\n!src\n!a/b/*.go\n", "a/b/c.go src/main.go"},
	{"everything but, deep", "**\n!a/b/c.txt\n", "a/b/c.txt"},
	{"a star is one level", "*.md\n*/*.go\n", ".hidden Dockerfile a/b/c.go a/b/c.txt docs/README.md docs/internal/plan.md node_modules/m/index.js"},
	{"two stars are any level", "**/*.md\n**/c.*\n", ".hidden Dockerfile a/x.go node_modules/m/index.js src/main.go"},
	{"two stars in the middle", "a/**/c.go\n", ".hidden Dockerfile README.md a/b/c.txt a/x.go docs/README.md docs/internal/plan.md node_modules/m/index.js src/main.go"},
	{"the last match wins", "docs\n!docs/README.md\ndocs/*.md\n!docs/internal\n", ".hidden Dockerfile README.md a/b/c.go a/b/c.txt a/x.go docs/internal/plan.md node_modules/m/index.js src/main.go"},
	{"an exception before its rule has no effect", "!README.md\n*.md\n", ".hidden Dockerfile a/b/c.go a/b/c.txt a/x.go docs/README.md docs/internal/plan.md node_modules/m/index.js src/main.go"},
	{"a name without a slash is at the top only", "README.md\nc.go\n", ".hidden Dockerfile a/b/c.go a/b/c.txt a/x.go docs/README.md docs/internal/plan.md node_modules/m/index.js src/main.go"},
	{"slashes at both ends", "/docs/\n/a/b\n", ".hidden Dockerfile README.md a/x.go node_modules/m/index.js src/main.go"},
	{"dots in paths", "./docs/../a\n", ".hidden Dockerfile README.md docs/README.md docs/internal/plan.md node_modules/m/index.js src/main.go"},
	{"character classes and question marks", "[a-c]\nsr?\n[!x]*.md\n", ".hidden Dockerfile README.md docs/README.md docs/internal/plan.md node_modules/m/index.js"},
	{"the Dockerfile itself", "Dockerfile\n.dockerignore\nnode_modules\n**/.*\n", "README.md a/b/c.go a/b/c.txt a/x.go docs/README.md docs/internal/plan.md src/main.go"},
	{wildcardException, "**\n!**/*.go\n", "a/b/c.go a/x.go src/main.go"},
	{"exception of a directory under an ignored one", "a\n!a/b\n", ".hidden Dockerfile README.md a/b/c.go a/b/c.txt docs/README.md docs/internal/plan.md node_modules/m/index.js src/main.go"},
	{"an escaped character", "README\\.md\n", ".hidden Dockerfile a/b/c.go a/b/c.txt a/x.go docs/README.md docs/internal/plan.md node_modules/m/index.js src/main.go"},
	{"byte order mark and carriage returns", "\xef\xbb\xbfsrc\r\na\r\n", ".hidden Dockerfile README.md docs/README.md docs/internal/plan.md node_modules/m/index.js"},
	{"the same directory ignored again", "a\n!a/b\na/b/*.txt\n", ".hidden Dockerfile README.md a/b/c.go docs/README.md docs/internal/plan.md node_modules/m/index.js src/main.go"},
}

var trickyFiles = []string{
	".hidden", "Dockerfile", "README.md", "a/b/c.go", "a/b/c.txt", "a/x.go", "docs/README.md", "docs/internal/plan.md", "node_modules/m/index.js", "src/main.go",
}

func filesOnly(root string, paths []string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(paths), func(p string) bool {
		info, err := os.Stat(filepath.Join(root, p))
		return err == nil && info.IsDir()
	}), " ")
}

func TestIgnoreIsWhatBuildKitSends(t *testing.T) {
	root := plant(t, trickyFiles...)
	for _, c := range tricky {
		t.Run(c.name, func(t *testing.T) {
			parsed, err := dockerfile.ParseIgnore([]byte(c.ignore), ".dockerignore")
			if err != nil {
				t.Fatal(err)
			}
			got := walked(t, root, c.ignore)
			if diff := cmp.Diff(sent(t, root, parsed.Patterns), got); diff != "" {
				t.Errorf("unlike BuildKit: %s", diff)
			}
			if diff := cmp.Diff(c.want, filesOnly(root, got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIgnoreIsWhatBuildKitSendsForAnyPatterns(t *testing.T) {
	name := rapid.SampledFrom([]string{"a", "b", "ab", "a.go", "b.md", ".x"})
	root := plant(t, "a/a/a.go", "a/a/b.md", "a/b/a", "a/b/ab/.x", "a/a.go", "b/a/a", "b/ab/b.md", "b/b/", "ab/a/a.go", "ab/.x", "a.go", "b.md", ".x")
	part := rapid.OneOf(name, rapid.SampledFrom([]string{"*", "**", "?", "a*", "*.go", "[ab]", "a?", "**.md", "a**", `\a`, "^", ".", "..", ""}))
	rapid.Check(t, func(r *rapid.T) {
		var text []string
		for range rapid.IntRange(0, 5).Draw(r, "lines") {
			line := strings.Join(rapid.SliceOfN(part, 1, 3).Draw(r, "pattern"), "/")
			text = append(text, rapid.SampledFrom([]string{"", "", "!", "/", "! "}).Draw(r, "before")+line)
		}
		ignore := strings.Join(text, "\n")
		parsed, err := dockerfile.ParseIgnore([]byte(ignore), ".dockerignore")
		if err != nil {
			r.Skip("not valid")
		}
		if diff := cmp.Diff(sent(t, root, parsed.Patterns), walked(t, root, ignore)); diff != "" {
			r.Fatalf("%q: %s", ignore, diff)
		}
	})
}

func TestIgnorePrunes(t *testing.T) {
	for _, c := range []struct {
		ignore, dir string
		looks       bool
	}{
		{"node_modules", "node_modules", false},
		{"node_modules\n!src/**/*.go", "node_modules", false},
		{"**\n!src/*.go", "docs", false},
		{"**\n!src/*.go", "src", true},
		{"**\n!src/lib/*.go", "src", true},
		{"**\n!**/*.go", "docs", true},
		{"node_modules\n!node_modules/keep", "node_modules", true},
		{"**\n!a/b", "ab", false},
	} {
		i, err := dockerfile.ParseIgnore([]byte(c.ignore), "")
		if err != nil {
			t.Fatal(err)
		}
		ignored, inside := i.Match(c.dir, true)
		if !ignored || (inside != nil) != c.looks {
			t.Errorf("%q on %s: ignored %v, looks inside %v", c.ignore, c.dir, ignored, inside != nil)
		}
	}
}

func TestReadIgnore(t *testing.T) {
	root := plant(t, "Dockerfile", "other/Dockerfile.dev", "none/")
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(".dockerignore", "context\n")
	write("other/Dockerfile.dev.dockerignore", "own\n")
	write("bad", "ok\n# [\n\n  [x \n")
	write("exclamation", "!\n")
	for _, c := range []struct{ context, dockerfile, file, patterns string }{
		{".", "Dockerfile", ".dockerignore", "context"},
		{".", "other/Dockerfile.dev", "other/Dockerfile.dev.dockerignore", "own"},
		{"none", "Dockerfile", "", ""},
	} {
		i, err := dockerfile.ReadIgnore(filepath.Join(root, c.context), filepath.Join(root, c.dockerfile))
		if err != nil {
			t.Fatal(err)
		}
		file := strings.TrimPrefix(strings.TrimPrefix(i.File, root), "/")
		if file != c.file || strings.Join(i.Patterns, " ") != c.patterns {
			t.Errorf("%v: %s %v", c, file, i.Patterns)
		}
	}
	for file, line := range map[string]string{"bad": ":4", "exclamation": ":1"} {
		data, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		_, err = dockerfile.ParseIgnore(data, file)
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Build || f.Where != file+line {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func FuzzIgnore(f *testing.F) {
	for _, c := range tricky {
		f.Add([]byte(c.ignore), "a/b/c.go")
	}
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		i, err := dockerfile.ParseIgnore(data, ".dockerignore")
		if err != nil {
			var known *fault.Error
			if !errors.As(err, &known) {
				t.Fatal(err)
			}
			return
		}
		name = strings.TrimPrefix(path.Clean("/"+name), "/")
		var here digest.Ignore = i
		for at := range strings.SplitSeq(name, "/") {
			if _, inside := here.Match(at, true); inside != nil {
				here = inside
			}
		}
	})
}
