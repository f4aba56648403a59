package render

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/openapi"
)

// kustomizeTurn guards the package variables that a run of Kustomize's library touches: the schema, which a kustomization may
// replace, and os.Stderr (see hush).
var kustomizeTurn sync.Mutex

// kustomize renders an overlay as "kubectl kustomize" does with its default options.
func (r *rendering) kustomize(s *Source) ([]doc, error) {
	overlay := s.Kustomize
	if s.Local != nil && s.Local.Overlay != "" {
		overlay = s.Local.Overlay
	}
	dir := join(r.in.Dir, overlay)
	file, ok := kustomizationIn(dir)
	if !ok {
		return nil, config(s.Pos, fmt.Sprintf("source %s has no kustomization in %s", s.Name, overlay), nil,
			"Set kustomize to a folder with a kustomization.yaml, relative to the folder of devenv.yaml.")
	}
	origin := path.Join(filepath.ToSlash(overlay), file)
	local := &localFiles{FileSystem: filesys.MakeFsOnDisk(), names: r.projectPath}
	resources, err := build(local, dir)
	if err != nil {
		var refused *remoteError
		if errors.As(local.refused, &refused) {
			return nil, config(refused.where, refused.Error(), nil, "Copy it into the repository and name the local folder or file.")
		}
		return nil, r.kustomizeError(origin, local.names(local.last), s, r.inProject(err))
	}
	text, err := resources.AsYaml()
	if err != nil {
		return nil, config(origin, "output of the kustomization", err, "")
	}
	docs, err := r.decodeFile(origin, text)
	for i := range docs {
		docs[i].origin = origin // lines of the output mean nothing to its author
		signAsKustomize(docs[i].value)
	}
	return docs, err
}

// build runs Kustomize, which panics on some malformed input.
func build(files *localFiles, dir string) (resources resmap.ResMap, err error) {
	kustomizeTurn.Lock()
	defer kustomizeTurn.Unlock()
	defer hush()()
	defer func() {
		if files.schema { // would stay in force for the next one
			openapi.ResetOpenAPI()
		}
		if p := recover(); p != nil {
			err = fmt.Errorf("cannot be read: %v", p)
		}
	}()
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionUnspecified // objects are put in order later; a set order makes it warn about sortOptions
	return krusty.MakeKustomizer(options).Run(files, dir)
}

// hush keeps Kustomize's library from writing to the terminal until the function that it returns is called. The library
// prints a warning about each deprecated field (commonLabels, for one) straight to os.Stderr, through the
// variable, and leaves no other way to stop it. Devenv's own output holds on to the file and is not affected.
func hush() (restore func()) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return func() {}
	}
	stderr := os.Stderr
	os.Stderr = null
	return func() {
		os.Stderr = stderr
		null.Close()
	}
}

// kustomizationIn finds the kustomization file of a folder, under one of the names that Kustomize recognises.
func kustomizationIn(dir string) (string, bool) {
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return name, true
		}
	}
	return "", false
}

// projectPath is an absolute path relative to the project directory, with slashes.
func (r *rendering) projectPath(file string) string {
	for _, dir := range r.dirs() {
		if rel, err := filepath.Rel(dir, file); err == nil && !strings.HasPrefix(rel, "..") {
			return filepath.ToSlash(rel)
		}
	}
	return file
}

// localFiles is the file system that Kustomize sees: the disk, except that a kustomization which names anything remote
// cannot be read. Kustomize would run git or ask the network for it, and what it got would differ from one day to the next.
type localFiles struct {
	filesys.FileSystem
	names   func(string) string // of a file, for messages
	refused error               // the first refusal; Kustomize hides it in its own words
	schema  bool                // a kustomization replaces the OpenAPI schema
	last    string              // the file that was read last, with success
}

// ReadFile implements filesys.FileSystem.
func (f *localFiles) ReadFile(file string) ([]byte, error) {
	data, err := f.FileSystem.ReadFile(file)
	if err == nil {
		f.last = file
	}
	if err != nil || !slices.Contains(konfig.RecognizedKustomizationFileNames(), filepath.Base(file)) {
		return data, err
	}
	remote, schema := inspect(data, func(ref string) bool {
		info, err := os.Stat(filepath.Join(filepath.Dir(file), ref))
		return err == nil && !info.IsDir()
	})
	f.schema = f.schema || schema
	if remote == nil {
		return data, nil
	}
	remote.where = fmt.Sprintf("%s:%d", f.names(file), remote.line)
	if f.refused == nil {
		f.refused = remote
	}
	return nil, remote
}
