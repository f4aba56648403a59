package render

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	chart "helm.sh/helm/v4/pkg/chart/v2"

	"github.com/devenv-run/devenv/devenv/fault"
)

// inProject is an error whose text names files relative to the project directory.
func (r *rendering) inProject(err error) error {
	words := err.Error()
	for _, dir := range r.dirs() {
		words = strings.ReplaceAll(words, dir+string(filepath.Separator), "")
		words = strings.ReplaceAll(words, dir, ".")
	}
	return errors.New(words)
}

// dirs are the names of the project directory: as given, and with links followed, as Kustomize calls it.
func (r *rendering) dirs() []string {
	dirs := []string{filepath.Clean(r.in.Dir)}
	if real, err := filepath.EvalSymlinks(r.in.Dir); err == nil && real != dirs[0] {
		dirs = append(dirs, real)
	}
	return dirs
}

// cannotLoad is Helm's complaint about a file of a chart: "cannot load values.yaml: … line 3: …".
var cannotLoad = regexp.MustCompile(`cannot load ([^\s:]+): `)

// loadError is a chart that cannot be read.
func loadError(dir string, err error) error {
	where := path.Join(dir, "Chart.yaml")
	if m := cannotLoad.FindStringSubmatch(err.Error()); m != nil {
		where = path.Join(dir, m[1])
		if strings.Contains(err.Error(), "yaml: ") {
			syntax := yamlError(err, nil)
			where, err = fmt.Sprintf("%s:%d", where, syntax.line), syntax
		}
	}
	return config(where, "chart "+dir+" cannot be loaded", err, "")
}

// noTable is Helm's complaint, with a mistake in its wording, about a value that stands in the place of a mapping.
var noTable = regexp.MustCompile(`type mismatch on (\S+): %!t\(.*\)`)

// valuesError is a chart that does not accept the values it gets.
func valuesError(l *release, err error) error {
	name := l.chart.Name()
	if !strings.Contains(err.Error(), "specifications of the schema") {
		err = errors.New(noTable.ReplaceAllString(err.Error(), "$1 has to be a mapping"))
		return config(l.paths(name+"/values.yaml"), "values of chart "+name, err, "Correct them in "+l.valueFiles()+".")
	}
	_, complaints, _ := strings.Cut(err.Error(), "\n")
	complaints = strings.TrimSpace(complaints)
	schema := l.schemaOf(complaints)
	if !strings.Contains(complaints, "\n- at '") { // nothing was held against it
		_, words, _ := strings.Cut(complaints, "\n")
		return config(schema, "schema of the values of source "+l.source.Name+" cannot be used", errors.New(words), "")
	}
	f := config(schema, "values of source "+l.source.Name+" do not match the chart's schema", nil, "Correct them in "+l.valueFiles()+".")
	f.Detail = complaints
	return f
}

// valueFiles names the files from which the release's values come.
func (l *release) valueFiles() string {
	files := slices.Clone(l.source.Helm.Values)
	if l.source.Local != nil {
		files = append(files, l.source.Local.Values...)
	}
	return strings.Join(append(files, l.paths(l.chart.Name()+"/values.yaml")), " or ")
}

// schemaOf is the file of the schema that complains; complaints begin with the name of the chart whose it is.
func (l *release) schemaOf(complaints string) string {
	name, _, _ := strings.Cut(complaints, ":")
	var find func(c *chart.Chart) *chart.Chart
	find = func(c *chart.Chart) *chart.Chart {
		if c.Name() == name && c.Schema != nil {
			return c
		}
		for _, sub := range c.Dependencies() {
			if found := find(sub); found != nil {
				return found
			}
		}
		return nil
	}
	whose := find(l.chart)
	if whose == nil {
		whose = l.chart
	}
	return l.paths(whose.ChartFullPath() + "/values.schema.json")
}

// place in a chart, in Helm's messages: "academy/templates/web.yaml:12:5" or "(academy/templates/web.yaml:12)".
var chartPlace = regexp.MustCompile(`([^\s()"<>]+):(\d+)(?::(\d+))?`)

// templateError is a template that does not render. Helm's words name the whole chain of templates; the last one of the chain
// is where the failing expression stands.
func templateError(l *release, err error) error {
	next := "Correct the template there, or the values that it gets from " + l.valueFiles() + "; `devenv render` shows what comes of it."
	if missed := l.lookups.missed; len(missed) > 0 { // the last one is the likely cause
		next = fmt.Sprintf("The chart looked up %s, which is not there (yet): let the template ask whether it found it.", missed[len(missed)-1])
	}
	return config(l.placeOf(err), "chart "+l.chart.Name()+" of source "+l.source.Name+" does not render", abridged(err), next)
}

// abridged is an error whose text is not longer than a person reads. A template that includes itself is told of a thousand times.
func abridged(err error) error {
	const head, tail = 800, 400
	words := err.Error()
	if len(words) <= head+tail {
		return err
	}
	return errors.New(strings.ToValidUTF8(words[:head], "") + " … " + strings.ToValidUTF8(words[len(words)-tail:], ""))
}

// placeOf finds the last place of the chart that Helm's words name; the chart itself where they name none.
func (l *release) placeOf(words error) string {
	where := l.source.Helm.Chart
	for _, m := range chartPlace.FindAllStringSubmatch(words.Error(), -1) {
		if !strings.HasPrefix(m[1], l.chart.Name()+"/") {
			continue
		}
		where = l.paths(m[1]) + ":" + m[2]
		if m[3] != "" {
			where += ":" + m[3]
		}
	}
	return where
}

// outputError is a file of a chart whose text is no YAML. The lines of a template are not those of what it renders, so
// the rendered lines around the fault are shown.
func outputError(origin string, data []byte, t text, err error, template bool) error {
	var syntax *syntaxError
	if !errors.As(err, &syntax) {
		syntax = &syntaxError{line: 1, err: err}
	}
	line := t.line + syntax.line - 1
	if !template {
		return config(fmt.Sprintf("%s:%d", origin, line), "not a valid manifest", syntax, "")
	}
	return &fault.Error{
		Kind: fault.Config, Where: origin, Err: syntax,
		What:   fmt.Sprintf("renders to what is not a valid manifest, in line %d of the rendered text", line),
		Detail: excerpt(data, line),
	}
}

// excerpt shows a line with its neighbours, numbered.
func excerpt(data []byte, line int) string {
	lines := strings.Split(string(bytes.TrimRight(data, "\n")), "\n")
	var b strings.Builder
	for n := max(1, line-3); n <= min(len(lines), line+2); n++ {
		mark := ' '
		if n == line {
			mark = '>'
		}
		fmt.Fprintf(&b, "%c %4d | %s\n", mark, n, lines[n-1])
	}
	return strings.TrimRight(b.String(), "\n")
}
