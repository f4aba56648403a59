package config

import (
	"cmp"
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// decoder fills the types of types.go from a tree and notes every problem on the way: a wrong value leaves its field at zero
// and decoding goes on.
type decoder struct {
	file     string // the first one, for what stands nowhere
	dir      string // that paths are relative to
	problems []Problem
	at       map[string]Pos
}

func (d *decoder) fail(n *node, path, suggestion, format string, args ...any) {
	d.failAt(n.Pos, path, suggestion, format, args...)
}

func (d *decoder) failAt(pos Pos, path, suggestion, format string, args ...any) {
	d.problems = append(d.problems, Problem{
		File: cmp.Or(pos.File, d.file), Line: max(pos.Line, 1), Column: max(pos.Column, 1),
		Path: path, Message: fmt.Sprintf(format, args...), Suggestion: suggestion,
	})
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	posType      = reflect.TypeFor[Pos]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// isText says whether values of t are written as text that t reads itself.
func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// value decodes n into v. Null leaves v as it is, so that a key without a value is a key left out.
func (d *decoder) value(n *node, v reflect.Value, path string, r rules) {
	d.at[path] = n.Pos
	if isNull(n) {
		return
	}
	switch t := v.Type(); {
	case t == durationType:
		d.duration(n, v, path)
	case isText(t):
		if n.Kind != yaml.ScalarNode { // a number will do: forward: [8080]
			d.fail(n, path, "", "%s must be text, not %s", last(path), describe(n))
		} else if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)); err != nil {
			d.fail(n, path, "", "%s: %s", last(path), err)
		}
	default:
		d.kind(n, v, path, r)
	}
}

func (d *decoder) kind(n *node, v reflect.Value, path string, r rules) {
	switch v.Kind() {
	case reflect.String:
		if text, ok := d.text(n, path); ok && d.textRules(n, text, path, r) {
			v.SetString(text)
		}
	case reflect.Int:
		d.number(n, v, path, r)
	case reflect.Interface:
		d.anything(n, v, path, r)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path, r)
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Map:
		d.mapping(n, v, path, r)
	case reflect.Slice:
		if _, keyed := keyField(v.Type().Elem()); keyed {
			d.keyed(n, v, path, r)
			return
		}
		d.list(n, v, path, r)
	default:
		panic("config: the schema has a field of type " + v.Type().String())
	}
}

// text is n as text; any other type is a problem.
func (d *decoder) text(n *node, path string) (string, bool) {
	if n.Kind == yaml.ScalarNode {
		switch n.Tag {
		case "!!str", "!!timestamp":
			return n.Value, true
		case "!!int", "!!float", "!!bool":
			d.fail(n, path, "", "%s must be text, not %s; put it in quotes", last(path), describe(n))
			return "", false
		}
	}
	d.fail(n, path, "", "%s must be text, not %s", last(path), describe(n))
	return "", false
}

func (d *decoder) duration(n *node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode {
		d.fail(n, path, "", "%s must be a duration such as 90s or 2m, not %s", last(path), describe(n))
		return
	}
	duration, err := time.ParseDuration(n.Value)
	switch {
	case err != nil && n.Tag == "!!int":
		d.fail(n, path, n.Value+"s", "%s must be a duration such as 90s or 2m; %s has no unit", last(path), n.Value)
	case err != nil:
		d.fail(n, path, "", "%s must be a duration such as 90s or 2m, not %q", last(path), n.Value)
	case duration < 0:
		d.fail(n, path, "", "%s must not be negative", last(path))
	default:
		v.SetInt(int64(duration))
	}
}

func (d *decoder) number(n *node, v reflect.Value, path string, r rules) {
	var number int
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || n.decode(&number) != nil {
		d.fail(n, path, "", "%s must be a whole number, not %s", last(path), describe(n))
		return
	}
	if lowest, ok := r.number("min"); ok && number < lowest {
		d.fail(n, path, "", "%s must be at least %d, not %d", last(path), lowest, number)
		return
	}
	if highest, ok := r.number("max"); ok && number > highest {
		d.fail(n, path, "", "%s must be at most %d, not %d", last(path), highest, number)
		return
	}
	v.SetInt(int64(number))
}

// anything decodes into the types of JSON: map[string]any, []any, string, bool, int, float64, nil.
func (d *decoder) anything(n *node, v reflect.Value, path string, r rules) {
	if r.has("scalar") && n.Kind != yaml.ScalarNode {
		d.fail(n, path, "", "%s must be a single value, not %s", last(path), describe(n))
		return
	}
	value, err := plainValue(n)
	if err != nil {
		d.fail(n, path, "", "%s: %s", last(path), err)
		return
	}
	if value != nil {
		v.Set(reflect.ValueOf(value))
	}
	d.places(n, path)
}

func plainValue(n *node) (any, error) {
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			value, err := plainValue(n.Content[i+1])
			if err != nil {
				return nil, err
			}
			m[n.Content[i].Value] = value
		}
		return m, nil
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			value, err := plainValue(item)
			if err != nil {
				return nil, err
			}
			list[i] = value
		}
		return list, nil
	}
	var value any
	switch n.Tag {
	case "!!str", "!!timestamp": // YAML would make a date of 2026-01-02, which JSON does not know
		return n.Value, nil
	case "!!int", "!!float", "!!bool", "!!null":
		err := n.decode(&value)
		return value, err
	}
	return nil, fmt.Errorf("values tagged %s have no meaning here", n.Tag)
}

func (d *decoder) structure(n *node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "", "%s must be a mapping with the keys %s, not %s", last(path), strings.Join(keys(v.Type()), ", "), describe(n))
		return
	}
	if pos := v.FieldByName("Pos"); pos.IsValid() && pos.Type() == posType {
		pos.Set(reflect.ValueOf(n.Pos))
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		field, ok := fieldFor(v.Type(), key.Value)
		if !ok {
			d.unknownKey(key, join(path, key.Value), keys(v.Type()))
			continue
		}
		at := join(path, key.Value)
		d.value(value, v.FieldByIndex(field.Index), at, rulesOf(field))
		if value.Kind != yaml.ScalarNode {
			d.at[at] = key.Pos // messages about the whole point at its name
		}
	}
	d.structRules(n, v.Type(), path)
}

func (d *decoder) unknownKey(key *node, path string, valid []string) {
	if guess := nearest(key.Value, valid); guess != "" {
		d.fail(key, path, guess, "unknown key %q", key.Value)
		return
	}
	d.fail(key, path, "", "unknown key %q; the keys here are %s", key.Value, strings.Join(valid, ", "))
}

func (d *decoder) mapping(n *node, v reflect.Value, path string, r rules) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "", "%s must be a mapping, not %s", last(path), describe(n))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := join(path, key.Value)
		if key.Value == "" {
			d.fail(key, at, "", "%s has an empty key", last(path))
			continue
		}
		element := reflect.New(v.Type().Elem()).Elem()
		if element.Kind() == reflect.String {
			// Arguments and labels are text, whatever they look like: 1.10 is not 1.1.
			d.at[at] = value.Pos
			if value.Kind != yaml.ScalarNode || isNull(value) {
				d.fail(value, at, "", "%s must be text, not %s", key.Value, describe(value))
				continue
			}
			element.SetString(value.Value)
		} else {
			d.value(value, element, at, r)
		}
		v.SetMapIndex(reflect.ValueOf(key.Value), element)
	}
}

// keyed decodes a mapping from names to structs into a list that keeps the order of the file.
func (d *decoder) keyed(n *node, v reflect.Value, path string, r rules) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "", "%s must be a mapping from names to settings, not %s", last(path), describe(n))
		return
	}
	name, _ := keyField(v.Type().Elem())
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := join(path, key.Value)
		element := reflect.New(v.Type().Elem()).Elem()
		element.FieldByIndex(name.Index).SetString(key.Value)
		if key.Value == "" {
			d.fail(key, at, "", "%s has an empty key", last(path))
			continue
		}
		d.textRules(key, key.Value, at, r)
		if isNull(value) { // grades: with nothing in it is a service that lacks everything
			value = &node{Kind: yaml.MappingNode, Pos: key.Pos}
		}
		d.value(value, element, at, nil)
		d.at[at] = key.Pos
		if pos := element.FieldByName("Pos"); pos.IsValid() {
			pos.Set(reflect.ValueOf(d.at[at]))
		}
		v.Set(reflect.Append(v, element))
	}
}

func (d *decoder) list(n *node, v reflect.Value, path string, r rules) {
	if n.Kind != yaml.SequenceNode {
		suggestion := ""
		if n.Kind == yaml.ScalarNode {
			suggestion = "[" + n.Value + "]"
		}
		d.fail(n, path, suggestion, "%s must be a list, not %s", last(path), describe(n))
		return
	}
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		// An entry that is wrong keeps its place, so that the paths of the others are right.
		element := reflect.New(v.Type().Elem()).Elem()
		if isNull(item) {
			d.fail(item, at, "", "%s has an empty entry", last(path))
		}
		d.value(item, element, at, r)
		v.Set(reflect.Append(v, element))
	}
}
