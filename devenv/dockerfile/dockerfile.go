// Package dockerfile knows what a build reads beside the files that it copies: Parse finds the base images that a target
// depends on and the frontend that a syntax line asks for, WithoutSyntax takes that line out so that a build needs no
// registry for it, and Ignore says which files of the context a build never sees.
//
// All of it follows BuildKit's own parser and matcher. What only the engine can know stays outside: triggers (ONBUILD) of base
// images may name further images, and a frontend other than Docker's may read a Dockerfile in ways of its own.
package dockerfile

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/devenv-run/devenv/devenv/fault"
)

// File is what a Dockerfile says about a build of one target.
type File struct {
	Syntax string // the frontend image that its syntax line names; empty without one
	Stages []string
	Bases  []Base // images that the target is made from, each once, in the order of the file
}

// Base is an image that a build starts from, copies from or mounts.
type Base struct {
	Ref      string // as the engine knows it: short form, with tag or digest (golang:1.26-bookworm)
	Platform string // of FROM --platform, arguments replaced; empty for the target's
	Line     int    // where it is named
}

// Error is something wrong with a Dockerfile.
type Error struct {
	Line int // from 1; 0 if the whole file is meant
	Err  error
}

// Error is the cause with its line.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Err.Error()
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fault is e as users read it, for the Dockerfile at path.
func (e *Error) Fault(path string) *fault.Error {
	where := path
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d", path, e.Line)
	}
	return &fault.Error{Kind: fault.Build, What: "the Dockerfile is not valid", Where: where, Err: e.Err, Next: "correct the Dockerfile"}
}

// Parse is ParseFor for Linux on this machine's architecture.
func Parse(data []byte, target string, args map[string]string) (*File, error) {
	return ParseFor(data, target, "linux/"+runtime.GOARCH, args)
}

// ParseFor reads a Dockerfile for a build of target (empty: the last stage) with these build arguments, by an engine of this platform
// (os/architecture or os/architecture/variant) for the same platform. Only images that the target depends on are in the result: through FROM, COPY --from and RUN --mount=from, but neither
// scratch nor stages. The error is an *Error.
func ParseFor(data []byte, target, platform string, args map[string]string) (*File, error) {
	f := &File{}
	f.Syntax, _, _, _ = parser.DetectSyntax(data)
	ast, err := parser.Parse(bytes.NewReader(data))
	if err != nil {
		return nil, located(err)
	}
	// A linter that says nothing: without any, BuildKit's parser fails on a comment such as # check=skip=all.
	stages, global, err := instructions.Parse(ast.AST, linter.New(&linter.Config{}))
	if err != nil {
		return nil, located(err)
	}
	if len(stages) == 0 {
		return nil, &Error{Err: errors.New("the Dockerfile has no stage")}
	}
	g := &graph{stages: stages, lex: shell.NewLex(ast.EscapeToken), visited: map[int]bool{}, seen: map[Base]int{}}
	last := len(stages) - 1
	for i, s := range stages {
		f.Stages = append(f.Stages, s.Name)
		if target != "" && strings.EqualFold(s.Name, target) {
			last = i
		}
	}
	if target != "" && !strings.EqualFold(stages[last].Name, target) {
		return nil, &Error{Err: fmt.Errorf("there is no stage %q; the stages are %s", target, names(f.Stages))}
	}
	if err := g.arguments(global, args, platform, stages[last].Name); err != nil {
		return nil, err
	}
	if err := g.stage(last); err != nil {
		return nil, err
	}
	f.Bases = g.bases()
	return f, nil
}

func names(stages []string) string {
	var named []string
	for i, name := range stages {
		if name == "" {
			name = "number " + strconv.Itoa(i)
		}
		named = append(named, name)
	}
	return strings.Join(named, ", ")
}

// located takes the line out of an error of BuildKit's parser.
func located(err error) *Error {
	var at *parser.LocationError
	if errors.As(err, &at) {
		for _, ranges := range at.Locations {
			if line := firstLine(ranges); line > 0 {
				return &Error{Line: line, Err: err}
			}
		}
	}
	return &Error{Err: err}
}

func firstLine(ranges []parser.Range) int {
	if len(ranges) == 0 {
		return 0
	}
	return ranges[0].Start.Line
}

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
