package render

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
)

// manifests reads the files of a source.
func (r *rendering) manifests(s *Source) ([]doc, error) {
	files, err := r.expand(s)
	if err != nil {
		return nil, err
	}
	var docs []doc
	var failed []error
	for _, file := range files {
		data, err := os.ReadFile(filepath.Join(r.in.Dir, file))
		if err != nil {
			return nil, config(s.Pos, "manifest "+file+" of source "+s.Name, err, "")
		}
		more, err := r.decodeFile(file, data)
		failed = append(failed, err)
		docs = append(docs, more...)
	}
	return docs, errors.Join(failed...)
}

// raw reads the manifests that a source carries.
func (r *rendering) raw(s *Source) ([]doc, error) {
	return r.decodeFile(s.Name, s.Raw)
}

// decodeFile reads all documents of a manifest file; name is how messages call it.
func (r *rendering) decodeFile(name string, data []byte) ([]doc, error) {
	texts, isJSON := decodeJSON(data)
	if !isJSON {
		texts = split(data, yamlMarker)
	}
	var docs []doc
	var failed []error
	for _, t := range texts {
		value, twice, err := decode(t.data)
		if isJSON {
			value, err = object(t.data)
		}
		var syntax *syntaxError
		if errors.As(err, &syntax) {
			failed = append(failed, config(fmt.Sprintf("%s:%d", name, t.line+syntax.line-1), "not a valid manifest", syntax, ""))
			continue
		} else if err != nil {
			failed = append(failed, config(fmt.Sprintf("%s:%d", name, t.line), "not a valid manifest", err, ""))
			continue
		}
		for _, w := range twice {
			r.note(fmt.Sprintf("%s:%d: %v; the last one counts", name, t.line+w.line-1, w.err))
		}
		if value != nil {
			docs = append(docs, doc{origin: fmt.Sprintf("%s:%d", name, t.line+firstLine(t.data)-1), value: value})
		}
	}
	return docs, errors.Join(failed...)
}

// expand lists the files that a source's patterns name, relative to the project directory, each once, in the order of the
// patterns and by path within each.
func (r *rendering) expand(s *Source) ([]string, error) {
	var files []string
	for _, pattern := range s.Manifests {
		matches, err := glob(r.in.Dir, filepath.ToSlash(filepath.Clean(pattern)))
		if err != nil {
			return nil, config(s.Pos, fmt.Sprintf("manifests %q of source %s", pattern, s.Name), err, "")
		}
		if len(matches) == 0 {
			return nil, config(s.Pos, fmt.Sprintf("manifests %q of source %s match no file", pattern, s.Name), nil,
				"Paths are relative to the folder of devenv.yaml.")
		}
		for _, m := range matches {
			if !slices.Contains(files, m) {
				files = append(files, m)
			}
		}
	}
	return files, nil
}

// glob lists the files that a pattern names. A directory stands for the manifests in it, as for kubectl.
func glob(dir, pattern string) ([]string, error) {
	if strings.Contains(pattern, "**") {
		return deepGlob(dir, pattern)
	}
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(literally.Replace(dir), pattern)
	}
	matches, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, m := range matches {
		info, err := os.Stat(m)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, m)
			continue
		}
		entries, err := os.ReadDir(m)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if !e.IsDir() && isManifest(e.Name()) {
				files = append(files, filepath.Join(m, e.Name()))
			}
		}
	}
	return relative(dir, files)
}

// literally keeps the project directory's own name out of pattern matching.
var literally = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

// deepGlob lists the files below the fixed part of a pattern with ** in it.
func deepGlob(dir, pattern string) ([]string, error) {
	fixed, _, _ := strings.Cut(pattern, "**")
	root := path.Dir(fixed + "x")
	for strings.ContainsAny(root, `*?[`) {
		root = path.Dir(root)
	}
	matcher, err := patternmatcher.New([]string{pattern})
	if err != nil {
		return nil, err
	}
	var files []string
	err = filepath.WalkDir(join(dir, root), func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		ok, err := matcher.MatchesOrParentMatches(name)
		if ok {
			files = append(files, p)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return relative(dir, files)
}

// isManifest says that a file's name ends as manifests do.
func isManifest(name string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name))
}

// relative makes paths relative to dir, with slashes.
func relative(dir string, files []string) ([]string, error) {
	for i, f := range files {
		rel, err := filepath.Rel(dir, f)
		if err != nil {
			return nil, err
		}
		files[i] = filepath.ToSlash(rel)
	}
	slices.Sort(files)
	return files, nil
}

// join makes a path of the project absolute.
func join(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
