package lock

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/devenv-run/devenv/devenv/fault"
)

// Missing is the fault of a project without a lock at path where one is demanded.
func Missing(path string) *fault.Error {
	return &fault.Error{
		Kind: fault.Mismatch, What: "--locked demands a " + FileName + ", and there is none", Where: path,
		Next: "Run `devenv lock` and commit the file.",
	}
}

// Mismatch is the fault of a lock at path that does not match: every drift with what is locked, what is found, and how to get what is
// locked. Drifts of the same thing are told once.
func Mismatch(path string, drifts []Drift) *fault.Error {
	drifts = once(drifts)
	what := "the lock does not match: one entry differs"
	if len(drifts) != 1 {
		what = fmt.Sprintf("the lock does not match: %d entries differ", len(drifts))
	}
	var lines []string
	for _, d := range drifts {
		head := d.What
		if d.Where != "" {
			head += " (" + d.Where + ")"
		}
		lines = append(lines, head, "  locked  "+cmp.Or(d.Locked, "nothing"), "  found   "+cmp.Or(d.Found, d.notFound()))
		if d.Fix != "" {
			lines = append(lines, "  to get what is locked: "+d.Fix)
		}
	}
	return &fault.Error{
		Kind: fault.Mismatch, What: what, Where: path, Detail: strings.Join(lines, "\n"),
		Next: "Get what is locked, or run `devenv lock` to pin what is found, and commit the file.",
	}
}

// notFound says what an empty Found means.
func (d Drift) notFound() string {
	if d.Locked == "" {
		return "in use"
	}
	return "nothing uses it"
}

// Summary is the drifts on one line, for a warning.
func Summary(drifts []Drift) string {
	drifts = once(drifts)
	var parts []string
	for _, d := range drifts {
		if d.Locked == "" {
			parts = append(parts, d.What+" is not in it")
		} else {
			parts = append(parts, d.What+" is another one")
		}
	}
	const most = 3
	if len(parts) > most {
		parts = append(parts[:most], fmt.Sprintf("%d more", len(parts)-most))
	}
	return strings.Join(parts, ", ")
}

func once(drifts []Drift) []Drift {
	seen := map[string]bool{}
	var kept []Drift
	for _, d := range drifts {
		if !seen[d.What] {
			kept = append(kept, d)
		}
		seen[d.What] = true
	}
	return kept
}
