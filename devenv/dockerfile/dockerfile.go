// Package dockerfile knows what a build reads beside the files that it copies: Parse finds the base images that a target
// depends on and the frontend that a syntax line asks for, WithoutSyntax takes that line out so that a build needs no
// registry for it, Ignore says which files of the context a build never sees, and Copies what becomes of those that it sees.
//
// All of it follows BuildKit's own parser and matcher. What only the engine can know stays outside: triggers (ONBUILD) of base
// images may name further images, and a frontend other than Docker's may read a Dockerfile in ways of its own.
package dockerfile

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"

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
	g, global, last, err := stages(data, target)
	if err != nil {
		return nil, err
	}
	for _, s := range g.stages {
		f.Stages = append(f.Stages, s.Name)
	}
	if err := g.arguments(global, args, platform, g.stages[last].Name); err != nil {
		return nil, err
	}
	if err := g.stage(last); err != nil {
		return nil, err
	}
	f.Bases = g.bases()
	return f, nil
}

// stages reads a Dockerfile into the graph of its stages, of which the last result is the target.
func stages(data []byte, target string) (g *graph, global []instructions.ArgCommand, last int, err error) {
	ast, err := parser.Parse(bytes.NewReader(data))
	if err != nil {
		return nil, nil, 0, located(err)
	}
	// A linter that says nothing: without any, BuildKit's parser fails on a comment such as # check=skip=all.
	all, global, err := instructions.Parse(ast.AST, linter.New(&linter.Config{}))
	if err != nil {
		return nil, nil, 0, located(err)
	}
	if len(all) == 0 {
		return nil, nil, 0, &Error{Err: errors.New("the Dockerfile has no stage")}
	}
	last = len(all) - 1
	var named []string
	for i, s := range all {
		named = append(named, s.Name)
		if target != "" && strings.EqualFold(s.Name, target) {
			last = i
		}
	}
	if target != "" && !strings.EqualFold(all[last].Name, target) {
		return nil, nil, 0, &Error{Err: fmt.Errorf("there is no stage %q; the stages are %s", target, names(named))}
	}
	return &graph{stages: all, lex: shell.NewLex(ast.EscapeToken), visited: map[int]bool{}, seen: map[Base]int{}}, global, last, nil
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
