package secret

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Shown in the place of a value.
const hidden = "***"

// hider hides a fixed set of values. Nothing changes it, so many may use it at once.
type hider struct {
	values   []string // without those that are allowed, the longest first
	names    []string // the allowed names that hold one of the values
	replacer *strings.Replacer
}

func newHider(values, allowed map[string]bool) *hider {
	h := &hider{}
	// Longest first: where one value begins with another, the replacer takes the one that it was given first.
	sorted := slices.SortedFunc(maps.Keys(values), func(a, b string) int {
		return cmp.Or(len(b)-len(a), strings.Compare(a, b))
	})
	var pairs []string
	for _, v := range sorted {
		if !allowed[v] {
			h.values = append(h.values, v)
			pairs = append(pairs, v, hidden)
		}
	}
	h.replacer = strings.NewReplacer(pairs...)
	for name := range allowed {
		if h.replacer.Replace(name) != name {
			h.names = append(h.names, name)
		}
	}
	return h
}

// clean hides the values in a text, but for those that stand inside an allowed name.
//
// A value that only begins or ends in a name is hidden, with what it covers of the name. That is why names are not simply left alone
// and the rest cleaned: what is left of the value on the other side of the name would be no value any more, and stay.
func (h *hider) clean(text string) string {
	names := spans(text, h.names)
	if len(names) == 0 {
		return h.replacer.Replace(text)
	}
	found := outside(spans(text, h.values), names)
	slices.SortFunc(found, func(a, b span) int { return cmp.Or(a.from-b.from, b.to-a.to) })
	var b strings.Builder
	end := 0
	for i, v := range found {
		if i == 0 || v.from >= end { // else it overlaps with the one before
			b.WriteString(text[end:v.from])
			b.WriteString(hidden)
		}
		end = max(end, v.to)
	}
	b.WriteString(text[end:])
	return b.String()
}

// outside drops the values that are inside a name that stays whole, which is one that no value that is left overlaps with.
func outside(values, names []span) []span {
	for {
		left := slices.DeleteFunc(slices.Clone(values), func(v span) bool {
			return slices.ContainsFunc(names, func(n span) bool { return n.from <= v.from && v.to <= n.to })
		})
		whole := slices.DeleteFunc(slices.Clone(names), func(n span) bool {
			return slices.ContainsFunc(left, func(v span) bool { return v.from < n.to && n.from < v.to })
		})
		if len(whole) == len(names) {
			return left
		}
		names = whole
	}
}

// span is text[from:to].
type span struct{ from, to int }

// spans lists where the words stand in a text, overlapping ones too.
func spans(text string, words []string) []span {
	var all []span
	for _, w := range words {
		for from := 0; ; {
			i := strings.Index(text[from:], w)
			if i < 0 {
				break
			}
			from += i
			all = append(all, span{from, from + len(w)})
			from++
		}
	}
	return all
}
