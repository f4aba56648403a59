// Package fault is the one error type that reaches a user: what failed, where, why in the underlying tool's
// words, and what to do next. Its Kind decides the exit code, in one place (Kind.ExitCode).
//
// A package that knows why something failed returns an *Error; a package that only passes an error on wraps it with
// fmt.Errorf and %w, and the *Error inside keeps its kind. Everything that is not an *Error is a fault in devenv.
package fault

import (
	"context"
	"errors"
	"strings"
)

// Kind says whose turn it is to act, and so the exit code.
type Kind int

// The kinds, in the order of their exit codes.
const (
	Internal    Kind = iota // a fault in devenv itself
	Config                  // wrong usage or configuration
	Machine                 // the machine: engine, disk, network
	Build                   // an image build failed
	Deploy                  // applying failed, or the result did not become ready
	Test                    // a declared test failed
	Refused                 // refused for safety
	Busy                    // another devenv holds the environment
	Mismatch                // undeclared differences, or the lock does not match
	Interrupted             // the user stopped it
)

// ExitCode is the process exit code for the kind, as documented in docs/exit-codes.md.
func (k Kind) ExitCode() int {
	if k == Interrupted {
		return 130
	}
	return int(k) + 1
}

// Error is a failure as a user reads it.
type Error struct {
	Kind Kind
	// What failed, on which object: "build of service grades", "Deployment/academy/web did not become ready".
	What string
	// Where it comes from, if anywhere: "devenv.yaml:12:5", "services/grades/Dockerfile:7". Empty if unknown.
	Where string
	// Err is the cause in the underlying tool's words. May be nil if What says it all.
	Err error
	// Detail is output of the underlying tool that helps to understand (compiler lines, a container's last log lines).
	Detail string
	// Next tells the reader what to do. A full sentence or a command.
	Next string
}

// Error is the one-line form: where, what and why.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Where != "" {
		b.WriteString(e.Where + ": ")
	}
	b.WriteString(e.What)
	if e.Err != nil {
		b.WriteString(": " + strings.TrimSpace(e.Err.Error()))
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Of finds the kind of err: that of the first *Error in its chain, Interrupted for a cancelled context, otherwise Internal.
func Of(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	if errors.Is(err, context.Canceled) {
		return Interrupted
	}
	return Internal
}

// All flattens errors that were joined with errors.Join into the list that a view prints one by one.
func All(err error) []error {
	if err == nil {
		return nil
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range j.Unwrap() {
			all = append(all, All(e)...)
		}
		return all
	}
	return []error{err}
}
