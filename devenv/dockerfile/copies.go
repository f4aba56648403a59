package dockerfile

import (
	"fmt"
	"path"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/devenv-run/devenv/devenv/digest"
)

// Copies is what a build makes of the files of its context: which instructions read them, and where the final image provably has them as they are
// in the context. Of answers by path.
//
// A place is provable where one COPY of the target's stages puts the file, with literal names, and nothing after it could change it: no RUN, no other
// instruction that writes there, no stage that goes on from what was copied. In case of doubt it is not, and Use.Why says what stands against it.
// Two things are not known here: triggers (ONBUILD) of base images, and whether a directory on the way to a place is a link in the image.
type Copies struct {
	readers []reader
	opaque  string // why nothing is provable; empty: something may be
	areas   []area
	takings []taking
	mounted []mount
	users   map[int][]int // by stage: those that go on from it, copy from it or mount it
	apart   string        // why no stage may be built for another target than this one; empty: each may
}

// Use is what a build makes of one path of the context.
type Use struct {
	Places []Place // where the image has it; none, and no Why: no instruction reads it
	Why    string  // why it may be in the image in other ways too, or nobody can tell where; empty: Places are all
	Final  bool    // of Why: an instruction of the target's own stages reads the path, not only one of stages that it copies from
}

// Place is where an image has a path.
type Place struct {
	To       string  // absolute
	Mode     *uint32 // of --chmod, for files and directories; nil: as in the context
	UID, GID int
	Only     bool // no other instruction, and no base image, puts anything there or below
}

// Tree is a context.
type Tree struct {
	Kind  func(path string) digest.Kind // what is at a path; 0 if nothing is
	Links []string                      // the paths of all links
}

// reader is an instruction that reads the context.
type reader struct {
	from  []string // clean, or a pattern; "" is all of it
	to    string   // absolute
	slash bool     // to is a directory
	mode  *uint32
	uid   int
	gid   int
	only  bool
	line  int
	stage int // that reads it
	final bool
	why   string // not empty: where it puts things cannot be told
}

// ReadCopies finds out what a build of target (empty: the last stage) makes of its context, with these build arguments. The error is an *Error, as ParseFor's.
func ReadCopies(data []byte, target string, args map[string]string) (*Copies, error) {
	g, global, last, err := stages(data, target)
	if err != nil {
		return nil, err
	}
	if err := g.arguments(global, args, "", g.stages[last].Name); err != nil {
		return nil, err
	}
	if err := g.stage(last); err != nil {
		return nil, err
	}
	c := &Copies{users: map[int][]int{}, apart: apart(data)}
	syntax, _, _, _ := parser.DetectSyntax(data)
	if named := args["BUILDKIT_SYNTAX"]; named != "" {
		syntax = named
	}
	if !dockers(syntax) {
		c.opaque = "the frontend " + syntax + " may read the Dockerfile in ways of its own"
		return c, nil
	}
	w := &writing{graph: g, copies: c, reused: map[int]int{}}
	if err := w.uses(); err != nil {
		return nil, err
	}
	if err := w.chain(last); err != nil {
		return nil, err
	}
	for n := range g.stages {
		if g.visited[n] && !w.inChain(n) {
			if err := w.aside(n); err != nil {
				return nil, err
			}
		}
	}
	if err := w.follow(); err != nil {
		return nil, err
	}
	return c, nil
}

// dockers says whether a frontend is Docker's own, which reads Dockerfiles as BuildKit's parser does.
func dockers(syntax string) bool {
	name := strings.TrimPrefix(syntax, "docker.io/")
	name, _, _ = strings.Cut(name, "@")
	name, _, _ = strings.Cut(name, ":")
	return syntax == "" || name == "docker/dockerfile" || name == "docker/dockerfile-upstream"
}

// Of says what a build makes of a path of a context that is tree. Where stages that are copied from read the path too, the result has both Places and
// a Why.
func (c *Copies) Of(p string, tree Tree) Use {
	if c.opaque != "" {
		return Use{Why: c.opaque, Final: true}
	}
	var u Use
	for n, r := range c.readers {
		for _, from := range r.from {
			place, why := c.one(n, from, p, tree)
			switch {
			case why != "" && (u.Why == "" || r.final && !u.Final):
				u.Why, u.Final = why, r.final
			case place != nil:
				u.Places = append(u.Places, *place)
			}
		}
	}
	if u.Final {
		u.Places = nil
	}
	return u
}

// one says what one source of the n-th reader makes of a path.
func (c *Copies) one(n int, from, p string, tree Tree) (place *Place, why string) {
	r := &c.readers[n]
	switch {
	case throughLink(from, tree): // who knows where it leads
		return nil, fmt.Sprintf("line %d copies through a link, %s", r.line, from)
	case !reads(from, p):
		return nil, ""
	case r.why != "":
		return nil, r.why
	}
	if from != "" {
		switch tree.Kind(from) {
		case digest.File, digest.Dir:
		case 0:
			return nil, fmt.Sprintf("line %d copies %s, which is not there", r.line, from)
		default:
			return nil, fmt.Sprintf("line %d copies %s, which is neither file nor directory", r.line, from)
		}
	}
	to := r.place(from, p, tree)
	if to == "" {
		return nil, fmt.Sprintf("it is the directory itself that line %d copies", r.line)
	}
	over, why := c.after(n, to, p, tree)
	if over || why != "" {
		return nil, why
	}
	return &Place{To: to, Mode: r.mode, UID: r.uid, GID: r.gid, Only: r.only}, ""
}

// throughLink says whether a source is a link, or leads through one.
func throughLink(from string, tree Tree) bool {
	for _, link := range tree.Links {
		if from == link || strings.HasPrefix(from, link+"/") || isPattern(from) && matches(from, link) {
			return true
		}
	}
	return false
}

// reads says whether a source covers a path.
func reads(from, p string) bool {
	if isPattern(from) {
		return matches(from, p)
	}
	return from == "" || p == from || strings.HasPrefix(p, from+"/")
}

// isPattern says whether a source is one of the simple patterns that sources leaves as they are.
func isPattern(from string) bool { return strings.ContainsAny(from, "*?") }

// matches says whether a pattern names a path, a directory above it, or a directory on the way to what it names.
func matches(pattern, p string) bool {
	elements, parts := strings.Split(pattern, "/"), strings.Split(p, "/")
	for i := range min(len(elements), len(parts)) {
		if ok, err := path.Match(elements[i], parts[i]); err == nil && !ok {
			return false
		}
	}
	return true
}

// place is where r puts a path that its source from covers; empty for a directory whose contents are copied, not the directory itself.
func (r reader) place(from, p string, tree Tree) string {
	if from != "" && tree.Kind(from) == digest.File {
		if r.slash || len(r.from) > 1 {
			return path.Join(r.to, path.Base(from))
		}
		return r.to
	}
	if p == from {
		return ""
	}
	return path.Join(r.to, strings.TrimPrefix(p, from))
}

// after says whether an instruction after the n-th puts the same path at a place once more, or why it may put something else there.
func (c *Copies) after(n int, to, p string, tree Tree) (over bool, why string) {
	for i := range c.readers {
		r := &c.readers[i]
		if i == n || r.why != "" {
			continue // those that cannot be told were judged by the area that they may write
		}
		for _, from := range r.from {
			source, ok := r.source(from, to, tree)
			switch {
			case !ok || source != "" && tree.Kind(source) == 0:
			case source == p && i > n:
				over = true
			case source != p:
				return false, fmt.Sprintf("line %d puts %s at %s too", r.line, source, to)
			}
		}
	}
	return over, ""
}

// source is the path of the context that r puts at a place, if there is one.
func (r reader) source(from, to string, tree Tree) (string, bool) {
	if from != "" && tree.Kind(from) == digest.File {
		return from, r.place(from, from, tree) == to
	}
	if rest, ok := strings.CutPrefix(to, strings.TrimSuffix(r.to, "/")+"/"); ok {
		return path.Join(from, rest), true
	}
	return "", false
}

// commandsOf are the commands of a stage, after those that a local base leaves to it.
func (g *graph) commandsOf(n int) (commands []instructions.Command, base int, err error) {
	s := g.stages[n]
	name, err := g.expand(s.BaseName)
	if err != nil {
		return nil, -1, &Error{Line: firstLine(s.Location), Err: err}
	}
	base, local := g.named(name, n)
	if !local {
		return s.Commands, -1, nil
	}
	triggered, err := triggers(g.stages[base])
	if err != nil {
		return nil, -1, &Error{Line: firstLine(s.Location), Err: err}
	}
	return append(triggered, s.Commands...), base, nil
}
