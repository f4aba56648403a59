package config

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// profile is a variant of the file: a tree to merge over the rest.
type profile struct {
	name string
	pos  Pos
	tree *node
}

// fixed are the keys that a profile cannot change, because they say what the file is.
var fixed = []string{"apiVersion", "name", "profiles"}

// takeProfiles reads the profiles of the file; their contents are checked after merging.
func takeProfiles(file string, root *node) ([]profile, []Problem) {
	d := &decoder{file: file}
	_, node := get(root, "profiles")
	if node == nil || isNull(node) {
		return nil, nil
	}
	if node.Kind != yaml.MappingNode {
		d.fail(node, "profiles", "", "profiles must be a mapping from names to settings, not %s", describe(node))
		return nil, d.problems
	}
	var profiles []profile
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, tree := node.Content[i], node.Content[i+1]
		at := join("profiles", key.Value)
		d.textRules(key, key.Value, at, rules{"label"})
		p := profile{name: key.Value, pos: key.Pos}
		switch {
		case isNull(tree):
		case tree.Kind != yaml.MappingNode:
			d.fail(tree, at, "", "%s must be a mapping with keys of this file, not %s", at, describe(tree))
		default:
			p.tree = tree
			for _, name := range fixed {
				if k, _ := get(tree, name); k != nil {
					d.fail(k, join(at, name), "", "a profile cannot set %s", name)
					p.tree = without(p.tree, name)
				}
			}
		}
		profiles = append(profiles, p)
	}
	return profiles, d.problems
}

func unknownProfile(root *node, profiles []profile, name string) Problem {
	names := make([]string, len(profiles))
	for i, p := range profiles {
		names[i] = p.name
	}
	problem := Problem{File: root.File, Line: root.Line, Column: root.Column, Path: "profiles", absent: true}
	if k, _ := get(root, "profiles"); k != nil {
		problem.File, problem.Line, problem.Column = k.File, k.Line, k.Column
	}
	problem.Suggestion = nearest(name, names)
	slices.Sort(names)
	switch {
	case len(names) == 0:
		problem.Message = fmt.Sprintf("there is no profile %q: the file has no profiles", name)
	case problem.Suggestion == "":
		problem.Message = fmt.Sprintf("there is no profile %q; the profiles are %s", name, strings.Join(names, ", "))
	default:
		problem.Message = fmt.Sprintf("there is no profile %q", name)
	}
	return problem
}
