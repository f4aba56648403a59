package devenv_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readers are the places that read environment variables, by file, and what for. None of them can change what is rendered, planned
// or locked, but for image.go and secrets.go, which read what devenv.yaml names (env:NAME).
var readers = map[string]string{
	"cli/cli.go":       "how the terminal wants its output",
	"docker/docker.go": "which engine",
	"kind/client.go":   "what a docker command is given",
	"kind/library.go":  "what a docker command is given",
	"state.go":         "where the state directory is",
	"image.go":         "build secrets that devenv.yaml names",
	"secrets.go":       "build secrets that devenv.yaml names",
}

// TestEnvironmentIsReadInFewPlaces keeps variables from creeping in: whoever reads one has to say why here.
func TestEnvironmentIsReadInFewPlaces(t *testing.T) {
	found := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "e2e" || d.Name() == "devenvtest") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			of, ok := s.X.(*ast.Ident)
			if !ok || of.Name != "os" && of.Name != "syscall" {
				return true
			}
			switch s.Sel.Name {
			case "Getenv", "LookupEnv", "Environ", "ExpandEnv", "Expand":
				found[filepath.ToSlash(path)] = true
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for path := range readers {
		want[path] = true
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("reading the environment (-known +found):\n%s", diff)
	}
}
