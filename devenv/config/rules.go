package config

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	"gopkg.in/yaml.v3"
)

// rules are the words of a check tag; types.go explains them.
type rules []string

func rulesOf(f reflect.StructField) rules { return strings.Fields(f.Tag.Get("check")) }

func (r rules) has(word string) bool { return slices.Contains(r, word) }

// option is what follows word= in the rules.
func (r rules) option(word string) (string, bool) {
	for _, one := range r {
		if value, ok := strings.CutPrefix(one, word+"="); ok {
			return value, true
		}
	}
	return "", false
}

func (r rules) number(word string) (int, bool) {
	text, ok := r.option(word)
	n, err := strconv.Atoi(text)
	return n, ok && err == nil
}

func (r rules) choices(word string) []string {
	text, ok := r.option(word)
	if !ok {
		return nil
	}
	return strings.Split(text, "|")
}

// labelPattern is a DNS label as Kubernetes wants it.
const labelPattern = `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`

var (
	label      = regexp.MustCompile(labelPattern)
	notInLabel = regexp.MustCompile(`[^a-z0-9]+`)
)

// word is two letters in a row, of any script.
var word = regexp.MustCompile(`\p{L}\p{L}`)

// signals are those that a process can be told something with.
var signals = []string{"HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "WINCH", "CONT", "KILL"}

// textRules checks a text and says whether it is good.
func (d *decoder) textRules(n *node, text, at string, r rules) bool {
	before := len(d.problems)
	if text == "" {
		if r.has("required") || r.has("label") {
			d.fail(n, at, "", "%s must not be empty", last(at))
		}
		return len(d.problems) == before
	}
	if valid := r.choices("enum"); valid != nil && !slices.Contains(valid, text) {
		one := "one of "
		if len(valid) == 1 {
			one = ""
		}
		d.fail(n, at, nearest(text, valid), "%s must be %s%s, not %q", last(at), one, strings.Join(valid, ", "), text)
	}
	if r.has("label") {
		d.labelRule(n, text, at, r)
	}
	if r.has("path") {
		d.exists(n, text, at)
	}
	if r.has("abs") && !path.IsAbs(text) {
		d.fail(n, at, "/"+text, "%s must be an absolute path in the container, not %q", last(at), text)
	}
	if name := strings.TrimPrefix(text, "SIG"); r.has("signal") && !slices.Contains(signals, name) {
		d.fail(n, at, nearest(name, signals), "%s: there is no signal %q", last(at), text)
	}
	if r.has("words") && !word.MatchString(text) {
		d.fail(n, at, "", "%s must say why in words, not %q", last(at), text)
	}
	if r.has("image") {
		if _, err := reference.ParseNormalizedNamed(text); err != nil {
			d.fail(n, at, "", "%s: %q is no image reference: %s", last(at), text, err)
		}
	}
	if r.has("url") {
		if u, err := url.Parse(text); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			d.fail(n, at, "", "%s must be an address such as https://mirror.example.com, not %q", last(at), text)
		}
	}
	return len(d.problems) == before
}

func (d *decoder) labelRule(n *node, text, at string, r rules) {
	longest := 63
	if limit, ok := r.number("maxlen"); ok {
		longest = limit
	}
	switch {
	case !label.MatchString(text):
		guess := strings.Trim(notInLabel.ReplaceAllString(strings.ToLower(text), "-"), "-")
		if len(guess) > longest {
			guess = ""
		}
		d.fail(n, at, guess, "%q is not a valid name: lower-case letters, digits and dashes, with a letter or digit at both ends", text)
	case len(text) > longest:
		d.fail(n, at, "", "%q is too long: at most %d characters", text, longest)
	}
}

// exists checks that a path is there; if not, it looks for a near name in its directory.
func (d *decoder) exists(n *node, text, at string) (os.FileInfo, bool) {
	full := resolve(d.dir, text)
	info, err := os.Stat(full)
	if err == nil {
		return info, true
	}
	if !os.IsNotExist(err) {
		d.fail(n, at, "", "%s: %s", last(at), err)
		return nil, false
	}
	d.fail(n, at, d.neighbour(text), "%s: %s does not exist", last(at), text)
	return nil, false
}

// neighbour is the path of a file whose name is near to that of text, in the same directory.
func (d *decoder) neighbour(text string) string {
	entries, err := os.ReadDir(filepath.Dir(resolve(d.dir, text)))
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	guess := nearest(path.Base(filepath.ToSlash(text)), names)
	if guess == "" {
		return ""
	}
	return path.Join(path.Dir(filepath.ToSlash(text)), guess)
}

// resolve is a path of the file as the operating system takes it.
func resolve(dir, text string) string {
	if filepath.IsAbs(text) {
		return filepath.Clean(text)
	}
	return filepath.Join(dir, filepath.FromSlash(text))
}

// structRules checks what a mapping as a whole must have.
func (d *decoder) structRules(n *node, t reflect.Type, at string) {
	for i := range t.NumField() {
		f := t.Field(i)
		r := rulesOf(f)
		if name := f.Tag.Get("yaml"); r.has("required") && name != "-" && !given(n, name) {
			k, _ := get(n, name)
			if k == nil {
				k = n
			}
			d.lacks(k, join(at, name), "%s lacks %s", orFile(at), name)
		}
		if names := r.choices("exactlyone"); names != nil {
			if there := present(n, names); len(there) == 0 {
				d.lacks(n, at, "%s needs one of %s", orFile(at), strings.Join(names, ", "))
			} else if len(there) > 1 {
				k, _ := get(n, there[1])
				d.fail(k, at, "", "%s has %s; only one of %s can be used", orFile(at), strings.Join(there, " and "), strings.Join(names, ", "))
			}
		}
		if names := r.choices("atleastone"); names != nil && len(present(n, names)) == 0 {
			d.lacks(n, at, "%s needs at least one of %s", orFile(at), strings.Join(names, ", "))
		}
	}
}

// lacks is fail for something that should be there and is not.
func (d *decoder) lacks(n *node, path, format string, args ...any) {
	d.fail(n, path, "", format, args...)
	d.problems[len(d.problems)-1].absent = true
}

func given(n *node, key string) bool {
	_, v := get(n, key)
	return v != nil && !isNull(v)
}

func present(n *node, keys []string) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return !given(n, k) })
}

func orFile(at string) string {
	if at == "" {
		return "the file"
	}
	return at
}

func isNull(n *node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// describe is what a wrong value is, for a message.
func describe(n *node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	case n.Tag == "!!int" || n.Tag == "!!float":
		return "the number " + n.Value
	case n.Tag == "!!str":
		return fmt.Sprintf("the text %q", n.Value)
	}
	return n.Value
}

// last is the name of the value at a path in its surroundings: context for services.grades.build.context, deploy for deploy[0],
// docker.io for registryMirrors["docker.io"][0].
func last(at string) string {
	if at == "" {
		return "the file"
	}
	for numbered.MatchString(at) {
		at = parent(at)
	}
	rest := at[len(parent(at)):]
	if quoted, ok := strings.CutPrefix(rest, "["); ok {
		if name, err := strconv.Unquote(strings.TrimSuffix(quoted, "]")); err == nil {
			return name
		}
	}
	return strings.TrimPrefix(rest, ".")
}

var numbered = regexp.MustCompile(`\[[0-9]+\]$`)

// join is the path of the value of key; a key that would be taken for more than one name is quoted.
func join(at, key string) string {
	if key == "" || strings.ContainsAny(key, `.[]" `) {
		return at + "[" + strconv.Quote(key) + "]"
	}
	if at == "" {
		return key
	}
	return at + "." + key
}

// parent is the path of the value around the one at path.
func parent(at string) string {
	if i := strings.LastIndex(at, `["`); i >= 0 && strings.HasSuffix(at, `"]`) {
		return at[:i]
	}
	return at[:max(0, strings.LastIndexByte(at, '.'), strings.LastIndexByte(at, '['))]
}

// keys are the keys of a mapping that t is decoded from, in the order of the schema.
func keys(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

func fieldFor(t reflect.Type, key string) (reflect.StructField, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("yaml") == key && key != "-" && key != "" {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// keyField is the field that takes the mapping key, for a struct that has one.
func keyField(t reflect.Type) (reflect.StructField, bool) {
	if t.Kind() == reflect.Struct {
		for i := range t.NumField() {
			if f := t.Field(i); f.Tag.Get("key") != "" {
				return f, true
			}
		}
	}
	return reflect.StructField{}, false
}
