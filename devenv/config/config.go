// Package config reads devenv.yaml, the one file in which a team says what its environment consists of, into a Config.
//
// Reading is strict, because a typing mistake that is passed over is a difference from production that nobody sees: unknown
// and duplicate keys, wrong types, names that Kubernetes would refuse and paths that lead nowhere are problems, all of
// them reported at once (Errors), each with its file, line, column and the nearest valid text. The trees of YAML nodes of the file, of
// those merged over it (load.go) and of the chosen profile are merged first (tree.go), then decoded along the tagged types of types.go (decode.go, rules.go); what
// concerns several values at once is checked last (check.go). The same types give the JSON Schema for editors (schema.go).
//
// Every path in a Config is as the file says it; Abs makes it absolute. Positions (Pos fields, Config.At) serve later errors.
package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/devenv-run/devenv/devenv/fault"
)

// FileName is the name that Find looks for.
const FileName = "devenv.yaml"

// Find looks for devenv.yaml in dir and then in each directory above it, and gives its absolute path.
func Find(dir string) (path string, err error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return "", &fault.Error{Kind: fault.Machine, What: "the working directory cannot be read", Err: err, Next: "change into a directory that exists"}
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, FileName)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path, nil
		}
		if filepath.Dir(dir) == dir {
			return "", &fault.Error{
				Kind: fault.Config, What: "there is no " + FileName + " in " + start + " or any directory above it",
				Next: "change into the project's directory, or name the file with --file",
			}
		}
	}
}

// Abs is a path of the file as an absolute one of this machine.
func (c *Config) Abs(path string) string { return resolve(c.Dir, path) }

// ContextDir is the absolute path of a service's build context.
func (c *Config) ContextDir(s Service) string { return c.Abs(s.Build.Context) }

// DockerfilePath is the absolute path of a service's Dockerfile, which devenv.yaml names relative to the build context.
func (c *Config) DockerfilePath(s Service) string {
	return resolve(c.ContextDir(s), s.Build.Dockerfile)
}

// Files expands patterns of manifests to absolute paths: pattern by pattern, each sorted, no file twice. The error is of kind Config.
func (c *Config) Files(patterns []string) ([]string, error) {
	var files []string
	for _, pattern := range patterns {
		matches, err := filepath.Glob(c.Abs(pattern))
		if err != nil || len(matches) == 0 {
			return nil, &fault.Error{
				Kind: fault.Config, What: fmt.Sprintf("no file matches %q", pattern), Where: c.File, Err: err,
				Next: "correct the pattern under deploy, or add the file",
			}
		}
		slices.Sort(matches)
		for _, m := range matches {
			if !slices.Contains(files, m) {
				files = append(files, m)
			}
		}
	}
	return files, nil
}

// At is where the value at path stands, such as services.grades.build.context or deploy[0].helm; for a value that is not written
// it is the nearest thing around it.
func (c *Config) At(path string) Pos { return at(c.at, c.File, path) }

func at(known map[string]Pos, file, path string) Pos {
	for {
		if pos, ok := known[path]; ok {
			return pos
		}
		if path == "" {
			return Pos{File: file, Line: 1, Column: 1}
		}
		path = parent(path)
	}
}

// Service finds a service by its name.
func (c *Config) Service(name string) (Service, bool) {
	for _, s := range c.Services {
		if s.Name == name {
			return s, true
		}
	}
	return Service{}, false
}

// ServiceNames are the names of the services in the order of the file.
func (c *Config) ServiceNames() []string {
	names := make([]string, len(c.Services))
	for i, s := range c.Services {
		names[i] = s.Name
	}
	return names
}

// Select gives the services of these names in the order of the file, all of them for no name. An unknown name is an error of
// kind Config with the nearest valid one.
func (c *Config) Select(names []string) ([]Service, error) {
	if len(names) == 0 {
		return c.Services, nil
	}
	for _, name := range names {
		if _, ok := c.Service(name); !ok {
			next := "the services are " + strings.Join(c.ServiceNames(), ", ")
			if guess := nearest(name, c.ServiceNames()); guess != "" {
				next = fmt.Sprintf("did you mean %q? %s", guess, next)
			}
			return nil, &fault.Error{Kind: fault.Config, What: fmt.Sprintf("there is no service %q", name), Where: c.At("services").String(), Next: next}
		}
	}
	return slices.DeleteFunc(slices.Clone(c.Services), func(s Service) bool { return !slices.Contains(names, s.Name) }), nil
}

// Notices says, one line for each, which keys of the file have no effect in this version of devenv.
func (c *Config) Notices() []string {
	var notices []string
	note := func(path, what string) {
		notices = append(notices, fmt.Sprintf("%s: %s no effect yet", c.At(path), what))
	}
	if len(c.Tests) > 0 {
		note("tests", "tests have")
	}
	return notices
}
