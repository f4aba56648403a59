// Package history keeps what served together, so that it can serve again.
//
// A Revision of a service is the state in which it was ready: the workloads that run its image, and the ConfigMaps and Secrets that
// their pods refer to, each as the exact JSON that was applied. Take makes the revisions of a deployment; a Store keeps them, numbered
// per service; Back says which of them a failed deployment returns to; Sources makes of them what package plan compares with
// the cluster, so that going back is planned, ordered and carried out like going forward.
//
// Revisions hold the values of Secrets. They are never printed: what users see of one is its Head.
//
// Everything here but the Store's implementations is pure.
package history

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/devenv-run/devenv/devenv/plan"
)

// Limit is how many revisions of a service are kept.
const Limit = 10

// Head is what is told of a revision.
type Head struct {
	Service string    `json:"service"`
	Number  int       `json:"number"` // from 1, per service; 0 before it is recorded
	At      time.Time `json:"at"`     // when it was recorded, in UTC
	Image   string    `json:"image"`  // the service's image reference
	Cause   string    `json:"cause"`  // what changed from the revision before, as a lower-case phrase
	// Content is a hash over what the revision consists of: two revisions with the same are the same state.
	Content string `json:"content"`
}

// Revision is one state in which a service was ready.
type Revision struct {
	Head
	// Images are the references that its workloads run and that devenv built, by service. A pod may run several services.
	Images map[string]string `json:"images"`
	// Objects are configuration first, then workloads, each sorted.
	Objects []Object `json:"objects"`
}

// Object is one object of a revision. The fields are those of plan.Object, and the deploy source that it was applied for.
type Object struct {
	ID     plan.ID         `json:"id"`
	Source string          `json:"source"`
	JSON   json.RawMessage `json:"json"`
	Hash   string          `json:"hash"`
	Images []string        `json:"images,omitempty"`
	Origin string          `json:"origin,omitempty"`
	Waits  bool            `json:"waits,omitempty"`

	Autoscaled bool `json:"autoscaled,omitempty"`
}

// NewObject is what a plan applies for a source, as a revision has it.
func NewObject(source string, o plan.Object) Object {
	return Object{ID: o.ID, Source: source, JSON: o.JSON, Hash: o.Hash, Images: o.Images, Origin: o.Origin, Waits: o.Waits, Autoscaled: o.Autoscaled}
}

// Plan is the object as plans have it.
func (o Object) Plan() plan.Object {
	return plan.Object{ID: o.ID, JSON: o.JSON, Hash: o.Hash, Images: o.Images, Origin: o.Origin, Waits: o.Waits, Autoscaled: o.Autoscaled}
}

// IsWorkload says whether the object runs pods; the others are what those refer to.
func (o Object) IsWorkload() bool { return IsWorkload(o.ID) }

// Workloads are the revision's objects that run pods.
func (r Revision) Workloads() []Object {
	return slices.DeleteFunc(slices.Clone(r.Objects), func(o Object) bool { return !o.IsWorkload() })
}

// Find is the revision's object with this ID.
func (r Revision) Find(id plan.ID) (Object, bool) {
	for _, o := range r.Objects {
		if o.ID == id {
			return o, true
		}
	}
	return Object{}, false
}

// Replace is the revision with those of its objects that objects have too as they are there. Number, time and cause are for the caller
// to set anew.
func (r Revision) Replace(objects []Object, images map[string]string) Revision {
	r.Objects = slices.Clone(r.Objects)
	for i := range r.Objects {
		for _, o := range objects {
			if o.ID == r.Objects[i].ID {
				r.Objects[i] = o
			}
		}
	}
	now := map[string]string{}
	for service, ref := range r.Images {
		if other, ok := images[service]; ok {
			ref = other
		}
		now[service] = ref
	}
	r.Images, r.Image = now, now[r.Service]
	r.Content = content(r.Objects)
	return r
}

// IsWorkload says whether an object belongs to a revision for the pods that it runs. A Job does not: applying an old one again
// would run it again.
func IsWorkload(id plan.ID) bool {
	switch id.Group + "/" + id.Kind {
	case "apps/Deployment", "apps/StatefulSet", "apps/DaemonSet", "batch/CronJob":
		return true
	}
	return false
}

// content hashes which objects there are and what they declare.
func content(objects []Object) string {
	lines := make([]string, len(objects))
	for i, o := range objects {
		lines[i] = fmt.Sprintf("%s %s %s\n", o.ID.Group, o.ID, o.Hash)
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return hex.EncodeToString(sum[:12])
}
