package parity

import (
	"fmt"
	"slices"

	"github.com/distribution/reference"
)

// Compare finds out what differs between the first stage and the last, and which stage made each difference. There is at least
// one stage.
func Compare(stages []Stage, o Options) Report {
	t := &tracing{stages: stages, at: make([]map[string]*entry, len(stages)), again: index(o.Again), rendered: -1}
	for i, s := range stages {
		t.at[i] = index(s.Objects)
		if s.Rendered && o.Again != nil {
			t.rendered = i
		}
	}
	first, last := t.at[0], t.at[len(stages)-1]
	var r Report
	for _, key := range keysIn(stages[len(stages)-1].Objects) {
		r.Objects = append(r.Objects, t.compare(key, first[key], last[key]))
	}
	for _, key := range keysIn(stages[0].Objects) {
		if last[key] == nil {
			r.Objects = append(r.Objects, t.compare(key, first[key], nil))
		}
	}
	return r
}

// entry is an object with its normal value.
type entry struct {
	object Object
	value  map[string]any
	shape  shape
}

// tracing is the state of one Compare.
type tracing struct {
	stages   []Stage
	at       []map[string]*entry // each stage's objects by their keys
	again    map[string]*entry
	rendered int // the stage that again repeats; -1 for none
}

// keysIn names objects: the first hook of an identity by its key, the next ones by it and a number.
func keysIn(objects []Object) []string {
	keys := make([]string, len(objects))
	seen := map[string]int{}
	for i, o := range objects {
		keys[i] = o.key()
		if seen[o.key()]++; seen[o.key()] > 1 {
			keys[i] = fmt.Sprintf("%s #%d", o.key(), seen[o.key()])
		}
	}
	return keys
}

func index(objects []Object) map[string]*entry {
	keys := keysIn(objects)
	m := make(map[string]*entry, len(objects))
	for i, o := range objects {
		s := shapeOf(o.Value)
		value, _ := normal(o.Value, s).(map[string]any)
		m[keys[i]] = &entry{object: o, value: value, shape: s}
	}
	return m
}

// compare compares production's object with the one here; one of them may be nil.
func (t *tracing) compare(key string, old, here *entry) Result {
	switch {
	case old == nil:
		return Result{Object: here.object, State: Added, Changes: []Change{{Cause: t.cause(key, difference{new: true})}}}
	case here == nil:
		return Result{Object: old.object, State: Removed, Changes: []Change{{Cause: t.cause(key, difference{old: true})}}}
	}
	r := Result{Object: here.object, State: Same}
	for _, d := range differences(old.value, here.value, here.shape) {
		r.State = Changed
		r.Changes = append(r.Changes, Change{Path: d.path.String(), Old: d.old, New: d.new, Cause: t.cause(key, d)})
	}
	return r
}

// value is what stands at a difference's path at a stage; true for a whole object.
func (d difference) value(objects map[string]*entry, key string) any {
	e := objects[key]
	if e == nil {
		return nil
	}
	if len(d.path) == 0 {
		return true
	}
	return d.path.in(e.value)
}

// made says whether a step from one value to another made the difference: what was added was added by the step before which it was not
// there, whatever was changed in it later.
func (d difference) made(before, after any) bool {
	switch {
	case d.old == nil:
		return before == nil && after != nil
	case d.new == nil:
		return before != nil && after == nil
	}
	return (before == nil) != (after == nil) || !equal(before, after, d.shape)
}

// cause is the cause of the last stage that made the difference.
func (t *tracing) cause(key string, d difference) Cause {
	maker, holder := 0, 0
	for i := 1; i < len(t.stages); i++ {
		before, after := d.value(t.at[i-1], key), d.value(t.at[i], key)
		if d.made(before, after) {
			maker = i
		}
		if t.stages[i].Holds && (before == nil) != (after == nil) || t.stages[i].Holds && !equal(before, after, d.shape) {
			holder = i
		}
	}
	if holder > 0 && !(t.stages[maker].Cause.Class == Automatic && d.isSameRepository(t, key, holder)) {
		return t.stages[holder].Cause
	}
	if t.stages[maker].Rendered && t.rendered >= 0 {
		once, twice := d.value(t.at[t.rendered], key), d.value(t.again, key)
		if (once == nil) != (twice == nil) || !equal(once, twice, d.shape) {
			return unstable
		}
	}
	return t.stages[maker].Cause
}

// isSameRepository says that a stage changed an image's tag only: a build server sets it, and devenv replaces it in any case.
func (d difference) isSameRepository(t *tracing, key string, stage int) bool {
	if len(d.path) == 0 || !slices.Contains([]string{"image", "reference"}, d.path[len(d.path)-1].field) {
		return false
	}
	before, _ := d.value(t.at[stage-1], key).(string)
	after, _ := d.value(t.at[stage], key).(string)
	a, err1 := reference.ParseNormalizedNamed(before)
	b, err2 := reference.ParseNormalizedNamed(after)
	return err1 == nil && err2 == nil && a.Name() == b.Name()
}
