package event

// Locked says what `devenv lock` found and did.
type Locked struct {
	File    string       `json:"file"`    // as messages show it: devenv.lock
	Written bool         `json:"written"` // false: it was up to date already
	Entries int          `json:"entries"`
	Local   int          `json:"local"` // images pinned by a local ID, because no registry knows them
	Changes []LockChange `json:"changes,omitempty"`
}

// LockChange is one entry that is new, gone or another one.
type LockChange struct {
	Entry  string `json:"entry"`            // base image golang:1.26-bookworm
	Before string `json:"before,omitempty"` // empty if it is new
	After  string `json:"after,omitempty"`  // empty if it is gone
}

// Type implements Event.
func (Locked) Type() string { return "lock.written" }
