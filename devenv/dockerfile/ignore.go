package dockerfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/fault"
)

// Ignore is an ignore file's judgement over a build context, as BuildKit's client applies it: the same patterns, the same order
// of evaluation, the same inheritance from directories. It implements digest.Ignore and is safe for concurrent use.
//
// The Dockerfile and the ignore file have no special place in it. BuildKit reads both on a way of their own, so naming them in the
// ignore file takes them out of what COPY sees and out of the context's digest, and not naming them leaves them in both; the
// Dockerfile's text counts as an input of its own in any case.
type Ignore struct {
	// File is the ignore file that was read; empty if there is none.
	File string
	// Patterns are the file's patterns, cleaned.
	Patterns []string

	exceptions []exception
	mu         sync.Mutex // the matcher compiles its patterns when it first needs them
	matcher    *patternmatcher.PatternMatcher
}

// ReadIgnore reads the ignore file of a build: the one beside the Dockerfile that has the Dockerfile's name and .dockerignore, else
// the .dockerignore of the context. Without either, nothing is ignored. A pattern that is not valid is a *fault.Error of kind
// Build that names its line.
func ReadIgnore(context, dockerfile string) (*Ignore, error) {
	for _, file := range []string{dockerfile + ".dockerignore", filepath.Join(context, ".dockerignore")} {
		data, err := os.ReadFile(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, &fault.Error{Kind: fault.Build, What: "the ignore file cannot be read", Where: file, Err: err, Next: "make it a readable file, or remove it"}
		default:
			return ParseIgnore(data, file)
		}
	}
	return ParseIgnore(nil, "")
}

// ParseIgnore is ReadIgnore for a file in memory.
func ParseIgnore(data []byte, file string) (*Ignore, error) {
	patterns, err := ignorefile.ReadAll(bytes.NewReader(data))
	if err != nil {
		return nil, badIgnore(file, 0, err)
	}
	for _, p := range patterns {
		if err := try(p); err != nil {
			return nil, badIgnore(file, lineOf(data, p), fmt.Errorf("pattern %q: %w", p, err))
		}
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, badIgnore(file, 0, err)
	}
	ignore := &Ignore{File: file, Patterns: patterns, matcher: matcher}
	for _, p := range matcher.Patterns() {
		if p.Exclusion() {
			ignore.exceptions = append(ignore.exceptions, newException(p.String()))
		}
	}
	return ignore, nil
}

// try finds out whether a pattern is valid, by using it.
func try(pattern string) error {
	if pattern == "!" { // the matcher's own words for it are good
		_, err := patternmatcher.New([]string{pattern})
		return err
	}
	m, err := patternmatcher.New([]string{strings.TrimPrefix(pattern, "!")})
	if err == nil {
		_, err = m.MatchesOrParentMatches("x")
	}
	return err
}

// lineOf is the line on which a pattern stands, 0 if that cannot be told.
func lineOf(data []byte, pattern string) int {
	for i, line := range bytes.Split(data, []byte("\n")) {
		if one, err := ignorefile.ReadAll(bytes.NewReader(line)); err == nil && len(one) == 1 && one[0] == pattern {
			return i + 1
		}
	}
	return 0
}

func badIgnore(file string, line int, err error) error {
	where := file
	if line > 0 {
		where = fmt.Sprintf("%s:%d", file, line)
	}
	return &fault.Error{Kind: fault.Build, What: "the ignore file is not valid", Where: where, Err: err, Next: "correct the pattern; its syntax is that of Go's filepath.Match, with ** for any number of directories"}
}

// Match implements digest.Ignore for the context's root.
func (i *Ignore) Match(path string, dir bool) (ignored bool, inside digest.Ignore) {
	return scope{ignore: i}.Match(path, dir)
}

// scope is an Ignore inside a directory.
type scope struct {
	ignore  *Ignore
	results patternmatcher.MatchInfo // of the directory, by pattern
}

// Match implements digest.Ignore.
func (s scope) Match(path string, dir bool) (ignored bool, inside digest.Ignore) {
	s.ignore.mu.Lock()
	ignored, results, err := s.ignore.matcher.MatchesUsingParentResults(path, s.results)
	s.ignore.mu.Unlock()
	if err != nil {
		// ParseIgnore tried every pattern; keeping the file is the safe side: it may be built in needlessly, never left out.
		ignored = false
	}
	if !dir || ignored && !s.ignore.mayKeep(path) {
		return ignored, nil
	}
	return ignored, scope{s.ignore, results}
}

// mayKeep says whether an exception could match something in an ignored directory.
func (i *Ignore) mayKeep(dir string) bool {
	for _, e := range i.exceptions {
		if e.reaches(dir) {
			return true
		}
	}
	return false
}

// exception is a pattern with an exclamation mark, reduced to where it can match.
type exception struct {
	fixed string // the directories before its first wildcard, or all of it
	exact bool   // it has no wildcard
}

// wildcards are the characters with which a pattern stops being plain text.
const wildcards = `*?[]^\`

func newException(pattern string) exception {
	pattern = filepath.ToSlash(pattern)
	first := strings.IndexAny(pattern, wildcards)
	if first < 0 {
		return exception{fixed: pattern, exact: true}
	}
	return exception{fixed: pattern[:max(0, strings.LastIndexByte(pattern[:first], '/'))]}
}

// reaches says whether the exception can match a path in dir.
func (e exception) reaches(dir string) bool {
	if e.fixed == "" || strings.HasPrefix(e.fixed, dir+"/") {
		return true
	}
	return !e.exact && (e.fixed == dir || strings.HasPrefix(dir, e.fixed+"/"))
}
