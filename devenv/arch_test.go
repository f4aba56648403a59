package devenv_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/devenv-run/devenv/"

// arrows says which of our packages each package may import. docs/ARCHITECTURE.md draws the same picture. Tests may also import devenvtest.
var arrows = map[string][]string{
	"cmd/devenv":              {"devenv/cli"},
	"devenv/cli":              {"devenv", "devenv/event", "devenv/fault", "devenv/view"},
	"devenv":                  {"devenv/config", "devenv/digest", "devenv/docker", "devenv/dockerfile", "devenv/engine", "devenv/event", "devenv/fault", "devenv/history", "devenv/hot", "devenv/image", "devenv/kind", "devenv/kube", "devenv/lock", "devenv/loop", "devenv/parity", "devenv/plan", "devenv/render", "devenv/secret", "devenv/view", "devenv/watch", "templates"},
	"devenv/engine":           {"devenv/event", "devenv/fault", "devenv/plan"},
	"devenv/view":             {"devenv/event", "devenv/fault", "devenv/plan"},
	"devenv/config":           {"devenv/fault"},
	"devenv/render":           {"devenv/fault", "devenv/plan", "devenv/secret"},
	"devenv/docker":           {"devenv/event", "devenv/fault", "devenv/image", "devenv/plan", "devenv/secret"},
	"devenv/kind":             {"devenv/digest", "devenv/engine", "devenv/event", "devenv/fault", "devenv/hot", "devenv/image", "devenv/plan"},
	"devenv/kube":             {"devenv/engine", "devenv/event", "devenv/fault", "devenv/history", "devenv/hot", "devenv/plan"},
	"devenv/dockerfile":       {"devenv/digest", "devenv/fault"},
	"devenv/digest":           {"devenv/fault"},
	"devenv/history":          {"devenv/plan"},
	"devenv/hot":              {"devenv/digest"},
	"devenv/parity":           {"devenv/plan"},
	"devenv/lock":             {"devenv/fault"},
	"devenv/image":            {},
	"devenv/loop":             {},
	"devenv/watch":            {"devenv/digest", "devenv/fault"},
	"devenv/plan":             {},
	"devenv/event":            {"devenv/plan"},
	"devenv/fault":            {},
	"devenv/secret":           {},
	"devenv/devenvtest":       {"devenv/digest", "devenv/engine", "devenv/event", "devenv/fault", "devenv/history", "devenv/hot", "devenv/image", "devenv/plan"},
	"devenv/e2e":              {},
	"devenv/e2e/asker":        {},
	"scripts/bench/coldup":    {"scripts/bench/measure"},
	"scripts/bench/edit":      {"scripts/bench/measure"},
	"scripts/bench/load":      {"devenv/docker", "devenv/kind", "devenv/plan", "scripts/bench/measure"},
	"scripts/bench/many":      {"scripts/bench/measure"},
	"scripts/bench/many/wait": {},
	"scripts/bench/measure":   {},
	"templates":               {},
}

// pure packages import only the standard library beside what arrows allows.
var pure = []string{"devenv/plan", "devenv/digest", "devenv/event", "devenv/fault", "devenv/history", "devenv/loop", "devenv/secret"}

// confined modules are imported by one package only, so that replacing them touches one place.
var confined = map[string]string{
	"github.com/docker/docker/":  "devenv/docker",
	"sigs.k8s.io/kind/":          "devenv/kind",
	"helm.sh/helm/":              "devenv/render",
	"sigs.k8s.io/kustomize/api/": "devenv/render",
	"github.com/urfave/cli/":     "devenv/cli",
	"k8s.io/client-go/dynamic/":  "devenv/kube",
	"github.com/fsnotify/":       "devenv/watch",
}

type goPackage struct {
	ImportPath   string
	Doc          string
	Imports      []string
	TestImports  []string
	XTestImports []string
	GoFiles      []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Doc,Imports,TestImports,XTestImports,GoFiles", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestArrowsPointInward(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, known := arrows[name]
		if !known {
			t.Errorf("package %s is not in the picture: add it to arrows and to docs/ARCHITECTURE.md", name)
			continue
		}
		for _, imported := range p.Imports {
			ours, isOurs := strings.CutPrefix(imported, module)
			if isOurs && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s, against the arrows", name, ours)
			}
			if !isOurs && slices.Contains(pure, name) && strings.Contains(strings.Split(imported, "/")[0], ".") {
				t.Errorf("%s imports %s, and is to import only the standard library", name, imported)
			}
			for prefix, only := range confined {
				if strings.HasPrefix(imported+"/", prefix) && name != only {
					t.Errorf("%s imports %s, which is confined to %s", name, imported, only)
				}
			}
		}
	}
}

func TestEveryPackageExplainsItself(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
