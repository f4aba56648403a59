package render

import (
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"

	yamlv3 "gopkg.in/yaml.v3"
)

var (
	// malformed is what Kustomize says of a resource that is no YAML.
	malformed = regexp.MustCompile(`MalformedYAMLError: .* in File: (\S+)`)
	// unreadable is what it says of a kustomization that it cannot decode, and of the field that it does not like.
	unreadable = regexp.MustCompile(`invalid Kustomization: (?:json: )?(.*)`)
	wrongField = regexp.MustCompile(`unknown field "([^"]+)"|field Kustomization\.([A-Za-z0-9]+)`)
	// badPatch is what it says of a patch file that is neither of the two kinds of patches.
	badPatch = regexp.MustCompile(`unable to parse SM or JSON patch from \[path: "([^"]+)"\]`)

	// Insides of the library, of which one is a memory address.
	generatorAddress = regexp.MustCompile(` &\{0x[0-9a-f]+ <nil>\}`)
	resourceID       = regexp.MustCompile(`resid\.ResId\{Gvk:resid\.Gvk\{Group:"[^"]*", Version:"[^"]*", Kind:"([^"]*)", isClusterScoped:\w+\}, Name:"([^"]*)", Namespace:"[^"]*"\}`)
)

// kustomizeError is an overlay that does not build; last is the file that Kustomize read last. Kustomize tries each resource as
// a file and as a folder and tells of both; the words are kept, for only the author can say which was meant.
func (r *rendering) kustomizeError(origin, last string, s *Source, err error) error {
	words := resourceID.ReplaceAllString(generatorAddress.ReplaceAllString(err.Error(), ""), "$1 $2")
	err = errors.New(words)
	if m := malformed.FindStringSubmatch(words); m != nil && path.Base(m[1]) == path.Base(last) {
		syntax := yamlError(err, nil)
		syntax.err = errors.New(strings.TrimSuffix(syntax.Error(), " in File: "+m[1]))
		return config(fmt.Sprintf("%s:%d", last, syntax.line), "not a valid manifest", syntax, "")
	}
	if m := unreadable.FindStringSubmatch(words); m != nil {
		return r.unreadable(last, errors.New(m[1]))
	}
	if m := badPatch.FindStringSubmatch(words); m != nil && path.Base(m[1]) == path.Base(last) {
		if syntax := r.syntaxOf(last); syntax != nil {
			return config(fmt.Sprintf("%s:%d", last, syntax.line), "not a valid patch", syntax, "")
		}
		return config(last, "not a valid patch", errors.New("it is neither an object nor a list of JSON patch operations"), "")
	}
	next := ""
	switch {
	case strings.Contains(words, "security; file"):
		next = "A kustomization may read only files in or below its own folder: move the file there, or make its folder a base."
	case strings.Contains(words, "--enable-helm"):
		next = "Deploy the chart by a source of its own, with helm instead of kustomize; kubectl does not render it either."
	case strings.Contains(words, "external plugins disabled"):
		next = "Kustomize runs no programs here, as it does not in kubectl: write what the plugin makes as resources or patches."
	case strings.Contains(words, "cycle detected"):
		next = "Remove the reference that leads back."
	case strings.Contains(words, "no such file"):
		next = "Check the paths that the kustomization names."
	}
	return config(origin, "kustomization of source "+s.Name+" does not build", err, next)
}

// unreadable is a kustomization that is no YAML, or has a field that there is not or of the wrong type. Kustomize names no line
// for the latter, so the field is looked for.
func (r *rendering) unreadable(file string, err error) error {
	line := 1
	field := wrongField.FindStringSubmatch(err.Error())
	switch {
	case strings.HasPrefix(err.Error(), "yaml: "):
		syntax := yamlError(err, nil)
		line, err = syntax.line, syntax
	case field != nil:
		line = r.lineOfField(file, field[1]+field[2])
	}
	return config(fmt.Sprintf("%s:%d", file, line), "not a valid kustomization", err, "")
}

// lineOfField is the line in which a mapping has a field at its top; 1 if it has none.
func (r *rendering) lineOfField(file, field string) int {
	data, err := os.ReadFile(join(r.in.Dir, file))
	var node yamlv3.Node
	if err != nil || yamlv3.Unmarshal(data, &node) != nil || len(node.Content) == 0 {
		return 1
	}
	for _, n := range node.Content[0].Content {
		if n.Value == field {
			return n.Line
		}
	}
	return 1
}

// syntaxOf finds what is wrong with the YAML of a file; nil if nothing is.
func (r *rendering) syntaxOf(file string) *syntaxError {
	data, err := os.ReadFile(join(r.in.Dir, file))
	if err != nil {
		return nil
	}
	for _, t := range split(data, yamlMarker) {
		_, _, err := decode(t.data)
		var syntax *syntaxError
		if errors.As(err, &syntax) && !strings.HasPrefix(syntax.Error(), "expected an object") {
			return &syntaxError{line: t.line + syntax.line - 1, err: syntax.err}
		}
	}
	return nil
}
