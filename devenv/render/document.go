package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// doc is one document of a file.
type doc struct {
	origin string         // the file, relative to the project, with a line where lines mean something to its author
	value  map[string]any // numbers are json.Number, so that no digit is lost
	chart  bool           // from a template of a chart: hook annotations count
	hook   *hook          // of the list that the object was an item of
}

// text is one document before it is decoded.
type text struct {
	line int // its first line in the file, 1-based
	data []byte
}

// The two ideas of where a document ends. Helm's is generous: charts out there rely on "---apiVersion: v1".
var (
	yamlMarker = regexp.MustCompile(`(?m)^---(?:[ \t]+|\r?$)`)
	helmMarker = regexp.MustCompile(`(?m)^---[ \t]*`)
)

// split cuts a file into its documents and drops those that hold nothing but space, comments and directives.
func split(data []byte, marker *regexp.Regexp) []text {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	var texts []text
	start := 0
	add := func(end int) {
		if part := data[start:end]; !blank(part) {
			texts = append(texts, text{line: 1 + bytes.Count(data[:start], []byte("\n")), data: part})
		}
	}
	for _, at := range marker.FindAllIndex(data, -1) {
		add(at[0])
		start = at[1]
	}
	add(len(data))
	return texts
}

// blank says that a document holds no value.
func blank(data []byte) bool {
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && line[0] != '%' && !bytes.Equal(line, []byte("...")) {
			return false
		}
	}
	return true
}

// syntaxError is a document that cannot be read.
type syntaxError struct {
	line int // in the file (of a decoded document: in the document), 1-based
	err  error
}

func (e *syntaxError) Error() string { return e.err.Error() }
func (e *syntaxError) Unwrap() error { return e.err }

// decode reads one YAML document. It gives a nil map for an empty one, and the keys that are declared twice in a mapping:
// YAML forbids them, but kubectl and Helm let the last one win.
func decode(data []byte) (value map[string]any, twice []syntaxError, err error) {
	asJSON, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		strict := err
		if asJSON, err = yaml.YAMLToJSON(data); err != nil {
			return nil, nil, yamlError(err, data)
		}
		for _, words := range yamlTwice.FindAllString(strict.Error(), -1) {
			twice = append(twice, *yamlError(errors.New(words), data))
		}
	}
	value, err = object(asJSON)
	if err != nil {
		return nil, nil, &syntaxError{line: firstLine(data), err: err}
	}
	return value, twice, nil
}

// firstLine is the 1-based line of the first content of a document.
func firstLine(data []byte) int {
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if !blank(line) {
			break
		}
	}
	return max(n, 1)
}

// object decodes JSON whose value is an object or null.
func object(data []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	switch v := value.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		return v, nil
	}
	return nil, fmt.Errorf("expected an object with apiVersion and kind, found %s", jsonType(value))
}

// jsonType names the type of a decoded JSON value for people.
func jsonType(value any) string {
	switch value.(type) {
	case nil:
		return "nothing"
	case string:
		return "a string"
	case bool:
		return "true or false"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	}
	return "an object"
}

// decodeJSON reads a file of JSON values, one after the other, as kubectl does for files that begin with a brace. ok is false
// if the file is no JSON, which leaves the possibility that it is YAML in flow style.
func decodeJSON(data []byte) (values []text, ok bool) {
	if trimmed := bytes.TrimSpace(data); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, false
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	for {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err == io.EOF {
			return values, true
		} else if err != nil {
			return nil, false
		}
		start := int(dec.InputOffset()) - len(raw)
		values = append(values, text{line: 1 + bytes.Count(data[:start], []byte("\n")), data: raw})
	}
}

var (
	yamlLine  = regexp.MustCompile(`line (\d+): `)
	yamlTwice = regexp.MustCompile(`line \d+: .*already set in map`)
	// The parser (unlike the scanner) of the YAML library counts lines from zero in its messages.
	parserSays = regexp.MustCompile(`did not find expected (key|'-' indicator|node content|',' or '[\]}]'|<document start>)`)
)

// noAnchor is a complaint of the YAML library that names no line.
var noAnchor = regexp.MustCompile(`^unknown anchor '(.+)' referenced$`)

// yamlError finds the line in an error of the YAML library, and takes off its words what was put before them. data is what was
// read, to look for what the words are about where they name no line; it may be nil.
func yamlError(err error, data []byte) *syntaxError {
	words := err.Error()
	if i := strings.LastIndex(words, "yaml: "); i >= 0 {
		words = strings.TrimPrefix(words[i+len("yaml: "):], "unmarshal errors:\n  ")
	}
	line := 0
	if m := yamlLine.FindStringSubmatch(words); m != nil {
		line, _ = strconv.Atoi(m[1])
		words = strings.Replace(words, m[0], "", 1)
	}
	if m := noAnchor.FindStringSubmatch(words); m != nil {
		before, _, _ := bytes.Cut(data, []byte("*"+m[1]))
		line = bytes.Count(before, []byte("\n")) + 1
	}
	if line == 0 || parserSays.MatchString(words) {
		line++
	}
	return &syntaxError{line: line, err: errors.New(words)}
}
