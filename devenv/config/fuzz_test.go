package config

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/devenv-run/devenv/devenv/fault"
)

// FuzzLoad feeds any bytes as a devenv.yaml, and as a file merged over it: it never panics, and every problem has a place in the file.
func FuzzLoad(f *testing.F) {
	for _, dir := range []string{"errors", "valid"} {
		paths, err := filepath.Glob(filepath.Join("testdata", dir, "*.txtar"))
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				f.Fatal(err)
			}
			for _, one := range archive.Files {
				if one.Name == FileName {
					f.Add(one.Data, []byte(nil), "ci")
					f.Add([]byte("apiVersion: devenv/v1\nname: academy\n"), one.Data, "ci")
				}
			}
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data, over []byte, profile string) {
		sources := []source{{name: FileName, data: data}}
		if over != nil {
			sources = append(sources, source{name: "over.yaml", data: over})
		}
		c, err := read(sources, dir, profile)
		if err == nil {
			if c.Name == "" || c.APIVersion == "" {
				t.Fatalf("incomplete: %#v", c)
			}
			c.Notices()
			return
		}
		var known *fault.Error
		var problems Errors
		if !errors.As(err, &known) || !errors.As(err, &problems) || len(problems) == 0 {
			t.Fatalf("%#v", err)
		}
		for _, p := range problems {
			if p.Line < 1 || p.Column < 1 || p.File == "" || p.Message == "" {
				t.Fatalf("without a place or a message: %#v", p)
			}
		}
	})
}

func TestErrorsAsFault(t *testing.T) {
	one := Errors{{File: "devenv.yaml", Line: 2, Column: 7, Message: "no"}}
	two := append(one, Problem{File: "devenv.yaml", Line: 3, Column: 1, Message: "nor", Suggestion: "this"})
	for _, c := range []struct {
		errors       Errors
		line, detail string
	}{
		{one, "devenv.yaml:2:7: the file is not valid: no", ""},
		{two, "devenv.yaml:2:7: the file has 2 problems: no (and 1 more)", "devenv.yaml:2:7: no\ndevenv.yaml:3:1: nor, did you mean \"this\"?"},
	} {
		if f := c.errors.Fault(); f.Error() != c.line || f.Detail != c.detail || fault.Of(f) != fault.Config {
			t.Errorf("%s\n%s", f, f.Detail)
		}
	}
}

func TestPathsOfValues(t *testing.T) {
	for _, c := range []struct{ path, last, parent string }{
		{"", "the file", ""},
		{"name", "name", ""},
		{"services.web", "web", "services"},
		{"deploy[0]", "deploy", "deploy"},
		{"deploy[0].helm.values[12]", "values", "deploy[0].helm.values"},
		{join("cluster.registryMirrors", "docker.io"), "docker.io", "cluster.registryMirrors"},
		{join("cluster.registryMirrors", "docker.io") + "[0]", "docker.io", `cluster.registryMirrors["docker.io"]`},
		{join("", `a"b`), `a"b`, ""},
		{join("services", "") + ".image", "image", `services[""]`},
	} {
		if last(c.path) != c.last || parent(c.path) != c.parent {
			t.Errorf("%s: %q in %q", c.path, last(c.path), parent(c.path))
		}
	}
}

func TestNearest(t *testing.T) {
	valid := []string{"services", "deploy", "name", "cluster", "caCertificates", "image"}
	for text, want := range map[string]string{
		"servces": "services", "sevrices": "services", "Name": "name", "nmae": "name", "cacertificates": "caCertificates",
		"clusters": "cluster", "imgae": "image", "x": "", "volumes": "", "": "", "deployment": "",
	} {
		if got := nearest(text, valid); got != want {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
}
