package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/tools/txtar"
	"gopkg.in/yaml.v3"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/fault"
)

var update = flag.Bool("update", false, "write what the tests get as what they want")

// cases are the archives of a directory of testdata. Each holds a project and the file "want"; a line "profile: NAME" before them
// chooses a profile, and a line "over: NAME" merges a file over devenv.yaml.
func cases(t *testing.T, dir string, run func(t *testing.T, path string, opt config.Options, archive *txtar.Archive) (got string)) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", dir, "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no cases", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var opt config.Options
			root, want := unpack(t, archive), file(archive, "want")
			for line := range strings.Lines(string(archive.Comment)) {
				if name, ok := strings.CutPrefix(line, "profile: "); ok {
					opt.Profile = strings.TrimSpace(name)
				}
				if name, ok := strings.CutPrefix(line, "over: "); ok {
					opt.Over = append(opt.Over, filepath.Join(root, strings.TrimSpace(name)))
				}
			}
			got := run(t, filepath.Join(root, config.FileName), opt, archive)
			if *update {
				*want = []byte(got)
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if diff := cmp.Diff(string(*want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// file is the content of a file of an archive, which is added if it is not there.
func file(archive *txtar.Archive, name string) *[]byte {
	i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == name })
	if i < 0 {
		i = len(archive.Files)
		archive.Files = append(archive.Files, txtar.File{Name: name})
	}
	return &archive.Files[i].Data
}

// unpack writes an archive into a new directory; a name that ends in a slash is a directory.
func unpack(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	root := t.TempDir()
	for _, f := range archive.Files {
		path := filepath.Join(root, f.Name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if strings.HasSuffix(f.Name, "/") {
			err = os.MkdirAll(path, 0o755)
		} else if err == nil {
			err = os.WriteFile(path, f.Data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestErrors(t *testing.T) {
	cases(t, "errors", func(t *testing.T, path string, opt config.Options, archive *txtar.Archive) string {
		_, err := config.Load(path, opt)
		var f *fault.Error
		var problems config.Errors
		if !errors.As(err, &f) || !errors.As(err, &problems) || f.Kind != fault.Config || f.Next == "" {
			t.Fatalf("%#v", err)
		}
		var lines strings.Builder
		for _, p := range problems {
			isThere := slices.ContainsFunc(archive.Files, func(f txtar.File) bool { return f.Name == p.File })
			if !isThere || p.Line < 1 || p.Column < 1 {
				t.Errorf("without a place: %#v", p)
			}
			lines.WriteString(p.String() + "\n")
		}
		return lines.String()
	})
}

func TestValid(t *testing.T) {
	schema := compile(t)
	cases(t, "valid", func(t *testing.T, path string, opt config.Options, archive *txtar.Archive) string {
		c, err := config.Load(path, opt)
		if err != nil {
			t.Fatal(err, problems(err))
		}
		if err := validate(t, schema, *file(archive, config.FileName)); err != nil {
			t.Errorf("the schema says otherwise: %v", err)
		}
		c.Dir = strings.TrimPrefix(c.Dir, filepath.Dir(path))
		text, err := json.MarshalIndent(c, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		return string(text) + "\n" + strings.Join(append(c.Notices(), ""), "\n")
	})
}

func problems(err error) string {
	var all config.Errors
	errors.As(err, &all)
	return fmt.Sprint(all)
}

func TestSchemaIsCurrent(t *testing.T) {
	const golden = "devenv.schema.json"
	got := config.Schema()
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(want, got) {
		t.Errorf("run go test ./devenv/config -update (%v)\n%s", err, cmp.Diff(string(want), string(got)))
	}
}

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(config.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("devenv.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("devenv.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func validate(t *testing.T, schema *jsonschema.Schema, text []byte) error {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(doc)
}

// TestSchemaRefuses holds the schema against mistakes that an editor should show.
func TestSchemaRefuses(t *testing.T) {
	schema := compile(t)
	const base = "apiVersion: devenv/v1\nname: academy\n"
	for name, text := range map[string]string{
		"no name":             "apiVersion: devenv/v1\n",
		"unknown key":         base + "servces: {}\n",
		"version":             "apiVersion: devenv/v2\nname: academy\n",
		"name":                "apiVersion: devenv/v1\nname: Academy\n",
		"type":                base + "cluster: {workers: two}\n",
		"negative":            base + "cluster: {workers: -1}\n",
		"addon":               base + "cluster: {addons: [istio]}\n",
		"service's name":      base + "services: {A: {image: a, build: {context: a}}}\n",
		"service's image":     base + "services: {a: {build: {context: a}}}\n",
		"port":                base + "services: {a: {image: a, build: {context: a}, forward: [a:b]}}\n",
		"two sources":         base + "deploy: [{name: a, kustomize: a, manifests: [b]}]\n",
		"no source":           base + "deploy: [{name: a}]\n",
		"no reason":           base + "divergences: [{target: {kind: A}, patch: {}}]\n",
		"empty target":        base + "divergences: [{target: {}, patch: {}, reason: r}]\n",
		"duration":            base + "tests: {a: {run: b, timeout: 2}}\n",
		"profile's key":       base + "profiles: {ci: {cluster: {worker: 0}}}\n",
		"profile's name key":  base + "profiles: {ci: {name: x}}\n",
		"profile's deep type": base + "profiles: {ci: {services: {a: {forward: 1}}}}\n",
	} {
		if err := validate(t, schema, []byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := validate(t, schema, []byte(base+"profiles: {ci: {services: {a: {forward: [8080]}}, deploy: [{name: a}]}}\n")); err != nil {
		t.Errorf("a profile needs not be complete: %v", err)
	}
}

func TestFind(t *testing.T) {
	root := t.TempDir()
	deep := filepath.Join(root, "a/b")
	if err := os.MkdirAll(filepath.Join(root, "a", config.FileName), 0o755); err != nil { // a directory of that name is none
		t.Fatal(err)
	}
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := config.Find(deep)
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Config || f.Next == "" {
		t.Errorf("%v", err)
	}
	want := filepath.Join(root, config.FileName)
	if err := os.WriteFile(want, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := config.Find(deep); err != nil || got != want {
		t.Errorf("%s %v", got, err)
	}
	t.Chdir(deep)
	if got, err := config.Find("."); err != nil || got != want {
		t.Errorf("%s %v", got, err)
	}
}

func TestLoadWithoutFile(t *testing.T) {
	_, err := config.Load(filepath.Join(t.TempDir(), "x.yaml"), config.Options{})
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Config || f.Where != "x.yaml" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

const project = `-- devenv.yaml --
apiVersion: devenv/v1
name: academy
services:
  web: {image: a/web, build: {context: web, dockerfile: dev.Dockerfile}}
  api: {image: a/api, build: {context: .}}
deploy:
  - {name: all, manifests: ["b*.yaml", a.yaml, "*.yaml"]}
-- web/dev.Dockerfile --
-- Dockerfile --
-- a.yaml --
-- b2.yaml --
-- b1.yaml --
`

func load(t *testing.T) *config.Config {
	t.Helper()
	c, err := config.Load(filepath.Join(unpack(t, txtar.Parse([]byte(project))), config.FileName), config.Options{})
	if err != nil {
		t.Fatal(problems(err))
	}
	return c
}

func TestPaths(t *testing.T) {
	c := load(t)
	web, _ := c.Service("web")
	if got := c.ContextDir(web); got != filepath.Join(c.Dir, "web") {
		t.Error(got)
	}
	if got := c.DockerfilePath(web); got != filepath.Join(c.Dir, "web/dev.Dockerfile") {
		t.Error(got)
	}
	if got := c.Abs("/x/../y"); got != "/y" {
		t.Error(got)
	}
	files, err := c.Files(c.Deploy[0].Manifests)
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	if diff := cmp.Diff([]string{"b1.yaml", "b2.yaml", "a.yaml", "devenv.yaml"}, files); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if _, err := c.Files([]string{"none*"}); fault.Of(err) != fault.Config {
		t.Error(err)
	}
}

func TestSelect(t *testing.T) {
	c := load(t)
	names := func(services []config.Service) (names []string) {
		for _, s := range services {
			names = append(names, s.Name)
		}
		return names
	}
	for _, x := range []struct{ ask, want []string }{
		{nil, []string{"web", "api"}},
		{[]string{"api", "web"}, []string{"web", "api"}},
		{[]string{"api"}, []string{"api"}},
	} {
		got, err := c.Select(x.ask)
		if diff := cmp.Diff(x.want, names(got)); diff != "" || err != nil {
			t.Error(err, diff)
		}
	}
	_, err := c.Select([]string{"wep"})
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Config || f.Next != `did you mean "web"? the services are web, api` {
		t.Errorf("%#v", f)
	}
}

func TestPositions(t *testing.T) {
	c := load(t)
	for path, want := range map[string]string{
		"services.web":               "devenv.yaml:4:3",
		"services.web.image":         "devenv.yaml:4:16",
		"services.web.build.target":  "devenv.yaml:4:23", // not written: its surroundings
		"deploy[0].manifests[1]":     "devenv.yaml:7:40",
		"deploy[0].helm.chart":       "devenv.yaml:7:5",
		"tests.smoke":                "devenv.yaml:1:1",
		"services.api.build.context": "devenv.yaml:5:40",
	} {
		if got := c.At(path).String(); got != want {
			t.Errorf("%s: %s, not %s", path, got, want)
		}
	}
	if got := c.Services[1].Pos.String(); got != "devenv.yaml:5:3" {
		t.Error(got)
	}
	if got := (config.Pos{File: "x"}).String(); got != "x" {
		t.Error(got)
	}
}
