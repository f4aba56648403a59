// Package templates holds the files that devenv carries with it. Add-ons are what a production cluster has and kind lacks, as
// ordinary manifests: they are rendered, applied and awaited like everything else that is deployed.
package templates

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed addons
var files embed.FS

// Addons are the names of the add-ons, sorted.
func Addons() []string {
	entries, err := fs.ReadDir(files, "addons")
	if err != nil {
		panic(err) // the directory is compiled in
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Addon is the manifest of an add-on: YAML documents, in no particular order. An unknown name is an error that says which there are.
func Addon(name string) ([]byte, error) {
	if !slices.Contains(Addons(), name) {
		return nil, fmt.Errorf("there is no add-on %q; there is %s", name, strings.Join(Addons(), ", "))
	}
	parts, err := fs.Glob(files, path.Join("addons", name, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("add-on %s: %w", name, err)
	}
	var documents [][]byte
	for _, part := range parts {
		data, err := files.ReadFile(part)
		if err != nil {
			return nil, fmt.Errorf("add-on %s: %w", name, err)
		}
		documents = append(documents, bytes.TrimSpace(data))
	}
	return append(bytes.Join(documents, []byte("\n---\n")), '\n'), nil
}
