package render

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// refuseUnused reports every service whose image no resource uses: building it would be in vain, and most often the
// repository is misspelt. used holds names of services; found holds the repositories that the resources name and no service
// builds, each with an object that names it.
func (r *rendering) refuseUnused(used map[string]bool, found map[string]string) error {
	repositories := slices.Sorted(maps.Keys(found))
	detail := "No resource names an image that no other service builds."
	if len(repositories) > 0 {
		lines := []string{"Images that resources name and no service builds:"}
		for _, repository := range repositories {
			lines = append(lines, fmt.Sprintf("  %s (%s)", repository, found[repository]))
		}
		detail = strings.Join(lines, "\n")
	}
	var failed []error
	for _, s := range r.in.Services {
		if used[s.Name] {
			continue
		}
		next := "Set its image to the repository that the resources name, or remove the service."
		if best := nearest(s.Repository, repositories); best != "" {
			next = fmt.Sprintf("Did you mean %s? %s", best, next)
		}
		f := config(s.Pos, fmt.Sprintf("service %s: no resource uses its image %s", s.Name, s.Repository), nil, next)
		f.Detail = detail
		failed = append(failed, f)
	}
	return errors.Join(failed...)
}

// nearest is the candidate most like name, or empty if none is much like it.
func nearest(name string, candidates []string) string {
	best, least := "", len(name)*2/5+1
	for _, c := range candidates {
		if d := levenshtein.Distance(name, c, nil); d < least {
			best, least = c, d
		}
	}
	return best
}
