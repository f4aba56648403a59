package dockerfile

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// Output is a path of a stage that the target copies from (COPY --from).
type Output struct {
	Stage int    // its number
	From  string // the path there, absolute
	To    string // where the image has it, provided that it is a file and that nothing in the image is a directory or a link at To
	// Into says that COPY names the directory of To. Then a directory at From would have put what is in it there, and the image does not show what From was.
	Into         bool
	Chown, Chmod string // of the instruction: numbers, or empty
	Line         int
}

// String is where the image has it.
func (o Output) String() string { return o.To }

// taking is a source of a COPY from another stage, by an instruction of the target's stages.
type taking struct {
	Output
	readers int    // how many there were before it
	why     string // not empty: it cannot be told what the image has of it
}

// mount is a stage that a RUN of the target's stages mounts.
type mount struct{ stage, line int }

// Outputs lists what the target takes of the stages that read one of these paths of a context that is tree: directly, or from stages which they copy from
// or go on from. If every one of them is a file, an image built from a context in which only these paths are others differs from this one in nothing but these files, provided
// that no instruction of the target's own stages reads the paths (Use.Final). Otherwise why says what stands against it.
func (c *Copies) Outputs(paths []string, tree Tree) (outputs []Output, why string) {
	if why := c.opaque + c.apart; why != "" {
		return nil, why
	}
	reached := c.reached(paths, tree)
	for _, m := range c.mounted {
		if reached[m.stage] {
			return nil, fmt.Sprintf("RUN in line %d mounts the stage", m.line)
		}
	}
	for i, t := range c.takings {
		if !reached[t.Stage] {
			continue
		}
		if t.why == "" {
			t.why = c.covered(i, reached, tree)
		}
		if t.why != "" {
			return nil, t.why
		}
		outputs = append(outputs, t.Output)
	}
	if len(outputs) == 0 {
		return nil, "no COPY takes what the stage makes of it"
	}
	return outputs, ""
}

// reached are the stages in which one of the paths may be.
func (c *Copies) reached(paths []string, tree Tree) map[int]bool {
	reached := map[int]bool{}
	var reach func(stage int)
	reach = func(stage int) {
		if reached[stage] {
			return
		}
		reached[stage] = true
		for _, user := range c.users[stage] {
			reach(user)
		}
	}
	for n, r := range c.readers {
		for _, from := range r.from {
			if !r.final && slices.ContainsFunc(paths, func(p string) bool { _, why := c.one(n, from, p, tree); return why != "" }) {
				reach(r.stage)
			}
		}
	}
	return reached
}

// covered says which later instruction may write where the i-th taking is. Takings of stages that are reached are files, or the whole proof is void.
func (c *Copies) covered(i int, reached map[int]bool, tree Tree) string {
	to := c.takings[i].To
	for _, a := range c.areas {
		own := a.first <= i && i < a.last
		if a.last <= i || !own && !touch(a.at, to) {
			continue
		}
		known := a.first < a.last
		for n := a.first; n < a.last; n++ {
			known = known && reached[c.takings[n].Stage] && c.takings[n].why == "" && (n == i || !touch(c.takings[n].To, to))
		}
		if !known {
			return fmt.Sprintf("line %d may write to %s too", a.line, to)
		}
	}
	for n := c.takings[i].readers; n < len(c.readers); n++ {
		for _, from := range c.readers[n].from {
			r := &c.readers[n]
			if !r.final || r.why != "" { // then it is in an area
				continue
			}
			if source, ok := r.source(from, to, tree); ok && tree.Kind(source) != 0 {
				return fmt.Sprintf("line %d puts %s at %s too", r.line, source, to)
			}
		}
	}
	return ""
}

// apart says why stages of a Dockerfile may be others when they are built for another target.
func apart(data []byte) string {
	if bytes.Contains(data, []byte("TARGETSTAGE")) {
		return "the Dockerfile may ask which target is built (TARGETSTAGE)"
	}
	return ""
}

// uses notes which stages need which.
func (w *writing) uses() error {
	for n := range w.graph.stages {
		if !w.visited[n] {
			continue
		}
		commands, base, err := w.commandsOf(n)
		if err != nil {
			return err
		}
		note := func(stage int) {
			if stage >= 0 && !slices.Contains(w.copies.users[stage], n) {
				w.copies.users[stage] = append(w.copies.users[stage], n)
			}
		}
		note(base)
		for _, c := range commands {
			switch c := c.(type) {
			case *instructions.CopyCommand:
				note(w.from(n, c.From))
			case *instructions.RunCommand:
				for _, m := range instructions.GetMounts(c) {
					note(w.from(n, m.From))
				}
			}
		}
	}
	return nil
}

// from is the stage that a --from in stage n names; -1 where it is an image, or none is named.
func (w *writing) from(n int, name string) int {
	if i, err := strconv.Atoi(name); err == nil {
		return i
	}
	if i, ok := w.named(name, n); ok {
		return i
	}
	return -1
}

// mountsStages notes the stages that a RUN of the target's own stages mounts.
func (w *writing) mountsStages(n int, c *instructions.RunCommand, line int) {
	for _, m := range instructions.GetMounts(c) {
		if stage := w.from(n, m.From); stage >= 0 {
			w.copies.mounted = append(w.copies.mounted, mount{stage, line})
		}
	}
}

// take notes a COPY of the target's own stages from another stage, after its area was noted.
func (w *writing) take(n int, c *instructions.CopyCommand, line int) {
	stage := w.from(n, c.From)
	if stage < 0 {
		return
	}
	to := w.absolute(c.DestPath)
	into := len(c.SourcePaths) > 1 || directory(c.DestPath, to)
	why := untold(c, line)
	for _, source := range c.SourcePaths {
		t := taking{readers: len(w.copies.readers)}
		t.Output = Output{Stage: stage, From: path.Clean("/" + source), To: to, Into: into, Chown: c.Chown, Chmod: c.Chmod, Line: line}
		switch {
		case to == "":
			t.why = fmt.Sprintf("where line %d copies to depends on the base image or on variables", line)
		case !literal(source):
			t.why = fmt.Sprintf("line %d copies by a pattern or a variable, %s", line, source)
		case t.From == "/" || strings.HasSuffix(source, "/") || strings.HasSuffix(source, "/."):
			t.why = fmt.Sprintf("line %d copies a directory, %s", line, source)
		case why != "":
			t.why = why
		case len(c.SourceContents) > 0:
			t.why = fmt.Sprintf("line %d copies text of its own too", line)
		}
		if into && to != "" {
			t.To = path.Join(to, path.Base(t.From))
		}
		if t.why == "" && t.To == "/" {
			t.why = fmt.Sprintf("line %d copies to /", line)
		}
		w.copies.takings = append(w.copies.takings, t)
	}
	w.copies.areas[len(w.copies.areas)-1].last = len(w.copies.takings)
}

// directory says whether a destination, whose absolute path is to, is meant as a directory.
func directory(dest, to string) bool {
	return strings.HasSuffix(dest, "/") || strings.HasSuffix(dest, "/.") || dest == "." || to == "/"
}
