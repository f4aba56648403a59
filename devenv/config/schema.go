package config

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Schema is the JSON Schema (draft 2020-12) of devenv.yaml for editors, made from the types of types.go and their comments. It
// says what can be said without reading other files, so Load is stricter; only a key without a value, which Load takes for a key left
// out, is marked outside of profiles.
func Schema() []byte {
	g := generator{docs: docs(), defs: map[string]object{}}
	root := object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", FileName},
		{"description", g.docs["Config"]},
	}
	root = append(root, g.structure(reflect.TypeFor[Config](), false)...)
	defs := object{}
	for _, name := range slices.Sorted(maps.Keys(g.defs)) {
		defs = append(defs, member{name, g.defs[name]})
	}
	root = append(root, member{"$defs", defs})
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(root); err != nil {
		panic(err) // nothing but texts, numbers and lists
	}
	return b.Bytes()
}

// object is a JSON object that keeps its order.
type object []member

type member struct {
	key   string
	value any
}

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := encoder.Encode(m.key); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := encoder.Encode(m.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// generator turns types into schemas.
type generator struct {
	docs map[string]string // comments by Type and Type.Field
	defs map[string]object
}

// structure is the schema of a mapping. In a partial one, as profiles have it, nothing is required.
func (g generator) structure(t reflect.Type, partial bool) object {
	properties, required := object{}, []string{}
	s := object{{"type", "object"}, {"additionalProperties", false}}
	for i := range t.NumField() {
		f := t.Field(i)
		name, r := f.Tag.Get("yaml"), rulesOf(f)
		if name == "" || name == "-" {
			if names := r.choices("exactlyone"); names != nil && !partial {
				s = append(s, member{"oneOf", each(names)})
			}
			if names := r.choices("atleastone"); names != nil && !partial {
				s = append(s, member{"anyOf", each(names)})
			}
			continue
		}
		if partial && t == reflect.TypeFor[Config]() && slices.Contains(fixed, name) {
			continue
		}
		property := object{}
		if doc := g.docs[t.Name()+"."+f.Name]; doc != "" {
			property = append(property, member{"description", strings.Replace(doc, f.Name, name, 1)})
		}
		value := g.value(f.Type, r, partial)
		if partial {
			value = orNull(value)
		}
		properties = append(properties, member{name, append(property, value...)})
		if r.has("required") && !partial {
			required = append(required, name)
		}
	}
	s = append(s, member{"properties", properties})
	if len(required) > 0 {
		s = append(s, member{"required", required})
	}
	return s
}

// orNull also takes null, with which a profile goes back to a default.
func orNull(s object) object {
	if s[0].key == "$ref" {
		return object{{"anyOf", []object{s, {{"type", "null"}}}}}
	}
	s = slices.Clone(s)
	for i, m := range s {
		switch value := m.value.(type) {
		case string:
			if m.key == "type" {
				s[i].value = []string{value, "null"}
			}
		case []string:
			if m.key == "type" && !slices.Contains(value, "null") {
				s[i].value = append(slices.Clone(value), "null")
			}
			if m.key == "enum" {
				list := []any{nil}
				for _, v := range value {
					list = append(list, v)
				}
				s[i].value = list
			}
		}
	}
	return s
}

func each(keys []string) []object {
	list := make([]object, len(keys))
	for i, k := range keys {
		list[i] = object{{"required", []string{k}}}
	}
	return list
}

// value is the schema of a value with its rules.
func (g generator) value(t reflect.Type, r rules, partial bool) object {
	switch {
	case t == durationType:
		return object{{"type", "string"}, {"pattern", durationPattern}}
	case t == reflect.TypeFor[Forward]():
		return object{{"type", []string{"string", "integer"}}, {"pattern", forwardPattern}}
	case isText(t):
		return object{{"type", "string"}, {"minLength", 1}}
	}
	switch t.Kind() {
	case reflect.String:
		return textSchema(r)
	case reflect.Int:
		s := object{{"type", "integer"}}
		if n, ok := r.number("min"); ok {
			s = append(s, member{"minimum", n})
		}
		if n, ok := r.number("max"); ok {
			s = append(s, member{"maximum", n})
		}
		return s
	case reflect.Interface:
		if r.has("scalar") {
			return object{{"type", []string{"string", "number", "boolean", "null"}}}
		}
		return object{{"type", []string{"object", "array"}}}
	case reflect.Pointer:
		return g.value(t.Elem(), r, partial)
	case reflect.Struct:
		return object{{"$ref", g.ref(t, partial)}}
	case reflect.Map:
		element := object{{"type", []string{"string", "number", "boolean"}}}
		if t.Elem().Kind() != reflect.String {
			element = g.value(t.Elem(), r, partial)
		}
		return object{{"type", "object"}, {"additionalProperties", element}}
	}
	return g.slice(t.Elem(), r, partial)
}

func (g generator) slice(element reflect.Type, r rules, partial bool) object {
	if _, keyed := keyField(element); !keyed {
		// "required" is about the list; its elements have the other rules.
		return object{{"type", "array"}, {"items", g.value(element, slices.DeleteFunc(slices.Clone(r), func(w string) bool { return w == "required" }), partial)}}
	}
	item := object{{"$ref", g.ref(element, partial)}}
	if element == reflect.TypeFor[Profile]() {
		item = orNull(object{{"$ref", g.ref(reflect.TypeFor[Config](), true)}})
	}
	return object{{"type", "object"}, {"propertyNames", textSchema(r)}, {"additionalProperties", item}}
}

// ref makes a definition of a struct, once, and refers to it.
func (g generator) ref(t reflect.Type, partial bool) string {
	name := t.Name()
	if partial {
		name = "Partial" + name
	}
	if _, ok := g.defs[name]; !ok {
		g.defs[name] = nil // a type may hold itself
		g.defs[name] = append(object{{"description", g.docs[t.Name()]}}, g.structure(t, partial)...)
	}
	return "#/$defs/" + name
}

func textSchema(r rules) object {
	s := object{{"type", "string"}}
	if valid := r.choices("enum"); valid != nil {
		s = append(s, member{"enum", valid})
	}
	if r.has("label") {
		longest, ok := r.number("maxlen")
		if !ok {
			longest = 63
		}
		s = append(s, member{"pattern", labelPattern}, member{"maxLength", longest})
	} else if r.has("required") {
		s = append(s, member{"minLength", 1})
	}
	if r.has("abs") {
		s = append(s, member{"pattern", "^/"})
	}
	if r.has("url") {
		s = append(s, member{"pattern", "^https?://"})
	}
	if r.has("signal") {
		s = append(s, member{"pattern", "^(SIG)?(" + strings.Join(signals, "|") + ")$"})
	}
	return s
}

// durationPattern is what time.ParseDuration takes, without a sign.
const durationPattern = `^([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$`

//go:embed types.go
var typesSource []byte

// docs are the comments of types.go by Type and Type.Field, on one line.
func docs() map[string]string {
	file, err := parser.ParseFile(token.NewFileSet(), "types.go", typesSource, parser.ParseComments)
	if err != nil {
		panic(err) // it compiled
	}
	found := map[string]string{}
	for _, d := range file.Decls {
		declaration, ok := d.(*ast.GenDecl)
		if !ok || declaration.Tok != token.TYPE {
			continue
		}
		for _, spec := range declaration.Specs {
			t := spec.(*ast.TypeSpec)
			found[t.Name.Name] = oneLine(declaration.Doc)
			if s, ok := t.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					for _, name := range f.Names {
						found[t.Name.Name+"."+name.Name] = oneLine(f.Doc)
					}
				}
			}
		}
	}
	return found
}

func oneLine(comment *ast.CommentGroup) string {
	return strings.Join(strings.Fields(comment.Text()), " ")
}
