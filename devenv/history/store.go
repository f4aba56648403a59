package history

import (
	"context"
	"slices"
)

// Store keeps the revisions of one environment. Only one process at a time records.
type Store interface {
	// Heads lists what is kept, by service and then by number, ascending.
	Heads(ctx context.Context) ([]Head, error)
	// Revision is one of those. One that is not kept is an error; one that cannot be decoded is an error that is ErrDamaged.
	Revision(ctx context.Context, service string, number int) (Revision, error)
	// Record keeps r under the next number of its service, removes those that are too old (Limit), and returns r with its number. If the
	// newest revision has r's content, that one is returned and nothing is changed.
	Record(ctx context.Context, r Revision) (Revision, error)
}

// Of selects the heads of one service.
func Of(heads []Head, service string) []Head {
	return slices.DeleteFunc(slices.Clone(heads), func(h Head) bool { return h.Service != service })
}

// Newest is the head with the highest number of each service.
func Newest(heads []Head) map[string]Head {
	newest := map[string]Head{}
	for _, h := range heads {
		if h.Number > newest[h.Service].Number {
			newest[h.Service] = h
		}
	}
	return newest
}

// Old selects those of one service's heads that are too old to be kept.
func Old(heads []Head) []Head {
	sorted := slices.SortedFunc(slices.Values(heads), func(a, b Head) int { return b.Number - a.Number })
	if len(sorted) <= Limit {
		return nil
	}
	return sorted[Limit:]
}

// Previous is the newest of one service's heads that is another state than what runs; false if there is none. Nothing recorded runs for
// an empty content.
func Previous(heads []Head, running string) (Head, bool) {
	for _, h := range slices.SortedFunc(slices.Values(heads), func(a, b Head) int { return b.Number - a.Number }) {
		if h.Content != running {
			return h, true
		}
	}
	return Head{}, false
}
