package watch

import (
	"slices"
	"strings"
)

// news are the changes of a root that nobody was told of yet.
type news struct {
	paths  map[string]struct{}
	rescan bool
}

// manyPaths is the number of paths from which a batch says "everything" instead: reading the whole root is cheaper then, and a
// receiver that does not come back costs no memory.
const manyPaths = 20_000

func (n *news) add(path string) {
	if n.paths == nil {
		n.paths = map[string]struct{}{}
	}
	if _, known := n.paths[path]; !known && len(n.paths) >= manyPaths {
		n.rescan = true
		n.paths = map[string]struct{}{".": {}}
	}
	n.paths[path] = struct{}{}
}

// move adds the news of other, which has none afterwards.
func (n *news) move(other *news) {
	for path := range other.paths {
		n.add(path)
	}
	n.rescan = n.rescan || other.rescan
	*other = news{}
}

// change is the news of a root as they are told; nil if there are none.
func (n *news) change(root string) *Change {
	if len(n.paths) == 0 && !n.rescan {
		return nil
	}
	c := &Change{Root: root, Rescan: n.rescan}
	for path := range n.paths {
		if !n.above(path) {
			c.Paths = append(c.Paths, path)
		}
	}
	slices.Sort(c.Paths)
	return c
}

// above says whether a directory above path is among the news, which says all that path says.
func (n *news) above(path string) bool {
	if _, all := n.paths["."]; all && path != "." {
		return true
	}
	for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		if _, ok := n.paths[path[:i]]; ok {
			return true
		}
	}
	return false
}
