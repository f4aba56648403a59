package event

import "time"

// Returned says that a workload goes on as in an earlier revision of a service, because its new version did not become ready.
type Returned struct {
	Workload string    `json:"workload"`
	Service  string    `json:"service"`
	Revision int       `json:"revision"`
	Image    string    `json:"image"`
	Since    time.Time `json:"since"` // when the revision was recorded
	Ready    bool      `json:"ready"`
	// Shares is what the workload has in common with one whose new version did not become ready, if its own was not in trouble.
	Shares string `json:"shares,omitempty"`
}

// Recorded says that what runs of a service is kept as a revision, to be returned to.
type Recorded struct {
	Service  string `json:"service"`
	Revision int    `json:"revision"`
	Image    string `json:"image"`
	Cause    string `json:"cause"`
}

// History holds the revisions of a service, the newest first. It answers `devenv history`.
type History struct {
	Service   string     `json:"service"`
	Revisions []Revision `json:"revisions"`
}

// Revision is one state in which a service was ready.
type Revision struct {
	Number  int       `json:"number"`
	At      time.Time `json:"at"`
	Image   string    `json:"image"`
	Cause   string    `json:"cause"`   // what changed from the revision before
	Current bool      `json:"current"` // it is what runs
}

// Type implements Event.
func (Returned) Type() string { return "workload.returned" }

// Type implements Event.
func (Recorded) Type() string { return "revision.recorded" }

// Type implements Event.
func (History) Type() string { return "history" }
