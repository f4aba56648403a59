package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxNodes bounds what aliases may blow a file up to.
const maxNodes = 50_000

// node is a value of a file, or of several files merged: a YAML node without aliases that knows where its text stands.
type node struct {
	Pos
	Kind    yaml.Kind // of a mapping, a sequence or a scalar
	Tag     string    // short: !!str
	Value   string    // of a scalar
	Style   yaml.Style
	Content []*node // of a mapping: keys and values in turn
}

// decode reads a scalar as YAML does.
func (n *node) decode(into any) error {
	return (&yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Style: n.Style}).Decode(into)
}

// parse reads one YAML document into a tree without aliases and merge keys, in which every mapping has scalar keys, each once.
// The nodes keep the positions at which their text stands. The tree is nil if the text is no YAML.
func parse(file string, data []byte) (*node, []Problem) {
	at := func(line, column int, format string, args ...any) []Problem {
		return []Problem{{File: file, Line: line, Column: column, Message: fmt.Sprintf(format, args...)}}
	}
	if line, column, what := invalidText(data); what != "" {
		return nil, at(line, column, "the file %s", what)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, at(1, 1, "the file is empty")
	case err != nil:
		line, message := syntax(err)
		if column := tab(data, line); column > 0 {
			return nil, at(line, column, "a tab cannot indent in YAML; use spaces")
		}
		return nil, at(line, 1, "%s", message)
	}
	var second yaml.Node
	switch err := decoder.Decode(&second); {
	case err == nil:
		return nil, at(max(second.Line, 1), max(second.Column, 1), "the file holds more than one YAML document")
	case !errors.Is(err, io.EOF):
		line, message := syntax(err)
		return nil, at(line, 1, "%s", message)
	}
	if len(document.Content) != 1 {
		return nil, at(1, 1, "the file is empty")
	}
	p := &plainer{file: file, open: map[*yaml.Node]bool{}}
	return p.plain(document.Content[0]), p.problems
}

// invalidText finds the first character that YAML does not allow anywhere. What is wrong with it is empty if there is none.
func invalidText(data []byte) (line, column int, what string) {
	line, column = 1, 1
	rest := bytes.TrimPrefix(data, []byte("\ufeff"))
	for len(rest) > 0 {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			return line, column, "is not UTF-8 text"
		case r == '\n' || r == '\r' || r == '\t' || r == '\u0085':
		case unicode.IsControl(r) || r == '\ufeff' || r == '\ufffe' || r == '\uffff':
			return line, column, fmt.Sprintf("holds a character that YAML does not allow, %U", r)
		}
		if column++; r == '\n' {
			line, column = line+1, 1
		}
		rest = rest[size:]
	}
	return 0, 0, ""
}

// tab is the column of a tab in the indentation of a line, 0 if there is none.
func tab(data []byte, line int) int {
	lines := bytes.SplitN(data, []byte("\n"), line+1)
	if line > len(lines) {
		return 0
	}
	text := lines[line-1]
	indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
	return bytes.IndexByte(indent, '\t') + 1
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(?s:(.*))$`)

// syntax takes the line out of the YAML library's message. What its parser (not its scanner) finds, it counts from 0.
func syntax(err error) (line int, message string) {
	m := yamlLine.FindStringSubmatch(err.Error())
	if m == nil {
		return 1, err.Error()
	}
	line, _ = strconv.Atoi(m[1])
	if strings.HasPrefix(m[2], "did not find expected") {
		line++
	}
	return max(line, 1), "not valid YAML: " + strings.TrimSpace(m[2])
}

// plainer replaces aliases and merge keys by what they stand for.
type plainer struct {
	file     string
	open     map[*yaml.Node]bool // anchors that are being expanded, to find one that holds itself
	nodes    int
	problems []Problem
}

func (p *plainer) fail(at Pos, format string, args ...any) {
	p.problems = append(p.problems, Problem{File: at.File, Line: at.Line, Column: at.Column, Message: fmt.Sprintf(format, args...)})
}

// pos is where a node of the file stands.
func (p *plainer) pos(n *yaml.Node) Pos { return Pos{p.file, max(n.Line, 1), max(n.Column, 1)} }

func (p *plainer) null(n *yaml.Node) *node {
	return &node{Kind: yaml.ScalarNode, Tag: "!!null", Pos: p.pos(n)}
}

func (p *plainer) plain(n *yaml.Node) *node {
	if p.nodes++; p.nodes > maxNodes {
		if p.nodes == maxNodes+1 {
			p.fail(p.pos(n), "the file's aliases expand to more than %d values", maxNodes)
		}
		return p.null(n)
	}
	switch n.Kind {
	case yaml.AliasNode:
		if p.open[n.Alias] {
			p.fail(p.pos(n), "the anchor %q holds itself", n.Value)
			return p.null(n)
		}
		p.open[n.Alias] = true
		defer delete(p.open, n.Alias)
		return p.plain(n.Alias)
	case yaml.MappingNode:
		return p.mapping(n)
	case yaml.SequenceNode:
		list := &node{Kind: yaml.SequenceNode, Tag: n.Tag, Pos: p.pos(n)}
		for _, item := range n.Content {
			list.Content = append(list.Content, p.plain(item))
		}
		return list
	case yaml.ScalarNode:
		return &node{Kind: yaml.ScalarNode, Tag: n.ShortTag(), Value: n.Value, Style: n.Style, Pos: p.pos(n)}
	}
	return p.null(n)
}

func (p *plainer) mapping(n *yaml.Node) *node {
	result := &node{Kind: yaml.MappingNode, Tag: n.Tag, Pos: p.pos(n)}
	first := map[string]*node{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		written := n.Content[i]
		if written.Kind == yaml.ScalarNode && written.ShortTag() == "!!merge" {
			merged = append(merged, n.Content[i+1])
			continue
		}
		key := p.plain(written)
		if key.Kind != yaml.ScalarNode {
			p.fail(key.Pos, "a key must be plain text")
			continue
		}
		// The position of a key written by alias is where it is used.
		key.Pos = p.pos(written)
		if earlier := first[key.Value]; earlier != nil {
			p.fail(key.Pos, "duplicate key %q, first on line %d", key.Value, earlier.Line)
			continue
		}
		first[key.Value] = key
		result.Content = append(result.Content, key, p.plain(n.Content[i+1]))
	}
	for _, m := range merged {
		p.mergeKey(result, first, p.plain(m), p.pos(m))
	}
	return result
}

// mergeKey adds what << names: keys that the mapping does not have itself.
func (p *plainer) mergeKey(result *node, have map[string]*node, from *node, written Pos) {
	switch from.Kind {
	case yaml.SequenceNode:
		for _, one := range from.Content {
			if one.Kind != yaml.MappingNode {
				p.fail(written, "<< takes mappings")
				return
			}
			p.mergeKey(result, have, one, written)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(from.Content); i += 2 {
			key, value := from.Content[i], from.Content[i+1]
			if have[key.Value] == nil {
				have[key.Value] = key
				result.Content = append(result.Content, key, value)
			}
		}
	default:
		p.fail(written, "<< takes a mapping")
	}
}

// get is the value of a key in a mapping, nil if it has none.
func get(mapping *node, key string) (k, v *node) {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i], mapping.Content[i+1]
		}
	}
	return nil, nil
}

// without is mapping without a key.
func without(mapping *node, key string) *node {
	if mapping.Kind != yaml.MappingNode {
		return mapping
	}
	result := *mapping
	result.Content = nil
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value != key {
			result.Content = append(result.Content, mapping.Content[i], mapping.Content[i+1])
		}
	}
	return &result
}

// merge lays over on base: mappings merge key by key, and everything else in over replaces. Positions stay those of the text that
// a value comes from. Keys keep base's order; new ones follow.
func merge(base, over *node) *node {
	if base == nil || base.Kind != yaml.MappingNode || over.Kind != yaml.MappingNode {
		return over
	}
	result := *base
	result.Content = nil
	for i := 0; i+1 < len(base.Content); i += 2 {
		key, value := base.Content[i], base.Content[i+1]
		if k, v := get(over, key.Value); k != nil {
			key, value = k, merge(value, v)
		}
		result.Content = append(result.Content, key, value)
	}
	for i := 0; i+1 < len(over.Content); i += 2 {
		if k, _ := get(base, over.Content[i].Value); k == nil {
			result.Content = append(result.Content, over.Content[i], over.Content[i+1])
		}
	}
	return &result
}
