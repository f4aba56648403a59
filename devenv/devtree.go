package devenv

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/dockerfile"
	"github.com/devenv-run/devenv/devenv/lock"
	"github.com/devenv-run/devenv/devenv/loop"
	"github.com/devenv-run/devenv/devenv/watch"
)

// tree is what of the working tree is watched, and whose it is.
type tree struct {
	project *config.Config
	watcher *watch.Watcher
	roots   []watch.Root
	owner   map[string]belonging // by the name of a root
}

// belonging is what a root is of.
type belonging struct {
	path    string // absolute
	service string // empty: of no service
	config  bool   // devenv.yaml, and what is merged over it
}

// newTree lists what the project is made of: the build contexts and Dockerfiles of these services, everything that is rendered, and
// devenv.yaml itself.
func newTree(p *Project, services []string) *tree {
	t := &tree{project: p.config, owner: map[string]belonging{}}
	for _, file := range append([]string{p.options.File}, p.options.Over...) {
		if full, err := filepath.Abs(file); err == nil {
			t.add(watch.Root{Name: "devenv.yaml " + full, Path: full, Follow: true}, belonging{config: true})
		}
	}
	t.add(watch.Root{Name: "lock", Path: p.config.Abs(lock.FileName)}, belonging{})
	for _, s := range p.config.Services {
		if slices.Contains(services, s.Name) {
			t.service(s)
		}
	}
	for _, d := range p.config.Deploy {
		t.deploy(d)
	}
	return t
}

func (t *tree) add(r watch.Root, o belonging) {
	o.path = r.Path
	if _, known := t.owner[r.Name]; !known {
		t.roots, t.owner[r.Name] = append(t.roots, r), o
	}
}

func (t *tree) service(s config.Service) {
	root, file := t.project.ContextDir(s), t.project.DockerfilePath(s)
	ignores := []string{file + ".dockerignore", filepath.Join(root, ".dockerignore")}
	t.add(watch.Root{
		Name: "service " + s.Name, Path: root, IgnoreFiles: ignores,
		Ignore: func() (digest.Ignore, error) { return dockerfile.ReadIgnore(root, file) },
	}, belonging{service: s.Name})
	// They count also where the context does not have them, or ignores them.
	for _, f := range append([]string{file}, ignores...) {
		t.add(watch.Root{Name: "service " + s.Name + " " + f, Path: f, Follow: true}, belonging{service: s.Name})
	}
}

func (t *tree) deploy(d config.Deploy) {
	var paths []string
	if d.Helm != nil {
		paths = append(append(paths, d.Helm.Chart), d.Helm.Values...)
	}
	if d.Kustomize != "" {
		paths = append(paths, d.Kustomize)
	}
	if d.Local != nil {
		paths = append(paths, d.Local.Values...)
		if d.Local.Overlay != "" {
			paths = append(paths, d.Local.Overlay)
		}
	}
	for _, p := range paths {
		t.rendered(t.project.Abs(p))
	}
	for _, pattern := range d.Manifests {
		t.pattern(t.project.Abs(pattern))
	}
}

// rendered adds what is read when something is rendered, and what that refers to outside of itself: bases of kustomizations, charts that a
// chart depends on.
func (t *tree) rendered(full string) {
	full = filepath.Clean(full)
	for name, o := range t.owner {
		if strings.HasPrefix(name, "rendered ") && (full == o.path || strings.HasPrefix(full, o.path+string(filepath.Separator))) {
			return
		}
	}
	t.add(watch.Root{Name: "rendered " + full, Path: full, Follow: true}, belonging{})
	for _, other := range neighbours(full) {
		t.rendered(other)
	}
}

// referring are the files that refer to others by path.
var referring = []string{"kustomization.yaml", "kustomization.yml", "Kustomization", "Chart.yaml"}

// neighbours are the files and directories outside of dir that a kustomization or chart in it names. Which keys hold paths differs from version to
// version, so every text that is the path of something that exists counts: watching one too many costs little.
func neighbours(dir string) []string {
	var found []string
	_ = filepath.WalkDir(dir, func(file string, e fs.DirEntry, err error) error { // what cannot be read is rendering's to complain of
		if err != nil || e.IsDir() || !slices.Contains(referring, e.Name()) {
			return nil
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return nil
		}
		var content yaml.Node
		if yaml.Unmarshal(data, &content) != nil {
			return nil
		}
		for _, text := range texts(&content) {
			if _, after, isPair := strings.Cut(text, "="); isPair { // KEY=FILE of a generator
				text = after
			}
			text = strings.TrimPrefix(text, "file://")
			if !strings.Contains(text, "..") && !filepath.IsAbs(text) {
				continue
			}
			if !filepath.IsAbs(text) {
				text = filepath.Join(filepath.Dir(file), text)
			}
			if rel, err := filepath.Rel(dir, text); err == nil && filepath.IsLocal(rel) {
				continue
			}
			if _, err := os.Stat(text); err == nil {
				found = append(found, text)
			}
		}
		return nil
	})
	return found
}

// texts are all the scalars of a document that are one line.
func texts(n *yaml.Node) (all []string) {
	if n.Kind == yaml.ScalarNode && n.Value != "" && len(n.Value) < 4096 && !strings.Contains(n.Value, "\n") {
		all = append(all, n.Value)
	}
	for _, child := range n.Content {
		all = append(all, texts(child)...)
	}
	return all
}

// pattern adds the files that a pattern of manifests names.
func (t *tree) pattern(pattern string) {
	root := pattern
	for strings.ContainsAny(root, `*?[`) {
		root = filepath.Dir(root)
	}
	r := watch.Root{Name: "manifests " + pattern, Path: root, Follow: true}
	if rest, err := filepath.Rel(root, pattern); err == nil && rest != "." {
		only := only(strings.Split(filepath.ToSlash(rest), "/"))
		r.Ignore = func() (digest.Ignore, error) { return only, nil }
	}
	t.add(r, belonging{})
}

// only ignores what a pattern cannot name: the pattern's elements, one for each level of directories.
type only []string

// Match implements digest.Ignore.
func (o only) Match(name string, _ bool) (bool, digest.Ignore) {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		if i >= len(o) {
			return i > len(o), o // a directory that the pattern names stands for the files in it
		}
		if o[i] == "**" {
			return false, o
		}
		if ok, err := path.Match(o[i], part); !ok && err == nil {
			return true, nil
		}
	}
	return false, o
}

// outgrown says whether something is rendered now that is not watched: a kustomization that was given another base.
func (s *session) outgrown() (outgrown bool) {
	now := newTree(s.project, s.services())
	s.owned(func() {
		outgrown = !slices.EqualFunc(now.roots, s.tree.roots, func(x, y watch.Root) bool { return x.Name == y.Name })
	})
	return outgrown
}

// resolve says what a batch is about; nil if it is about nothing.
func (t *tree) resolve(b watch.Batch) loop.Event {
	e := loop.Changed{Services: map[string][]string{}}
	for _, change := range b.Changes {
		o, known := t.owner[change.Root]
		if !known {
			continue
		}
		paths := make([]string, 0, len(change.Paths))
		for _, p := range change.Paths {
			paths = append(paths, t.shown(filepath.Join(o.path, filepath.FromSlash(p))))
		}
		if len(paths) == 0 {
			paths = []string{t.shown(o.path)}
		}
		switch {
		case o.config:
			e.Config = append(e.Config, paths...)
		case o.service != "":
			e.Services[o.service] = union(e.Services[o.service], paths)
		default:
			e.Sources = union(e.Sources, paths)
		}
	}
	if len(e.Services)+len(e.Config)+len(e.Sources) == 0 {
		return nil
	}
	return e
}

// shown is a path as messages show it: relative to devenv.yaml where it is below it.
func (t *tree) shown(full string) string {
	if rel, err := filepath.Rel(t.project.Dir, full); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return full
}

// union adds those of more that are not in all.
func union(all, more []string) []string {
	for _, m := range more {
		if !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	return all
}
