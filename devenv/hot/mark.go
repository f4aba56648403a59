package hot

import (
	"fmt"
	"time"
)

// Way is how a change got, or gets, into the pods that run.
type Way string

// The ways, the shortest first.
const (
	None  Way = "none"  // the change provably does not reach the image
	Sync  Way = "sync"  // files written into running containers
	Image Way = "image" // a layer on top of the image that was built last, swapped into the running pods
	Swap  Way = "swap"  // an image built from the Dockerfile, swapped into the running pods
	Full  Way = "full"  // an image built from the Dockerfile, rolled out the declared way
)

// Mark says how a pod differs from what its workload declares for one service. It is written onto the pod before the first file or the
// image changes, so that a devenv that is killed leaves it visible.
type Mark struct {
	Way   Way       `json:"way"`             // Sync, Image or Swap
	Image string    `json:"image,omitempty"` // that runs in the place of the declared one; empty for Sync
	Files int       `json:"files,omitempty"` // written into its containers
	Since time.Time `json:"since"`           // of the first change
}

// String is the mark as people read it: "3 files synced", "image grades:devenv-hot-1a2b3c, 1 file synced".
func (m Mark) String() string {
	files := ""
	if m.Files == 1 {
		files = "1 file synced"
	} else if m.Files > 1 || m.Image == "" {
		files = fmt.Sprintf("%d files synced", m.Files)
	}
	switch {
	case m.Image == "":
		return files
	case files == "":
		return "image " + m.Image
	}
	return "image " + m.Image + ", " + files
}
