package docker

import (
	"bytes"
	"fmt"
	"strings"

	bkclient "github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"

	"github.com/devenv-run/devenv/devenv/secret"
)

// progress follows one build: it makes short lines of what BuildKit tells, and keeps every step's output for the error.
type progress struct {
	report func(string)
	hidden *secret.Redactor
	said   string // the line reported last
	steps  map[digest.Digest]*step
	order  []*step
}

// step is one vertex of the build's graph: an instruction of the Dockerfile, or something internal such as sending the context.
type step struct {
	name    string // "[build 3/5] RUN go build ./...", "[internal] load build context"
	started bool
	err     string // why it failed; empty if it did not
	output  tail
	parts   transfers // of a base image that is being downloaded
}

func newProgress(report func(string), hidden *secret.Redactor) *progress {
	return &progress{report: report, hidden: hidden, steps: map[digest.Digest]*step{}}
}

// update takes one message of BuildKit, which may hold news of many steps, and reports the newest of each kind.
func (p *progress) update(s *bkclient.SolveStatus) {
	for _, v := range s.Vertexes {
		st := p.step(v.Digest)
		st.name = strings.Replace(spaced(v.Name), "[ ", "[", 1) // numbers are padded: "[build  3/12]", "[ 3/12]"
		if v.Error != "" {
			st.err = v.Error
		}
		if v.Started != nil && !v.Cached && !st.started {
			st.started = true
			if !st.internal() {
				p.say(st.name)
			}
		}
	}
	for _, v := range s.Statuses {
		if line := p.step(v.Vertex).transfer(v); line != "" {
			p.say(line)
		}
	}
	line := ""
	for _, l := range s.Logs {
		st := p.step(l.Vertex)
		if last := st.output.write(l.Data); last != "" {
			line = st.label() + last
		}
	}
	if line != "" {
		p.say(line)
	}
}

func (p *progress) step(d digest.Digest) *step {
	st := p.steps[d]
	if st == nil {
		st = &step{parts: transfers{}, output: tail{hidden: p.hidden}}
		p.steps[d] = st
		p.order = append(p.order, st)
	}
	return st
}

// longestLine is how many characters of a step's name or output are worth reporting.
const longestLine = 160

func (p *progress) say(line string) {
	line = p.hidden.Clean(line)
	if r := []rune(line); len(r) > longestLine {
		line = string(r[:longestLine]) + "…"
	}
	if line != p.said {
		p.said = line
		p.report(line)
	}
}

// failed finds the step that made a build fail with err, or nil where it was none. Steps that ran beside it end with an error as well,
// that of having been stopped; among the others, the one whose words are in err comes first.
func (p *progress) failed(err error) *step {
	var first *step
	for _, st := range p.order {
		if st.err == "" || strings.Contains(st.err, "context canceled") {
			continue
		}
		if strings.Contains(err.Error(), withoutStatus(st.err)) {
			return st
		}
		if first == nil {
			first = st
		}
	}
	return first
}

// internal says whether the step is BuildKit's own, of which only the transfers are worth a line.
func (st *step) internal() bool {
	return st.name == "" || strings.HasPrefix(st.name, "[internal]") || strings.HasPrefix(st.name, "[auth]")
}

// label is the part of the name in brackets, to put before a line of output: "[build 3/5] ".
func (st *step) label() string {
	if i := strings.Index(st.name, "] "); strings.HasPrefix(st.name, "[") && i > 0 {
		return st.name[:i+2]
	}
	return ""
}

// transfer is the line for news of something that comes or goes: files of the context, layers of a base image.
func (st *step) transfer(v *bkclient.VertexStatus) string {
	switch {
	case st.name == "[internal] load build context":
		if v.Current == 0 {
			return ""
		}
		return "sending files of the build context, " + size(v.Current)
	case v.Total > 0 && !st.internal():
		st.parts.set(v.ID, v.Current, v.Total)
		name, _, _ := strings.Cut(st.name, "@sha256:")
		if image := imageIn(name); image != "" {
			return st.label() + "pulling " + image + ", " + st.parts.String()
		}
		return st.name + ", " + st.parts.String()
	case strings.HasPrefix(v.ID, "exporting layers"):
		return "exporting layers"
	}
	return ""
}

// The output of a step that is kept: enough for a long list of compiler errors.
const (
	keptLines      = 60
	keptLineLength = 2000 // bytes; longer lines are cut
)

// tail keeps the last lines of an output that arrives in pieces.
type tail struct {
	hidden  *secret.Redactor
	lines   []string // at most keptLines, oldest first
	dropped int      // how many lines were before them
	partial []byte   // what came after the last line end
}

// write takes a piece and returns the last line in it that says something, or "".
func (t *tail) write(data []byte) (last string) {
	for {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			break
		}
		line := t.shown(append(t.partial, data[:i]...))
		t.partial, data = t.partial[:0], data[i+1:]
		t.add(line)
		if strings.TrimSpace(line) != "" {
			last = line
		}
	}
	t.partial = append(t.partial, data...)
	if len(t.partial) > keptLineLength {
		// A progress bar without line ends, or a very long line: what counts is its end or its beginning, not all of it.
		if i := bytes.LastIndexByte(t.partial, '\r'); i > 0 {
			t.partial = t.partial[:copy(t.partial, t.partial[i:])]
		}
		t.partial = t.partial[:min(len(t.partial), keptLineLength+1)]
	}
	return last
}

func (t *tail) add(line string) {
	t.lines = append(t.lines, line)
	if len(t.lines) > keptLines {
		t.lines = t.lines[1:]
		t.dropped++
	}
}

// shown is a line as it is kept: without secrets, and only then cut, lest a part of one stays.
func (t *tail) shown(line []byte) string {
	text := t.hidden.Clean(plain(string(line)))
	if len(text) > keptLineLength {
		text = strings.ToValidUTF8(text[:keptLineLength], "") + "…"
	}
	return text
}

// String is the kept output; it says how much is missing before it.
func (t *tail) String() string {
	lines := t.lines
	if rest := t.shown(t.partial); rest != "" {
		lines = append(lines[:len(lines):len(lines)], rest)
	}
	text := strings.TrimRight(strings.Join(lines, "\n"), "\n")
	if t.dropped > 0 {
		text = fmt.Sprintf("(%d lines before these)\n%s", t.dropped, text)
	}
	return text
}

// plain is a line as a terminal would leave it: what follows the last carriage return, without escape sequences.
func plain(line string) string {
	line = strings.TrimRight(line, "\r")
	line = line[strings.LastIndexByte(line, '\r')+1:]
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == 0x1b:
			i = escapeEnd(line, i)
		case line[i] >= ' ' || line[i] == '\t':
			b.WriteByte(line[i])
		}
	}
	return b.String()
}

// escapeEnd is the index of the last byte of the escape sequence that begins at i.
func escapeEnd(s string, i int) int {
	if i+1 >= len(s) || s[i+1] != '[' {
		return min(i+1, len(s)-1)
	}
	for i += 2; i < len(s); i++ {
		if s[i] >= 0x40 && s[i] <= 0x7e {
			return i
		}
	}
	return len(s) - 1
}
