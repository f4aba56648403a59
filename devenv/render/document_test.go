package render

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/devenv-run/devenv/devenv/fault"
)

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		want       string // "line:content" of each document, by yamlMarker
		helm       string // the same by helmMarker, if different
	}{
		{name: "one", file: "a: b\n", want: "1:a: b"},
		{name: "two", file: "a: b\n---\nc: d\n", want: "1:a: b|2:c: d"},
		{name: "marker first", file: "---\na: b\n", want: "1:a: b"},
		{name: "only markers", file: "---\n---\n--- \n---", want: ""},
		{name: "comments and directives", file: "%YAML 1.1\n---\n# c\n---\na: b\n...\n---\n# end", want: "4:a: b ..."},
		{name: "comment after the marker", file: "a: b\n--- # two\nc: d\n", want: "1:a: b|2:# two c: d"},
		{name: "content after the marker", file: "--- {a: b}\n--- !!map {c: d}\n", want: "1:{a: b}|2:!!map {c: d}"},
		{name: "no space after the marker", file: "a: b\n---c: d\n", want: "1:a: b ---c: d", helm: "1:a: b|2:c: d"},
		{name: "marker in a block", file: "a: |\n  ---\n  b\n", want: "1:a: | --- b"},
		{name: "carriage returns", file: "a: b\r\n---\r\nc: d\r\n", want: "1:a: b|2:c: d"},
		{name: "byte order mark", file: "\ufeffa: b\n", want: "1:a: b"},
		{name: "empty", file: "", want: ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := splitText(split([]byte(tt.file), yamlMarker)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			want := tt.want
			if tt.helm != "" {
				want = tt.helm
			}
			if got := splitText(split([]byte(tt.file), helmMarker)); got != want {
				t.Errorf("as Helm: got  %s\nwant %s", got, want)
			}
		})
	}
}

func splitText(texts []text) string {
	var parts []string
	for _, x := range texts {
		parts = append(parts, fmt.Sprintf("%d:%s", x.line, strings.Join(strings.Fields(string(x.data)), " ")))
	}
	return strings.Join(parts, "|")
}

func TestDecodeErrorLines(t *testing.T) {
	for _, tt := range []struct {
		document string
		line     int
		words    string
	}{
		{"a: b: c\n", 1, "mapping values are not allowed in this context"},
		{"a: b\nc: d: e\n", 2, "mapping values are not allowed in this context"},
		{"a:\n  b: c\n d: e\n", 3, "did not find expected key"},
		{"a:\n- b\n c\n- d\n  e: f\n", 5, "mapping values are not allowed in this context"},
		{"a: [b\nc: d\n", 2, "did not find expected ',' or ']'"},
		{"a: \"b\n", 2, "found unexpected end of stream"},
		{"a: *b\n", 1, "unknown anchor 'b' referenced"},
		{"\n\n- a\n", 3, "expected an object with apiVersion and kind, found a list"},
		{"# c\n7\n", 2, "expected an object with apiVersion and kind, found a number"},
		{"a: .nan\n", 1, "json: unsupported value: NaN"},
	} {
		_, _, err := decode([]byte(tt.document))
		var syntax *syntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: error is %v", tt.document, err)
			continue
		}
		if syntax.line != tt.line || syntax.Error() != tt.words {
			t.Errorf("%q: line %d: %v; want line %d: %s", tt.document, syntax.line, err, tt.line, tt.words)
		}
	}
}

// Whatever is in a file, reading it does not panic, blames a line of the file, and what can be read is the same when it is
// printed and read again.
func FuzzManifests(f *testing.F) {
	for _, seed := range []string{
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {yes: \"on\", n: \"1.0\"}\n",
		"---\n# c\n---\nkind: List\nitems: [{a: 1}]\n--- # x\n{\"a\": [1, 2.50, 1e3, -0, null, true]}\n...\n",
		`{"a": "\ud83d\ude00"}{"b": {}}`,
		"a: &x {b: c}\nd: {<<: *x}\ne: !!binary aGk=\nf: 2001-01-01\ng: 0x1F\nh: 1_000\ni: ~\nj: .inf\n",
		"\ufeffa: b\r\n---\r\n\tc: d\r\n", "? a\n: b\n1: 2\ntrue: x\n", "%YAML 1.1\n--- |\n text\n", "a: b\na: c\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &rendering{in: Input{Sources: []Source{{Name: "s", Namespace: "n"}}}, scopes: scopes{}}
		docs, err := r.decodeFile("f", data)
		checkLines(t, data, err)
		for _, d := range docs {
			first, err := canonicalJSON(d.value)
			if err != nil {
				t.Fatal(err)
			}
			printed, err := yaml.JSONToYAML(first)
			if err != nil {
				continue // numbers beyond what YAML's reader takes
			}
			again, _, err := decode(printed)
			if err != nil {
				t.Fatalf("%s is printed as %s: %v", first, printed, err)
			}
			second, err := canonicalJSON(again)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first, second) && !roundedNumbers(first, second) {
				t.Fatalf("%s becomes %s", first, second)
			}
			_ = r.draft(0, d)
		}
		if r.place() == nil && r.addNamespaces() == nil {
			if _, err := r.seal(); err != nil {
				t.Fatal(err)
			}
		}
		l := &release{rendering: r, paths: func(name string) string { return name }}
		_, _ = l.decode("c/templates/f.yaml", data, true)
	})
}

// checkLines fails if an error blames a line that the file does not have.
func checkLines(t *testing.T, data []byte, err error) {
	t.Helper()
	for _, err := range fault.All(err) {
		f, ok := err.(*fault.Error)
		if !ok {
			t.Fatalf("not a fault: %v", err)
		}
		var line int
		if _, err := fmt.Sscanf(f.Where, "f:%d", &line); err != nil {
			t.Fatalf("no line in %q", f.Where)
		}
		if lines := bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) + 2; line < 1 || line > lines {
			t.Fatalf("%v blames line %d of %d", f, line, lines)
		}
	}
}

// roundedNumbers says that two documents differ at most in numbers that YAML's reader keeps as floating point.
func roundedNumbers(a, b []byte) bool {
	var x, y any
	if yaml.Unmarshal(a, &x) != nil || yaml.Unmarshal(b, &y) != nil {
		return false
	}
	return fmt.Sprint(x) == fmt.Sprint(y)
}

func FuzzInspect(f *testing.F) {
	f.Add([]byte("resources: [a, https://example.com/b]\npatches: [{path: c}]\n"))
	f.Add([]byte("openapi: {path: x}\nconfigMapGenerator: [{files: [a=b], literals: [x=https://y]}]\n"))
	f.Add([]byte("a: &a [*a]\nresources: *a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		remote, _ := inspect(data, func(string) bool { return false })
		if remote != nil && (remote.ref == "" || remote.line < 1) {
			t.Fatalf("refused without saying what: %+v", remote)
		}
	})
}
