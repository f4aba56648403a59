package hot

import (
	"cmp"
	"encoding/hex"
	"maps"
	"path"
	"slices"
	"strconv"

	"github.com/devenv-run/devenv/devenv/digest"
)

// Held is what a container has had written into it, by path of the container. It says nothing about files that failed half-way: those are
// written again.
type Held map[string]held // see Has and Begun

type held struct {
	path string // in the context
	fact string
}

// Missing lists what has to be written into a container of an image so that it has what is wanted: what it has not had yet in that form, and the image's own
// version of what it has had and what is not wanted any more. Contains is the context as the image has it, now the context as it is: where the image's version is not at
// hand any more, it cannot be brought back, which is said by the second result.
func (s Service) Missing(wanted []Wanted, had Held, contains, now digest.Manifest) (files []File, lost string) {
	want := make(map[string]bool, len(wanted))
	gone := map[string]bool{} // what goes away now, with what is below it
	for _, w := range wanted {
		want[w.To] = true
	}
	for to, h := range had {
		if want[to] {
			continue
		}
		e, is := Find(contains, h.path), Find(now, h.path)
		switch {
		case e == nil:
			files = append(files, File{To: to, Gone: true})
			gone[to] = true
		case is == nil || !same(e, is):
			return nil, h.path
		default:
			f, why := s.entry(e, to)
			if why != "" {
				return nil, h.path
			}
			files = append(files, s.moded(f, h.path, now))
		}
	}
	for _, w := range wanted {
		if had[w.To] == w.held(now) {
			continue
		}
		files = append(files, w.File)
		if w.Gone || w.Kind != digest.Dir {
			gone[w.To] = true
		}
	}
	for _, w := range wanted {
		if had[w.To] == w.held(now) && !w.Gone && under(gone, w.To) {
			files = append(files, w.File)
		}
	}
	return ordered(files), ""
}

// Has is what a container has had once what Missing lists is written.
func Has(wanted []Wanted, now digest.Manifest) Held {
	had := make(Held, len(wanted))
	for _, w := range wanted {
		had[w.To] = w.held(now)
	}
	return had
}

// Begun is what a container has had while files are being written into it: nobody knows of those whether they arrive, so they are missing until it is
// known. had is not changed.
func Begun(had Held, files []File, wanted []Wanted) Held {
	paths := make(map[string]string, len(wanted))
	for _, w := range wanted {
		paths[w.To] = w.Path
	}
	begun := make(Held, len(had)+len(files))
	maps.Copy(begun, had)
	for _, f := range files {
		path, is := paths[f.To]
		if !is {
			path = begun[f.To].path
		}
		begun[f.To] = held{path: path, fact: "being written"}
	}
	return begun
}

// Signals are those that the rules of files which were written ask for, each once. had is what the container had before.
func (s Service) Signals(written []File, wanted []Wanted, had Held) []string {
	paths := make(map[string]string, len(wanted))
	for to, h := range had {
		paths[to] = h.path
	}
	for _, w := range wanted {
		paths[w.To] = w.Path
	}
	var signals []string
	for _, f := range written {
		for _, r := range governing(s.Sync, paths[f.To]) {
			if r.Signal != "" && !slices.Contains(signals, r.Signal) {
				signals = append(signals, r.Signal)
			}
		}
	}
	return signals
}

// held is what a container has had once it has w.
func (w Wanted) held(now digest.Manifest) held {
	h := held{path: w.Path, fact: "gone"}
	if e := Find(now, w.Path); e != nil && !w.Gone {
		h.fact = string(e.Kind) + strconv.FormatUint(uint64(e.Mode), 8) + ":" + hex.EncodeToString(e.Hash[:]) + e.Link
	}
	return h
}

// under says whether p is below one of the paths.
func under(paths map[string]bool, p string) bool {
	for p != "/" && p != "." {
		if p = path.Dir(p); paths[p] {
			return true
		}
	}
	return false
}

// compare orders paths so that a directory comes before what is in it.
func compare(a, b string) int { return cmp.Compare(a, b) }
