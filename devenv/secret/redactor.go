package secret

import (
	"io"
	"sync"
)

// Redactor takes values that it was told out of texts. The zero value knows none; nil never knows any. It is safe for concurrent use, and
// texts that are cleaned after a value was added never hold it.
//
// A value is hidden wherever it stands, also inside words, also in the ways in which it is usually written down (forms.go). These
// values are left alone, because hiding them would hide half of every message and protect nothing: those shorter than six bytes,
// ordinary words such as true, postgres or password, and the names that the caller allows, also where a value is only part of such a
// name.
type Redactor struct {
	mu      sync.Mutex
	values  map[string]bool
	allowed map[string]bool
	hider   *hider // nil after something was added
}

// String keeps the values out of messages.
func (r *Redactor) String() string { return "a redactor" }

// GoString keeps the values out of %#v.
func (r *Redactor) GoString() string { return r.String() }

// Add hides values from now on.
func (r *Redactor) Add(values ...[]byte) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range values {
		for _, form := range forms(string(v)) {
			if !r.values[form] {
				if r.values == nil {
					r.values = map[string]bool{}
				}
				r.values[form], r.hider = true, nil
			}
		}
	}
}

// AddObject hides the values of a decoded object, if it is a Secret.
func (r *Redactor) AddObject(object map[string]any) { r.Add(Values(object)...) }

// AddJSON is AddObject for an object as JSON. What cannot be decoded has no values.
func (r *Redactor) AddJSON(object []byte) {
	if decoded, err := decode(object); err == nil {
		r.AddObject(decoded)
	}
}

// Allow has names stay, whatever Secret has them, or a part of them, as a value too: a Secret often holds the name of a database or the host to
// find it at, beside its password.
func (r *Redactor) Allow(names ...string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		if !r.allowed[name] {
			if r.allowed == nil {
				r.allowed = map[string]bool{}
			}
			r.allowed[name], r.hider = true, nil
		}
	}
}

// Clean is a text without the values.
func (r *Redactor) Clean(text string) string {
	if r == nil || len(text) < shortest {
		return text
	}
	return r.ready().clean(text)
}

// ready is what hides what is known now.
func (r *Redactor) ready() *hider {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hider == nil {
		r.hider = newHider(r.values, r.allowed)
	}
	return r.hider
}

// Writer passes on to w what is written, without the values. Each Write has to be a whole text, such as a line of a log.
func (r *Redactor) Writer(w io.Writer) io.Writer { return &writer{r, w} }

type writer struct {
	redactor *Redactor
	to       io.Writer
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.to, w.redactor.Clean(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}
