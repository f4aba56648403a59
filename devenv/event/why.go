package event

import (
	"encoding/json"
	"time"

	"github.com/devenv-run/devenv/devenv/plan"
)

// Why says why a service or an object would be, or was last, rebuilt or applied, or why not. It answers `devenv why`.
type Why struct {
	Subject string `json:"subject"` // "service grades", "Deployment/academy/grades"
	// Answer is the cause in one line: "services/grades/main.go changed since 2026-03-01 12:00:00".
	Answer  string      `json:"answer"`
	Service *WhyService `json:"service,omitempty"` // one of Service and Object is set
	Object  *WhyObject  `json:"object,omitempty"`
	Waiting []Waiting   `json:"waiting,omitempty"` // what it, or what runs its image, is waiting for
	// Steps are those of the plan that concern it, and those that they need; their numbers are the plan's.
	Steps []plan.Step `json:"-"`
}

// WhyService is what a service's image follows from.
type WhyService struct {
	Name  string `json:"name"`
	Image string `json:"image"` // the reference that the working tree stands for
	// Deployed is the reference that was last deployed, At when; empty if none is remembered.
	Deployed string    `json:"deployed,omitempty"`
	At       time.Time `json:"at,omitzero"`
	Changes  []string  `json:"changes,omitempty"` // what changed since: "base image debian:bookworm-slim changed"
	Objects  []string  `json:"objects,omitempty"` // what runs the image
	Hot      []string  `json:"hot,omitempty"`     // what its pods run in the place of it: "Deployment/academy/grades: 2 pods hot: 3 files synced"
}

// WhyObject is what is declared of an object, and what is.
type WhyObject struct {
	ID      string        `json:"id"`
	Source  string        `json:"source,omitempty"` // of deploy in devenv.yaml
	Origin  string        `json:"origin,omitempty"` // where it is declared: "deploy/chart/templates/web.yaml"
	Exists  bool          `json:"exists"`
	Applied time.Time     `json:"applied,omitzero"`  // when devenv last changed a field of it
	Fields  []FieldChange `json:"fields,omitempty"`  // that applying it now would change
	Refused string        `json:"refused,omitempty"` // why the API server would not take it
	Writers []Writer      `json:"writers,omitempty"` // who else wrote to it
}

// FieldChange is a field of an object that is not as it is declared. Values of Secrets are hashes.
type FieldChange struct {
	Path     string          `json:"path"`
	Live     json.RawMessage `json:"live,omitempty"` // absent: there is none
	Declared json.RawMessage `json:"declared,omitempty"`
	Manager  string          `json:"manager,omitempty"` // who holds the field now
	At       time.Time       `json:"at,omitzero"`       // when that one last wrote
}

// Writer is somebody other than devenv who wrote to an object.
type Writer struct {
	Manager     string    `json:"manager"`
	At          time.Time `json:"at,omitzero"`
	Subresource string    `json:"subresource,omitempty"` // through which it wrote: status, scale
}

// Waiting is an object that is not ready.
type Waiting struct {
	ID      string `json:"id"`
	Message string `json:"message"`          // how far it is: "0 of 1 replicas ready"
	Reason  string `json:"reason,omitempty"` // why waiting will not help: "CrashLoopBackOff: container web exited 3 times"
	Detail  string `json:"detail,omitempty"` // warnings and its container's last lines
	Next    string `json:"next,omitempty"`   // what to do
}

// Type implements Event.
func (Why) Type() string { return "why" }
