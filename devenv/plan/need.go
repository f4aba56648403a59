package plan

import (
	"cmp"
	"slices"
	"strings"
)

// byNeed orders the images of d by when a deployment from nothing first needs them: source after source, and in a source what hooks before it use, what
// its objects use, and what hooks after it use. Sources aside come after the others, because nothing waits for them, and images that nothing uses last.
//
// Building and loading begin in this order. The machine is busiest then, and what is brought first should be what most of the rest waits for.
func byNeed(d Desired) []Image {
	rank := map[string]int{}
	use := func(refs []string) {
		for _, ref := range refs {
			if _, known := rank[ref]; !known {
				rank[ref] = len(rank)
			}
		}
	}
	for _, aside := range []bool{false, true} {
		for _, s := range d.Sources {
			if s.Aside == aside {
				s.uses(use)
			}
		}
	}
	images := slices.Clone(d.Images)
	slices.SortStableFunc(images, func(x, y Image) int { return cmp.Compare(rankOf(rank, x), rankOf(rank, y)) })
	return images
}

func rankOf(rank map[string]int, i Image) int {
	if n, used := rank[i.Ref]; used {
		return n
	}
	return len(rank)
}

// uses tells the images of a source, in the order in which its deployment needs them.
func (s Source) uses(tell func(refs []string)) {
	hooks := func(when string) {
		for _, h := range s.due(func(event string) bool { return strings.HasPrefix(event, when) }) {
			tell(h.Images)
		}
	}
	hooks("pre-")
	for _, o := range s.Objects {
		tell(o.Images)
	}
	hooks("post-")
}
