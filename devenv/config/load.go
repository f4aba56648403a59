package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/devenv-run/devenv/devenv/fault"
)

// Options choose a variant of the configuration.
type Options struct {
	Over    []string // paths of further files; each is merged over what comes before it, as a profile is
	Profile string   // name under profiles; empty for none
}

// maxFile is the size in bytes beyond which a file is no configuration.
const maxFile = 4 << 20

// Load reads and checks the file at path, with those of opt merged over it. Everything wrong with their content, in any of the
// profiles, is one *fault.Error of kind Config with Errors in its chain; it is joined with one for each file that cannot be read.
// Paths in all the files are relative to the directory of the first.
func Load(path string, opt Options) (*Config, error) {
	first, err := filepath.Abs(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	dir := filepath.Dir(first)
	var sources []source
	var unread []error
	for _, path := range append([]string{first}, opt.Over...) {
		s := source{name: shown(dir, path)}
		if s.data, err = readFile(path); err != nil {
			unread = append(unread, unreadable(s.name, err))
		}
		s.lost = err != nil
		sources = append(sources, s)
	}
	c, err := read(sources, dir, opt.Profile)
	if err := errors.Join(append(unread, err)...); err != nil {
		return nil, err
	}
	return c, nil
}

// shown is a file's path as messages show it: relative to the first file's directory.
func shown(dir, path string) string {
	full, err := filepath.Abs(path)
	if err == nil {
		if rel, err := filepath.Rel(dir, full); err == nil {
			return filepath.ToSlash(rel)
		}
	}
	return path
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it is larger than %d MiB", maxFile>>20)
	}
	return data, err
}

func unreadable(name string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err // Where names the file
	}
	return &fault.Error{
		Kind: fault.Config, What: "the configuration cannot be read", Where: name, Err: err,
		Next: "name the file with --file, or make it readable",
	}
}

// source is the text of one file.
type source struct {
	name string // as messages show it
	data []byte
	lost bool // it could not be read, which is reported already
}

// read is Load for texts that are in memory already.
func read(sources []source, dir, profileName string) (*Config, error) {
	r := reading{dir: dir, whole: true}
	for _, s := range sources {
		r.names = append(r.names, s.name)
		if s.lost {
			r.whole = false
			continue
		}
		r.add(s)
	}
	if r.root == nil {
		return nil, r.fault()
	}
	profiles, found := takeProfiles(r.names[0], r.root)
	r.problems = append(r.problems, found...)
	base := without(r.root, "profiles")

	// Every profile is checked, not only the chosen one: a mistake must not wait for the day on which CI uses it.
	var chosen *Config
	known := false
	for _, p := range append([]profile{{}}, profiles...) {
		tree := base
		if p.tree != nil {
			tree = merge(base, p.tree)
		}
		c := r.decode(tree)
		if p.name == profileName {
			chosen, known = c, true
		}
	}
	if !known {
		r.problems = append(r.problems, unknownProfile(r.root, profiles, profileName))
	}
	if err := r.fault(); err != nil || !r.whole {
		return nil, err
	}
	for _, p := range profiles {
		chosen.Profiles = append(chosen.Profiles, Profile{Name: p.name, Pos: p.pos})
	}
	return chosen, nil
}

// reading is the files as far as they have been read.
type reading struct {
	dir      string
	names    []string
	root     *node // all files merged; nil without one that can be read
	whole    bool  // every file is in root
	problems []Problem
}

// add parses a file and merges it over those before it.
func (r *reading) add(s source) {
	tree, found := parse(s.name, s.data)
	r.problems = append(r.problems, found...)
	if tree == nil || tree.Kind != yaml.MappingNode {
		if tree != nil {
			r.decode(tree) // says what it is instead
		}
		r.whole = false
		return
	}
	if _, version := get(tree, "apiVersion"); version != nil && r.root != nil {
		// Merged over another one it would not be seen, but it says how this very file is to be read.
		d := r.decoder()
		field, _ := fieldFor(reflect.TypeFor[Config](), "apiVersion")
		d.value(version, reflect.New(field.Type).Elem(), "apiVersion", rulesOf(field))
		r.problems = append(r.problems, d.problems...)
	}
	if r.root != nil {
		tree = merge(r.root, tree)
	}
	r.root = tree
}

func (r *reading) decoder() *decoder {
	return &decoder{file: r.names[0], dir: r.dir, at: map[string]Pos{}}
}

func (r *reading) decode(tree *node) *Config {
	d := r.decoder()
	c := d.config(tree)
	r.problems = append(r.problems, d.problems...)
	return c
}

// fault is everything that is wrong, nil if nothing is. Where a file is missing from the whole, what is absent may stand in that one.
func (r *reading) fault() error {
	problems := r.problems
	if !r.whole {
		problems = slices.DeleteFunc(problems, func(p Problem) bool { return p.absent })
	}
	if len(problems) == 0 {
		return nil
	}
	return inOrder(problems, r.names).Fault()
}
