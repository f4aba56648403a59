package lock

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/devenv-run/devenv/devenv/fault"
)

// anew says what to do with a lock that cannot be read.
const anew = "Take the file from version control again, or write it anew with `devenv lock`."

// Parse reads a devenv.lock; file is its name in messages. Reading is strict. Everything wrong with the text is one *fault.Error
// of kind Config, with a line for each problem.
func Parse(file string, data []byte) (*File, error) {
	if line := conflict(data); line > 0 {
		return nil, &fault.Error{
			Kind: fault.Config, What: "the lock holds an unresolved merge conflict", Where: fmt.Sprintf("%s:%d", file, line),
			Next: "Keep either side, or both, of each conflict; `devenv lock` then writes what is right.",
		}
	}
	p := &parser{file: file}
	f := p.parse(data)
	if len(p.problems) > 0 {
		return nil, p.fault()
	}
	f.sort()
	return f, nil
}

// conflict is the line of the first conflict marker that git leaves, 0 if there is none.
func conflict(data []byte) int {
	n := 0
	for line := range bytes.Lines(data) {
		n++
		for _, marker := range []string{"<<<<<<< ", ">>>>>>> ", "||||||| "} {
			if bytes.HasPrefix(line, []byte(marker)) {
				return n
			}
		}
		if string(bytes.TrimRight(line, "\r\n")) == "=======" {
			return n
		}
	}
	return 0
}

// problem is something wrong with the text.
type problem struct {
	line, column int
	text         string
}

type parser struct {
	file     string
	problems []problem
}

func (p *parser) fail(n *yaml.Node, format string, args ...any) {
	p.problems = append(p.problems, problem{max(n.Line, 1), max(n.Column, 1), fmt.Sprintf(format, args...)})
}

func (p *parser) fault() *fault.Error {
	slices.SortStableFunc(p.problems, func(a, b problem) int { return a.line - b.line })
	where := func(one problem) string { return fmt.Sprintf("%s:%d:%d", p.file, one.line, one.column) }
	first := p.problems[0]
	f := &fault.Error{Kind: fault.Config, What: "the lock is not valid", Where: where(first), Err: errors.New(first.text), Next: anew}
	if len(p.problems) > 1 {
		f.What = fmt.Sprintf("the lock has %d problems", len(p.problems))
		var lines []string
		for _, one := range p.problems {
			lines = append(lines, where(one)+": "+one.text)
		}
		f.Detail = strings.Join(lines, "\n")
	}
	return f
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(?s:(.*))$`)

func (p *parser) parse(data []byte) *File {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	if err == nil {
		if err = decoder.Decode(&second); err == nil {
			p.fail(&second, "the lock holds more than one YAML document")
			return nil
		}
	}
	if !errors.Is(err, io.EOF) {
		at := &yaml.Node{}
		text := err.Error()
		if m := yamlLine.FindStringSubmatch(text); m != nil {
			at.Line, _ = strconv.Atoi(m[1])
			text = m[2]
		}
		p.fail(at, "not valid YAML: %s", text)
		return nil
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		p.fail(&document, "the lock is no mapping with the key version")
		return nil
	}
	return p.top(document.Content[0])
}

// sections are the keys of the file beside version, in order.
var sections = []string{"nodeImages", "baseImages", "images", "charts", "chartLocks"}

func (p *parser) top(n *yaml.Node) *File {
	f := &File{}
	fields := p.mapping(n, append([]string{"version"}, sections...))
	version, ok := fields["version"]
	switch number, err := strconv.Atoi(text(version)); {
	case !ok:
		p.fail(n, "the lock lacks version")
	case err != nil || number < 1:
		p.fail(version, "version must be %d, not %q", Version, version.Value)
	case number > Version:
		// What it holds otherwise cannot be judged.
		p.problems = nil
		p.fail(version, "the lock was written by a newer devenv: version %d, this one reads %d", number, Version)
		return nil
	}
	for _, list := range []struct {
		key  string
		into *[]Image
	}{{"nodeImages", &f.NodeImages}, {"baseImages", &f.BaseImages}, {"images", &f.Images}} {
		keys := []string{"image", "digest", "local", "platform"}
		if list.key == "nodeImages" {
			keys = append(keys, "default")
		}
		seen := map[string]int{}
		for e := range p.entries(fields[list.key], list.key, keys) {
			i := Image{
				Name: e.required("image"), Digest: e.digest(), Default: e.truth("default"), Local: e.truth("local"), Platform: e.fields["platform"],
				Line: e.node.Line,
			}
			if i.Local != (i.Platform != "") {
				p.fail(e.node, "platform belongs to an image that is local, and to every one")
			}
			e.once(seen, i.Name+" "+i.Platform)
			if i.Default {
				e.once(seen, "default "+i.Platform)
			}
			*list.into = append(*list.into, i)
		}
	}
	seen := map[string]int{}
	for e := range p.entries(fields["charts"], "charts", []string{"chart", "name", "version", "repository", "digest"}) {
		c := Chart{
			Chart: e.required("chart"), Name: e.required("name"), Version: e.fields["version"], Repository: e.fields["repository"], Digest: e.digest(),
			Line: e.node.Line,
		}
		e.once(seen, c.Chart+" "+c.Name+" "+c.Version)
		f.Charts = append(f.Charts, c)
	}
	for e := range p.entries(fields["chartLocks"], "chartLocks", []string{"chart", "digest"}) {
		c := ChartLock{Chart: e.required("chart"), Digest: e.digest(), Line: e.node.Line}
		e.once(seen, c.Chart)
		f.ChartLocks = append(f.ChartLocks, c)
	}
	return f
}

// mapping is the values of a mapping by key.
func (p *parser) mapping(n *yaml.Node, keys []string) map[string]*yaml.Node {
	fields := map[string]*yaml.Node{}
	if n.Kind != yaml.MappingNode {
		p.fail(n, "this must be a mapping with the keys %s", strings.Join(keys, ", "))
		return fields
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || !slices.Contains(keys, key.Value):
			p.fail(key, "unknown key %q; the keys here are %s", key.Value, strings.Join(keys, ", "))
		case fields[key.Value] != nil:
			p.fail(key, "duplicate key %q", key.Value)
		default:
			fields[key.Value] = value
		}
	}
	return fields
}

// text is a scalar's text, empty for anything else.
func text(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
		return ""
	}
	return n.Value
}

// entry is one of a list.
type entry struct {
	p      *parser
	node   *yaml.Node
	fields map[string]string
}

// entries iterates over a list of mappings of texts.
func (p *parser) entries(n *yaml.Node, section string, keys []string) func(func(entry) bool) {
	return func(yield func(entry) bool) {
		if n == nil {
			return
		}
		if n.Kind != yaml.SequenceNode {
			p.fail(n, "%s must be a list", section)
			return
		}
		for _, item := range n.Content {
			e := entry{p, item, map[string]string{}}
			for key, value := range p.mapping(item, keys) {
				if e.fields[key] = text(value); e.fields[key] == "" {
					p.fail(value, "%s must be text", key)
				}
			}
			if item.Kind == yaml.MappingNode && !yield(e) {
				return
			}
		}
	}
}

func (e entry) required(key string) string {
	if _, ok := e.fields[key]; !ok {
		e.p.fail(e.node, "the entry lacks %s", key)
	}
	return e.fields[key]
}

var digest = regexp.MustCompile(`^[a-z0-9]+([+._-][a-z0-9]+)*:[0-9a-f]{32,}$`)

func (e entry) digest() string {
	d := e.required("digest")
	if d != "" && !digest.MatchString(d) {
		e.p.fail(e.node, "%q is no digest such as sha256:…", d)
	}
	return d
}

func (e entry) truth(key string) bool {
	value, ok := e.fields[key]
	if ok && value != "true" {
		e.p.fail(e.node, "%s can only be true", key)
	}
	return ok
}

// once refuses a second entry for the same thing.
func (e entry) once(seen map[string]int, what string) {
	if line := seen[what]; line > 0 {
		e.p.fail(e.node, "this is pinned already on line %d", line)
		return
	}
	seen[what] = e.node.Line
}
