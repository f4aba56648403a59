package dockerfile

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

// writing follows the instructions of a target in their order.
type writing struct {
	*graph
	copies *Copies
	stages []int       // the target's own: what it is FROM comes first
	reused map[int]int // stages of the target's own that another stage goes on from, or copies from → in which line

	dir     string // working directory; empty: not known
	ran     bool   // a program has run, which may have put files anywhere
	scratch bool   // the first of the stages begins with nothing
}

// area is where an instruction that is no plain COPY of the context may write: at a path and below it.
type area struct {
	at          string
	line        int
	first, last int // the takings that it is, where it is a COPY from another stage: those from first to before last
}

func (w *writing) inChain(n int) bool {
	for _, s := range w.stages {
		if s == n {
			return true
		}
	}
	return false
}

// chain finds the target's own stages.
func (w *writing) chain(last int) error {
	for n := last; n >= 0; {
		w.stages = append([]int{n}, w.stages...)
		_, base, err := w.commandsOf(n)
		if err != nil {
			return err
		}
		if base < 0 {
			name, err := w.expand(w.graph.stages[n].BaseName)
			if err != nil {
				return &Error{Line: firstLine(w.graph.stages[n].Location), Err: err}
			}
			w.scratch = name == "scratch"
		}
		n = base
	}
	return nil
}

// aside follows a stage that the target copies from or mounts: what it reads of the context can end anywhere.
func (w *writing) aside(n int) error {
	commands, base, err := w.commandsOf(n)
	if err != nil {
		return err
	}
	line := firstLine(w.graph.stages[n].Location)
	w.reuse(base, line)
	for _, c := range commands {
		at := max(firstLine(c.Location()), line)
		why := fmt.Sprintf("line %d reads it in a stage that is copied from", at)
		switch c := c.(type) {
		case *instructions.CopyCommand:
			if c.From != "" {
				w.reuseNamed(n, c.From, at)
				continue
			}
			w.read(reader{from: sources(c.SourcePaths), line: at, stage: n, why: why})
		case *instructions.AddCommand:
			w.read(reader{from: sources(c.SourcePaths), line: at, stage: n, why: why})
		case *instructions.RunCommand:
			w.mounts(n, c, at, why, false)
		}
	}
	return nil
}

// reuse notes that a stage, and what it is from, is read by something else than the stages that go on from it to the target.
func (w *writing) reuse(n, line int) {
	for n >= 0 && w.inChain(n) {
		w.reused[n] = line
		_, n, _ = w.commandsOf(n) // read before: it is no error now
	}
}

func (w *writing) reuseNamed(n int, name string, line int) {
	if i, err := strconv.Atoi(name); err == nil {
		w.reuse(i, line)
	} else if i, ok := w.named(name, n); ok {
		w.reuse(i, line)
	}
}

// mounts notes what a RUN mounts of the context.
func (w *writing) mounts(n int, c *instructions.RunCommand, line int, why string, final bool) {
	for _, m := range instructions.GetMounts(c) {
		switch {
		case m.From != "":
			w.reuseNamed(n, m.From, line)
		case m.Type == instructions.MountTypeBind:
			w.read(reader{from: sources([]string{m.Source}), line: line, stage: n, why: why, final: final})
		}
	}
}

func (w *writing) read(r reader) {
	if len(r.from) > 0 {
		w.copies.readers = append(w.copies.readers, r)
	}
}

// follow goes through the target's own stages.
func (w *writing) follow() error {
	if w.scratch {
		w.dir = "/"
	}
	// The stages that copy from one of them have to be known before it is gone through.
	for _, n := range w.stages {
		commands, _, err := w.commandsOf(n)
		if err != nil {
			return err
		}
		for _, c := range commands {
			at := firstLine(c.Location())
			if c, ok := c.(*instructions.CopyCommand); ok && c.From != "" {
				w.reuseNamed(n, c.From, at)
			}
			if c, ok := c.(*instructions.RunCommand); ok {
				for _, m := range instructions.GetMounts(c) {
					w.reuseNamed(n, m.From, at)
				}
			}
		}
	}
	for _, n := range w.stages {
		commands, _, err := w.commandsOf(n)
		if err != nil {
			return err
		}
		for _, c := range commands {
			w.command(n, c, max(firstLine(c.Location()), firstLine(w.graph.stages[n].Location)))
		}
		if line, ok := w.reused[n]; ok {
			w.spoil(fmt.Sprintf("line %d goes on from what was copied", line))
		}
	}
	for i := range w.copies.readers {
		r := &w.copies.readers[i]
		r.only = r.only && w.alone(r)
	}
	return nil
}

func (w *writing) command(n int, c instructions.Command, line int) {
	switch c := c.(type) {
	case *instructions.WorkdirCommand:
		w.dir = w.absolute(c.Path)
	case *instructions.RunCommand:
		w.spoil(fmt.Sprintf("RUN in line %d comes after it was copied", line))
		w.mounts(n, c, line, fmt.Sprintf("RUN in line %d mounts it", line), true)
		w.mountsStages(n, c, line)
		w.ran = true
	case *instructions.AddCommand:
		w.write(c.DestPath, line)
		w.read(reader{from: sources(c.SourcePaths), line: line, final: true, why: fmt.Sprintf("ADD in line %d may unpack it", line)})
	case *instructions.CopyCommand:
		if c.From != "" || len(c.SourceContents) > 0 {
			w.write(c.DestPath, line)
		}
		if c.From == "" {
			w.copy(c, line)
		} else {
			w.take(n, c, line)
		}
	}
}

// spoil makes everything that was copied until now impossible to tell.
func (w *writing) spoil(why string) {
	for i := range w.copies.readers {
		if r := &w.copies.readers[i]; r.final && r.why == "" {
			r.why = why
		}
	}
	for i := range w.copies.takings {
		if t := &w.copies.takings[i]; t.why == "" {
			t.why = why
		}
	}
}

// write notes that an instruction may write at a place: what was copied there or below, or above it, may be another now.
func (w *writing) write(to string, line int) {
	at := w.absolute(to)
	if at == "" {
		at = "/"
	}
	n := len(w.copies.takings)
	w.copies.areas = append(w.copies.areas, area{at, line, n, n})
	for i := range w.copies.readers {
		if r := &w.copies.readers[i]; r.final && r.why == "" && touch(r.to, at) {
			r.why = fmt.Sprintf("line %d may write where it was copied to", line)
		}
	}
}

// touch says whether one of two places is the other, or below it.
func touch(a, b string) bool {
	return a == b || a == "/" || b == "/" || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}

// alone says whether no other instruction writes where r does.
func (w *writing) alone(r *reader) bool {
	for _, a := range w.copies.areas {
		if touch(r.to, a.at) {
			return false
		}
	}
	for i := range w.copies.readers {
		other := &w.copies.readers[i]
		if other != r && other.final && other.to != "" && touch(r.to, other.to) {
			return false
		}
	}
	return true
}

// untold says which flag of a COPY keeps anybody here from telling what it makes; empty: none.
func untold(c *instructions.CopyCommand, line int) string {
	_, _, numeric := owner(c.Chown)
	_, octal := permissions(c.Chmod)
	switch {
	case c.Parents:
		return fmt.Sprintf("line %d copies with --parents", line)
	case len(c.ExcludePatterns) > 0:
		return fmt.Sprintf("line %d copies with --exclude", line)
	case !numeric:
		return fmt.Sprintf("--chown=%s in line %d is no number", c.Chown, line)
	case !octal:
		return fmt.Sprintf("--chmod=%s in line %d is no octal number", c.Chmod, line)
	}
	return ""
}

// copy notes a COPY from the context.
func (w *writing) copy(c *instructions.CopyCommand, line int) {
	r := reader{from: sources(c.SourcePaths), to: w.absolute(c.DestPath), line: line, final: true, only: w.scratch && !w.ran}
	r.slash = directory(c.DestPath, r.to)
	r.uid, r.gid, _ = owner(c.Chown)
	r.mode, _ = permissions(c.Chmod)
	if r.why = untold(c, line); r.to == "" {
		r.why = fmt.Sprintf("where line %d copies it to depends on the base image or on variables", line)
	}
	for _, source := range c.SourcePaths {
		if r.why == "" && !literal(source) {
			r.why = fmt.Sprintf("line %d copies by a pattern or a variable, %s", line, source)
		}
	}
	if r.why != "" {
		w.write(c.DestPath, line)
	}
	w.read(r)
}

// absolute is a destination as an absolute path; empty if it cannot be told.
func (w *writing) absolute(to string) string {
	switch {
	case strings.ContainsAny(to, "$\\"):
		return ""
	case path.IsAbs(to):
		return path.Clean(to)
	case w.dir == "":
		return ""
	}
	return path.Join(w.dir, to)
}

// sources are paths of the context, clean. A pattern with nothing but * and ? in it stays one; of another source that is not literal it is the directory in which its
// matches are. Addresses are read from elsewhere.
func sources(paths []string) []string {
	var from []string
	for _, p := range paths {
		if strings.Contains(p, "://") || strings.HasPrefix(p, "git@") {
			continue
		}
		if !literal(p) && (strings.ContainsAny(p, `[]\$`) || strings.Contains(p, "**")) {
			p = p[:strings.IndexAny(p, patterns)]
			p = p[:strings.LastIndexByte(p, '/')+1]
		}
		from = append(from, strings.TrimPrefix(path.Clean("/"+p), "/"))
	}
	return from
}

// patterns are the characters that make a source more than a name.
const patterns = `*?[]\$`

func literal(source string) bool { return !strings.ContainsAny(source, patterns) }

// owner reads a --chown of numbers. A user alone is its own group.
func owner(chown string) (uid, gid int, ok bool) {
	if chown == "" {
		return 0, 0, true
	}
	user, group, both := strings.Cut(chown, ":")
	if !both {
		group = user
	}
	u, err := strconv.ParseUint(user, 10, 31)
	g, err2 := strconv.ParseUint(group, 10, 31)
	return int(u), int(g), err == nil && err2 == nil
}

// permissions reads a --chmod of octal digits.
func permissions(chmod string) (mode *uint32, ok bool) {
	if chmod == "" {
		return nil, true
	}
	m, err := strconv.ParseUint(chmod, 8, 12)
	if err != nil || m > 0o7777 {
		return nil, false
	}
	bits := uint32(m)
	return &bits, true
}
