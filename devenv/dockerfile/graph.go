package dockerfile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// graph is the dependencies between stages.
type graph struct {
	stages  []instructions.Stage
	lex     *shell.Lex
	env     []string // what FROM can refer to, as NAME=value; later ones win
	visited map[int]bool
	seen    map[Base]int // images without their lines → the first line that names them
}

// arguments collects what FROM can refer to: the platform's arguments, and those declared before the first FROM.
func (g *graph) arguments(global []instructions.ArgCommand, args map[string]string, platform, target string) error {
	system, rest, _ := strings.Cut(platform, "/")
	arch, variant, _ := strings.Cut(rest, "/")
	for _, kv := range [][2]string{
		{"BUILDPLATFORM", platform}, {"BUILDOS", system}, {"BUILDOSVERSION", ""}, {"BUILDARCH", arch}, {"BUILDVARIANT", variant},
		{"TARGETPLATFORM", platform}, {"TARGETOS", system}, {"TARGETOSVERSION", ""}, {"TARGETARCH", arch}, {"TARGETVARIANT", variant},
		{"TARGETSTAGE", cmp.Or(target, "default")},
	} {
		if value, given := args[kv[0]]; given {
			kv[1] = value
		}
		g.env = append(g.env, kv[0]+"="+kv[1])
	}
	for _, command := range global {
		for _, arg := range command.Args {
			value, given := args[arg.Key]
			if !given {
				if arg.Value == nil {
					continue
				}
				var err error
				if value, err = g.expand(*arg.Value); err != nil {
					return &Error{Line: firstLine(command.Location()), Err: err}
				}
			}
			g.env = append(g.env, arg.Key+"="+value)
		}
	}
	return nil
}

func (g *graph) expand(word string) (string, error) {
	result, err := g.lex.ProcessWordWithMatches(word, environment(g.env))
	return result.Result, err
}

// environment looks variables up, the last definition first.
type environment []string

// Get implements shell.EnvGetter.
func (e environment) Get(key string) (string, bool) {
	for i := len(e) - 1; i >= 0; i-- {
		if name, value, _ := strings.Cut(e[i], "="); name == key {
			return value, true
		}
	}
	return "", false
}

// Keys implements shell.EnvGetter.
func (e environment) Keys() []string {
	keys := make([]string, len(e))
	for i, kv := range e {
		keys[i], _, _ = strings.Cut(kv, "=")
	}
	return keys
}

// stage follows everything that a stage needs.
func (g *graph) stage(n int) error {
	if g.visited[n] {
		return nil
	}
	g.visited[n] = true
	s := g.stages[n]
	line := firstLine(s.Location)
	name, err := g.expand(s.BaseName)
	if err != nil {
		return &Error{Line: line, Err: err}
	}
	if name == "" {
		return &Error{Line: line, Err: fmt.Errorf("the base image %s is empty with these build arguments", s.BaseName)}
	}
	platform, err := g.expand(s.Platform)
	if err != nil {
		return &Error{Line: line, Err: err}
	}
	commands := s.Commands
	if base, ok := g.named(name, n); ok {
		if err := g.stage(base); err != nil {
			return err
		}
		triggered, err := triggers(g.stages[base])
		if err != nil {
			return &Error{Line: line, Err: err}
		}
		commands = append(triggered, commands...)
	} else if err := g.image(name, platform, line); err != nil {
		return err
	}
	return g.commands(n, commands, line)
}

// named finds the stage before limit that a name means. Stage names do not care about case.
func (g *graph) named(name string, limit int) (int, bool) {
	for i := limit - 1; i >= 0; i-- {
		if g.stages[i].Name != "" && strings.EqualFold(g.stages[i].Name, name) {
			return i, true
		}
	}
	return 0, false
}

// triggers are the commands that a stage leaves to those that are built from it.
func triggers(s instructions.Stage) ([]instructions.Command, error) {
	var commands []instructions.Command
	for _, c := range s.Commands {
		trigger, ok := c.(*instructions.OnbuildCommand)
		if !ok {
			continue
		}
		ast, err := parser.Parse(strings.NewReader(trigger.Expression))
		if err != nil || len(ast.AST.Children) != 1 {
			return nil, fmt.Errorf("ONBUILD %s is not a single instruction", trigger.Expression)
		}
		command, err := instructions.ParseCommand(ast.AST.Children[0])
		if err != nil {
			return nil, err
		}
		commands = append(commands, command)
	}
	return commands, nil
}

// commands follows what the commands of stage n copy from and mount. Line is used for those that have none.
func (g *graph) commands(n int, commands []instructions.Command, line int) error {
	for _, c := range commands {
		var from []string
		switch c := c.(type) {
		case *instructions.CopyCommand:
			from = append(from, c.From)
		case *instructions.RunCommand:
			for _, m := range instructions.GetMounts(c) {
				from = append(from, m.From)
			}
		}
		at := max(firstLine(c.Location()), line)
		for _, name := range from {
			if err := g.source(n, name, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// source follows one --from: the number of a stage, its name, or an image.
func (g *graph) source(n int, name string, line int) error {
	if name == "" {
		return nil
	}
	if strings.Contains(name, "$") {
		return &Error{Line: line, Err: fmt.Errorf("--from=%s: an argument cannot be used here; give the image a stage of its own with FROM", name)}
	}
	if i, err := strconv.Atoi(name); err == nil {
		if i < 0 || i >= n {
			return &Error{Line: line, Err: fmt.Errorf("--from=%s: there is no stage of that number before this one", name)}
		}
		return g.stage(i)
	}
	if i, ok := g.named(name, n); ok {
		return g.stage(i)
	}
	return g.image(name, "", line)
}

// image notes an image that the target depends on.
func (g *graph) image(name, platform string, line int) error {
	if name == "scratch" {
		return nil
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return &Error{Line: line, Err: fmt.Errorf("%q is no image reference: %w", name, err)}
	}
	base := Base{Ref: reference.FamiliarString(reference.TagNameOnly(named)), Platform: platform}
	if line < cmp.Or(g.seen[base], line+1) {
		g.seen[base] = line
	}
	return nil
}

// bases is what was found, in the order of the file.
func (g *graph) bases() []Base {
	var bases []Base
	for base, line := range g.seen {
		base.Line = line
		bases = append(bases, base)
	}
	slices.SortFunc(bases, func(a, b Base) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Ref, b.Ref), cmp.Compare(a.Platform, b.Platform))
	})
	return bases
}
