package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/devenv-run/devenv/devenv/fault"
)

// Pos is a place in a file. Lines and columns count from 1; the zero Pos is no place.
type Pos struct {
	File         string // as messages show it: devenv.yaml
	Line, Column int
}

// String is devenv.yaml:12:5, and empty for the zero Pos.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Problem is one thing that is wrong with a file.
type Problem struct {
	File         string // as messages show it: devenv.yaml
	Line, Column int    // from 1
	Path         string // of the value: services.grades.build.context, deploy[0].helm; empty for the whole file
	Message      string // without position and suggestion
	Suggestion   string // the nearest valid text, if one is near

	absent bool // it is about something that is not written anywhere
}

// String is the problem on one line: file:line:col: message, did you mean "…"?
func (p Problem) String() string {
	return Pos{p.File, p.Line, p.Column}.String() + ": " + p.text()
}

func (p Problem) text() string {
	if p.Suggestion == "" {
		return p.Message
	}
	return fmt.Sprintf("%s, did you mean %q?", p.Message, p.Suggestion)
}

// Errors is everything that is wrong with one or several files, in their order.
type Errors []Problem

// Error is the first problem and the number of the others; Fault lists them all.
func (e Errors) Error() string {
	switch len(e) {
	case 0:
		return "no problem"
	case 1:
		return e[0].text()
	}
	return fmt.Sprintf("%s (and %d more)", e[0].text(), len(e)-1)
}

// Fault is e as users read it: several problems one a line in Detail, as file:line:col: message. errors.As finds e in it.
func (e Errors) Fault() *fault.Error {
	first := e[0]
	what, next := "the file is not valid", "Correct the line and run the command again."
	var lines []string
	if len(e) > 1 {
		what, next = fmt.Sprintf("the file has %d problems", len(e)), "Correct these lines and run the command again."
		if slices.ContainsFunc(e, func(p Problem) bool { return p.File != first.File }) {
			what = fmt.Sprintf("the files have %d problems", len(e))
		}
		for _, p := range e {
			lines = append(lines, p.String())
		}
	}
	return &fault.Error{
		Kind:   fault.Config,
		What:   what,
		Where:  Pos{first.File, first.Line, first.Column}.String(),
		Err:    e,
		Detail: strings.Join(lines, "\n"),
		Next:   next,
	}
}

// inOrder sorts problems by position, the files in the order of their names in files, and drops repetitions, which profiles that
// share the base's mistakes make.
func inOrder(problems []Problem, files []string) Errors {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(slices.Index(files, a.File), slices.Index(files, b.File)), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	return slices.CompactFunc(problems, func(a, b Problem) bool {
		return a.File == b.File && a.Line == b.Line && a.Column == b.Column && a.Message == b.Message
	})
}
