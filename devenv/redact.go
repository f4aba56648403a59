package devenv

import (
	"encoding/json"
	"errors"
	"reflect"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/secret"
)

// This file is the one place through which everything passes that devenv says: events on their way to a view and to the debug log,
// and the error of a command. What the redactor knows does not pass. (The debug log's lines are cleaned once more where they are
// written, because libraries write to it too.)

// clean passes events on without the values of secrets. What answers a question of the user stays as it is: what containers
// wrote, and what Render masks by itself.
func clean(secrets *secret.Redactor, to event.Sink) event.Sink {
	c := cleaner{secrets}
	return event.SinkFunc(func(e event.Event) {
		switch e.(type) {
		case event.LogLine, event.Rendered:
		default:
			if v, changed := c.value(reflect.ValueOf(e)); changed {
				e = v.Interface().(event.Event)
			}
		}
		to.Emit(e)
	})
}

// Conclude writes how a command ended into the debug log, and gives that as it may be shown: without the values of secrets.
func (p *Project) Conclude(o Outcome, err error) (Outcome, error) {
	o.Summary = p.secrets.Clean(o.Summary)
	err, _ = cleaner{p.secrets}.error(err)
	if err != nil {
		p.log.Error("failed", "error", err, "exitCode", fault.Of(err).ExitCode())
	} else {
		p.log.Info("done")
	}
	return o, err
}

// cleaner makes copies of values without what its redactor knows. What holds none of it is not copied.
type cleaner struct{ secrets *secret.Redactor }

var errorType = reflect.TypeFor[error]()

// value cleans every text that can be reached from v through exported fields, so that an event that is added later is cleaned too.
// Bytes are left alone unless they are JSON: an object that a plan carries is for the API server, and no view prints it.
func (c cleaner) value(v reflect.Value) (reflect.Value, bool) {
	switch v.Kind() {
	case reflect.String:
		return c.text(v)
	case reflect.Interface:
		if v.IsNil() {
			return v, false
		}
		if v.Type().Implements(errorType) {
			if err, changed := c.error(v.Interface().(error)); changed {
				return reflect.ValueOf(err), true
			}
			return v, false
		}
		if v.Elem().Type() == reflect.TypeFor[json.Number]() {
			return c.number(v)
		}
		return c.value(v.Elem())
	case reflect.Pointer:
		if v.IsNil() {
			return v, false
		}
		if inner, changed := c.value(v.Elem()); changed {
			p := reflect.New(v.Type().Elem())
			p.Elem().Set(inner)
			return p, true
		}
	case reflect.Struct:
		return c.fields(v)
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			return c.json(v)
		}
		if v.Type().Elem().Kind() != reflect.Uint8 {
			return c.items(v)
		}
	case reflect.Map:
		return c.entries(v)
	}
	return v, false
}

func (c cleaner) text(v reflect.Value) (reflect.Value, bool) {
	cleaned := c.secrets.Clean(v.String())
	if cleaned == v.String() {
		return v, false
	}
	return reflect.ValueOf(cleaned).Convert(v.Type()), true
}

// number cleans a json.Number that stands where any value may: a number that is a secret becomes a string, because *** is no number.
func (c cleaner) number(v reflect.Value) (reflect.Value, bool) {
	text := v.Elem().String()
	cleaned := c.secrets.Clean(text)
	if cleaned == text {
		return v, false
	}
	return reflect.ValueOf(cleaned), true
}

// json cleans a JSON text, which stays one: a number that is a secret becomes a string.
func (c cleaner) json(v reflect.Value) (reflect.Value, bool) {
	text := string(v.Bytes())
	cleaned := []byte(c.secrets.Clean(text))
	if string(cleaned) == text {
		return v, false
	}
	if !json.Valid(cleaned) {
		cleaned, _ = json.Marshal(string(cleaned)) // a string always can be
	}
	return reflect.ValueOf(json.RawMessage(cleaned)), true
}

func (c cleaner) fields(v reflect.Value) (reflect.Value, bool) {
	changed := false
	for i := range v.NumField() {
		if !v.Type().Field(i).IsExported() {
			continue
		}
		if f, dirty := c.value(v.Field(i)); dirty {
			if !changed {
				whole := reflect.New(v.Type()).Elem()
				whole.Set(v)
				v, changed = whole, true
			}
			v.Field(i).Set(f)
		}
	}
	return v, changed
}

func (c cleaner) items(v reflect.Value) (reflect.Value, bool) {
	changed := false
	for i := range v.Len() {
		if item, dirty := c.value(v.Index(i)); dirty {
			if !changed {
				whole := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
				reflect.Copy(whole, v)
				v, changed = whole, true
			}
			v.Index(i).Set(item)
		}
	}
	return v, changed
}

func (c cleaner) entries(v reflect.Value) (reflect.Value, bool) {
	whole, changed := reflect.MakeMapWithSize(v.Type(), v.Len()), false
	for entries := v.MapRange(); entries.Next(); {
		key, dirtyKey := c.value(entries.Key())
		item, dirty := c.value(entries.Value())
		changed = changed || dirtyKey || dirty
		whole.SetMapIndex(key, item)
	}
	if !changed {
		return v, false
	}
	return whole, true
}

// error cleans an error and what it wraps: each error that it joins, every part of a fault.Error, and the words of all others.
// The result is still found by errors.As as the fault.Error that it was, and by errors.Is.
func (c cleaner) error(err error) (error, bool) {
	if err == nil {
		return nil, false
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all, changed := make([]error, 0, len(joined.Unwrap())), false
		for _, e := range joined.Unwrap() {
			cleaned, dirty := c.error(e)
			all, changed = append(all, cleaned), changed || dirty
		}
		if !changed {
			return err, false
		}
		return errors.Join(all...), true
	}
	inner, changed := c.error(errors.Unwrap(err))
	if f, ok := err.(*fault.Error); ok { //nolint:errorlint // this one, not one that it wraps
		cleaned := *f
		cleaned.Err = inner
		for _, part := range []*string{&cleaned.What, &cleaned.Where, &cleaned.Detail, &cleaned.Next} {
			text := c.secrets.Clean(*part)
			*part, changed = text, changed || text != *part
		}
		if !changed {
			return err, false
		}
		return &cleaned, true
	}
	words := c.secrets.Clean(err.Error())
	if !changed && words == err.Error() {
		return err, false
	}
	return &cleanError{words: words, inner: inner, original: err}, true
}

// cleanError is an error whose words held a secret.
type cleanError struct {
	words    string
	inner    error
	original error
}

func (e *cleanError) Error() string { return e.words }
func (e *cleanError) Unwrap() error { return e.inner }

// Is finds what the error was before it was cleaned.
func (e *cleanError) Is(target error) bool { return errors.Is(e.original, target) }
