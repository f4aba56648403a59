package render

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// Divergence is a patch of objects that exists only here.
type Divergence struct {
	Target Target
	// Patch has the types of JSON. A mapping is a strategic merge patch, or for an object of a custom kind a JSON merge patch
	// (RFC 7386); {"$patch": "delete"} removes the object. A list holds the operations of a JSON patch (RFC 6902).
	Patch  any
	Reason string
	// TargetPos and PatchPos are where the two are declared ("devenv.yaml:52:5"), for errors.
	TargetPos, PatchPos string
}

// Target selects objects and hooks; what is empty matches everything. Namespaces are those that the objects are placed in.
// Add-ons are not selected: production does not declare them.
type Target struct {
	Kind, Name, Namespace string
	Labels                map[string]string // all of them
}

// diverge applies the divergences in their order and calls after each of them. It stops at the first one that has a fault,
// because the next may build on it.
func (r *rendering) diverge(after func() error) error {
	for i := range r.in.Divergences {
		if err := r.divergence(&r.in.Divergences[i]); err != nil {
			r.learnPatch(&r.in.Divergences[i])
			return err
		}
		if err := after(); err != nil {
			return err
		}
	}
	// A patch may have made an ordinary object of a hook.
	return r.refuseDuplicates()
}

// divergence patches every object that the divergence selects. A target without an object and a patch without a change
// are faults: both say that the divergence is not what its author believes it to be.
func (r *rendering) divergence(d *Divergence) error {
	var matched []string
	changed := false
	kept := make([]*draft, 0, len(r.drafts))
	for _, object := range r.drafts {
		if len(r.in.Sources[object.source].Raw) > 0 || !d.Target.selects(object) {
			kept = append(kept, object)
			continue
		}
		matched = append(matched, object.id.String())
		if patch, ok := d.Patch.(map[string]any); ok && patch["$patch"] == "delete" {
			changed = true
			continue
		}
		different, err := object.patch(d)
		if err != nil {
			return err
		}
		changed = changed || different
		kept = append(kept, object)
	}
	switch {
	case len(matched) == 0:
		return config(d.TargetPos, fmt.Sprintf("the target of the divergence %q matches no object: %s", d.Reason, d.Target), nil, r.nearestTo(d.Target))
	case !changed:
		return config(d.PatchPos, fmt.Sprintf("the patch of the divergence %q changes nothing in %s", d.Reason, counted(matched)), nil,
			"It is as the patch has it already. Remove the divergence, or correct its patch.")
	}
	r.drafts = kept
	return nil
}

// counted names a few things and counts the others.
func counted(names []string) string {
	const few = 3
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}

// patch changes the object in place, and says whether it did.
func (d *draft) patch(by *Divergence) (changed bool, err error) {
	fail := func(err error, next string) error {
		return config(by.PatchPos, fmt.Sprintf("the patch of the divergence %q does not fit %s of %s", by.Reason, d.id, d.origin), err, next)
	}
	before, err := canonicalJSON(d.object)
	if err != nil {
		return false, fmt.Errorf("encoding %s of %s: %w", d.id, d.origin, err)
	}
	after, err := patched(before, by.Patch)
	if err != nil {
		return false, fail(err, "`devenv render` without the divergence shows what there is to patch.")
	}
	value, err := object(after)
	if err == nil && value == nil {
		err = errors.New("nothing is left of the object")
	}
	if err != nil {
		return false, fail(err, "To remove an object, use {$patch: delete}.")
	}
	if id, err := identify(value); err != nil {
		return false, fail(err, "To remove an object, use {$patch: delete}.")
	} else if id != d.id {
		return false, fail(fmt.Errorf("it makes it %s", id), "A patch cannot change the kind, name or namespace of an object.")
	}
	if err := checkStrings(value); err != nil {
		return false, fail(err, "Put the value in quotes.")
	}
	if err := newMistakes(before, after); err != nil {
		return false, fail(err, "Correct the patch: the cluster would refuse the object.")
	}
	if d.chart {
		var unknown string
		if d.hook, unknown = hookOf(value); unknown != "" {
			return false, fail(fmt.Errorf("there is no hook %s", unknown), "Use a hook that Helm knows.")
		}
	}
	d.object = value
	now, err := canonicalJSON(value)
	return !bytes.Equal(before, now), err
}

// selects says whether the target matches an object.
func (t Target) selects(d *draft) bool {
	if t.Kind != "" && t.Kind != d.id.Kind || t.Name != "" && t.Name != d.id.Name || t.Namespace != "" && t.Namespace != d.id.Namespace {
		return false
	}
	labels := d.labels()
	for key, value := range t.Labels {
		if has, ok := labels[key].(string); !ok || has != value {
			return false
		}
	}
	return true
}

func (d *draft) labels() map[string]any {
	metadata, _ := d.object["metadata"].(map[string]any)
	labels, _ := metadata["labels"].(map[string]any)
	return labels
}

// String is the target as its author wrote it: kind Deployment, name grades, label app=grades.
func (t Target) String() string {
	var parts []string
	for _, p := range []struct{ name, value string }{{"kind", t.Kind}, {"name", t.Name}, {"namespace", t.Namespace}} {
		if p.value != "" {
			parts = append(parts, p.name+" "+p.value)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(t.Labels)) {
		parts = append(parts, "label "+key+"="+t.Labels[key])
	}
	return strings.Join(parts, ", ")
}

// nearestTo says which object comes nearest to a target that matches none.
func (r *rendering) nearestTo(t Target) string {
	var best *draft
	least := 0
	for _, d := range r.drafts {
		if len(r.in.Sources[d.source].Raw) > 0 {
			continue
		}
		if distance := t.distance(d); best == nil || distance < least {
			best, least = d, distance
		}
	}
	if best == nil {
		return "There is no object to patch: no source declares any."
	}
	text := best.id.String()
	if len(t.Labels) > 0 {
		var labels []string
		for _, key := range slices.Sorted(maps.Keys(best.labels())) {
			labels = append(labels, fmt.Sprintf("%s=%v", key, best.labels()[key]))
		}
		text += " with " + cmp.Or("labels "+strings.Join(labels, ", "), "no labels")
	}
	return fmt.Sprintf("The nearest object is %s. `devenv render` shows them all.", text)
}

// distance counts the letters by which an object misses a target. What differs altogether counts twice, so that one exact match
// is better than two half ones.
func (t Target) distance(d *draft) int {
	sum := 0
	add := func(want, is string) {
		if want == "" || want == is {
			return
		}
		n := levenshtein.Distance(strings.ToLower(want), strings.ToLower(is), nil)
		if n > len(want)/2 {
			n *= 2
		}
		sum += 1 + n
	}
	add(t.Kind, d.id.Kind)
	add(t.Name, d.id.Name)
	add(t.Namespace, d.id.Namespace)
	labels := d.labels()
	for key, want := range t.Labels {
		is, _ := labels[key].(string)
		add(want, is)
	}
	return sum
}
