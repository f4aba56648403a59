package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxNodes bounds what aliases may blow a file up to.
const maxNodes = 50_000

// parse reads one YAML document into a tree without aliases and merge keys, in which every mapping has scalar keys, each once.
// The nodes keep the positions at which their text stands. The tree is nil if the text is no YAML.
func parse(file string, data []byte) (*yaml.Node, []Problem) {
	at := func(line, column int, format string, args ...any) []Problem {
		return []Problem{{File: file, Line: line, Column: column, Message: fmt.Sprintf(format, args...)}}
	}
	if line, column, ok := invalidText(data); !ok {
		return nil, at(line, column, "the file is not UTF-8 text")
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, at(1, 1, "the file is empty")
	case err != nil:
		line, message := syntax(err)
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

func invalidText(data []byte) (line, column int, ok bool) {
	line, column = 1, 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			return line, column, false
		}
		if column++; r == '\n' {
			line, column = line+1, 1
		}
		data = data[size:]
	}
	return 0, 0, true
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

func (p *plainer) fail(n *yaml.Node, format string, args ...any) {
	p.problems = append(p.problems, Problem{File: p.file, Line: max(n.Line, 1), Column: max(n.Column, 1), Message: fmt.Sprintf(format, args...)})
}

func null(at *yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: at.Line, Column: at.Column}
}

func (p *plainer) plain(n *yaml.Node) *yaml.Node {
	if p.nodes++; p.nodes > maxNodes {
		if p.nodes == maxNodes+1 {
			p.fail(n, "the file's aliases expand to more than %d values", maxNodes)
		}
		return null(n)
	}
	switch n.Kind {
	case yaml.AliasNode:
		if p.open[n.Alias] {
			p.fail(n, "the anchor %q holds itself", n.Value)
			return null(n)
		}
		p.open[n.Alias] = true
		defer delete(p.open, n.Alias)
		return p.plain(n.Alias)
	case yaml.MappingNode:
		return p.mapping(n)
	case yaml.SequenceNode:
		list := &yaml.Node{Kind: yaml.SequenceNode, Tag: n.Tag, Line: n.Line, Column: n.Column}
		for _, item := range n.Content {
			list.Content = append(list.Content, p.plain(item))
		}
		return list
	case yaml.ScalarNode:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: n.ShortTag(), Value: n.Value, Style: n.Style, Line: n.Line, Column: n.Column}
	}
	return null(n)
}

func (p *plainer) mapping(n *yaml.Node) *yaml.Node {
	result := &yaml.Node{Kind: yaml.MappingNode, Tag: n.Tag, Line: n.Line, Column: n.Column}
	first := map[string]*yaml.Node{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" {
			merged = append(merged, n.Content[i+1])
			continue
		}
		key = p.plain(key)
		if key.Kind != yaml.ScalarNode {
			p.fail(key, "a key must be plain text")
			continue
		}
		// The position of a key written by alias is where it is used.
		key.Line, key.Column = n.Content[i].Line, n.Content[i].Column
		if earlier := first[key.Value]; earlier != nil {
			p.fail(key, "duplicate key %q, first on line %d", key.Value, earlier.Line)
			continue
		}
		first[key.Value] = key
		result.Content = append(result.Content, key, p.plain(n.Content[i+1]))
	}
	for _, m := range merged {
		p.mergeKey(result, first, p.plain(m), m)
	}
	return result
}

// mergeKey adds what << names: keys that the mapping does not have itself.
func (p *plainer) mergeKey(result *yaml.Node, have map[string]*yaml.Node, from, written *yaml.Node) {
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
func get(mapping *yaml.Node, key string) (k, v *yaml.Node) {
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
func without(mapping *yaml.Node, key string) *yaml.Node {
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
func merge(base, over *yaml.Node) *yaml.Node {
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
