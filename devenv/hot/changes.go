package hot

import (
	"cmp"
	"slices"

	"github.com/devenv-run/devenv/devenv/digest"
)

// Change is a path of a build context that is not as it was.
type Change struct {
	Path   string
	Before *digest.Entry // nil: it was not there
	After  *digest.Entry // nil: it is not there any more
}

// String is the change as a lower-case phrase: "src/index.php changed".
func (c Change) String() string {
	switch {
	case c.Before == nil:
		return c.Path + " added"
	case c.After == nil:
		return c.Path + " removed"
	}
	return c.Path + " changed"
}

// Changes lists what differs between two readings of a context, by path.
func Changes(before, after digest.Manifest) []Change {
	var changes []Change
	for i, j := 0, 0; i < len(before) || j < len(after); {
		order := 0
		switch {
		case i == len(before):
			order = 1
		case j == len(after):
			order = -1
		default:
			order = cmp.Compare(before[i].Path, after[j].Path)
		}
		switch {
		case order < 0:
			changes = append(changes, Change{Path: before[i].Path, Before: &before[i]})
			i++
		case order > 0:
			changes = append(changes, Change{Path: after[j].Path, After: &after[j]})
			j++
		default:
			if !same(&before[i], &after[j]) {
				changes = append(changes, Change{Path: after[j].Path, Before: &before[i], After: &after[j]})
			}
			i++
			j++
		}
	}
	return changes
}

// same says whether two entries are the same to a build.
func same(a, b *digest.Entry) bool {
	return a.Kind == b.Kind && a.Mode == b.Mode && a.Link == b.Link && a.Hash == b.Hash
}

// Find is the entry at a path; nil if there is none.
func Find(m digest.Manifest, path string) *digest.Entry {
	i, found := slices.BinarySearchFunc(m, path, func(e digest.Entry, path string) int { return cmp.Compare(e.Path, path) })
	if !found {
		return nil
	}
	return &m[i]
}

// without is m with the paths of these changes as they were before.
func without(m digest.Manifest, undone []Change) digest.Manifest {
	if len(undone) == 0 {
		return m
	}
	paths := make(map[string]bool, len(undone))
	var back digest.Manifest
	for _, c := range undone {
		paths[c.Path] = true
		if c.Before != nil {
			back = append(back, *c.Before)
		}
	}
	for _, e := range m {
		if !paths[e.Path] {
			back = append(back, e)
		}
	}
	slices.SortFunc(back, func(a, b digest.Entry) int { return cmp.Compare(a.Path, b.Path) })
	return back
}
