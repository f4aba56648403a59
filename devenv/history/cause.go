package history

import (
	"fmt"
	"slices"
	"strings"
)

// Cause says what changed from the revision before, which may be none, to now. image is why the service's image is new, where that is
// known: "services/grades/main.go changed".
func Cause(before *Revision, now Revision, image string) string {
	if before == nil {
		return "first deployment"
	}
	var changes []string
	if before.Image != now.Image {
		if image == "" {
			image = "image changed"
		}
		changes = append(changes, image)
	}
	for _, o := range now.Objects {
		old, was := before.Find(o.ID)
		switch {
		case !was:
			changes = append(changes, o.ID.String()+" added")
		// A workload's image is told above, or by the service whose image it is.
		case old.Hash != o.Hash && slices.Equal(old.Images, o.Images):
			changes = append(changes, o.ID.String()+" changed")
		}
	}
	for _, o := range before.Objects {
		if _, is := now.Find(o.ID); !is {
			changes = append(changes, o.ID.String()+" removed")
		}
	}
	for service, ref := range now.Images {
		if old, was := before.Images[service]; service != now.Service && was && old != ref {
			changes = append(changes, "image of "+service+" changed")
		}
	}
	switch len(changes) {
	case 0:
		return "declaration changed"
	case 1, 2:
		return strings.Join(changes, ", ")
	}
	return fmt.Sprintf("%s, and %d more", changes[0], len(changes)-1)
}
