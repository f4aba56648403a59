package event

import (
	"strings"
	"time"

	"github.com/devenv-run/devenv/devenv/plan"
)

// Rendered holds the objects that `up` would apply, as a YAML stream. It answers `devenv render`.
type Rendered struct {
	YAML string `json:"yaml"`
}

// Status is the state of an environment. It answers `devenv status`.
type Status struct {
	Environment string    `json:"environment"`
	Cluster     Cluster   `json:"cluster"`
	Services    []Service `json:"services"`
}

// Cluster is an environment's cluster.
type Cluster struct {
	Name       string `json:"name"`
	Status     string `json:"status"` // absent, stopped, running
	Kubernetes string `json:"kubernetes,omitempty"`
	NodeImage  string `json:"nodeImage,omitempty"`
	Nodes      []Node `json:"nodes,omitempty"`
}

// Node is a node of the cluster.
type Node struct {
	Name  string `json:"name"`
	Ready bool   `json:"ready"`
}

// Service is a service of devenv.yaml with the pods that run its image.
type Service struct {
	Name string `json:"name"`
	// Image is the reference that the working tree stands for; Current says whether all pods run it, and nothing else.
	Image     string     `json:"image"`
	Current   bool       `json:"current"`
	Workloads []Workload `json:"workloads,omitempty"`
	Pods      []Pod      `json:"pods,omitempty"`
	Endpoints []string   `json:"endpoints,omitempty"` // what `devenv forward` opens: "http://127.0.0.1:8080"
}

// Workload is a Deployment, StatefulSet or DaemonSet.
type Workload struct {
	ID      string `json:"id"`
	Ready   int    `json:"ready"`
	Desired int    `json:"desired"`
	Message string `json:"message,omitempty"` // why it is not ready
}

// Pod is one pod of a service.
type Pod struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Node      string `json:"node"`
	Phase     string `json:"phase"` // Running, or why not: CrashLoopBackOff
	Ready     bool   `json:"ready"`
	Restarts  int    `json:"restarts"`
	Image     string `json:"image"` // the service's image that the pod runs; while it is hot, the one in its place
	Hot       *Hot   `json:"hot,omitempty"`
}

// Hot says what a pod runs of a service in the place of what is declared, until devenv settles it.
type Hot struct {
	Way   string    `json:"way"`             // sync: files written into it; image: a layer on top of the deployed image; swap: a built image that was not rolled out
	Image string    `json:"image,omitempty"` // in the place of the declared one; empty if only files were written
	Files int       `json:"files,omitempty"` // written into its containers
	Since time.Time `json:"since"`
}

// String is what is hot, in short: "3 files synced", "image grades:devenv-hot-3f2a9c".
func (h Hot) String() string {
	var said []string
	if h.Image != "" {
		said = append(said, "image "+plan.ShortRef(h.Image))
	}
	if h.Files > 0 || h.Image == "" {
		said = append(said, plan.Count(h.Files, "file")+" synced")
	}
	return strings.Join(said, ", ")
}

// Deleted says that something of ours is gone: an object, or the cluster.
type Deleted struct {
	Subject string `json:"subject"`
}

// Kept says that something was deliberately not deleted: by `down`, or by `up` although nothing declares it any more.
type Kept struct {
	Subject string `json:"subject"`
	Reason  string `json:"reason"`
}

// Forwarding says that a port of this machine leads to a service, until the command ends.
type Forwarding struct {
	Service string `json:"service"`
	Local   string `json:"local"`  // 127.0.0.1:8080
	Target  string `json:"target"` // Service/academy/web:80
}

// Version answers `devenv version`.
type Version struct {
	Version    string `json:"version"`
	Commit     string `json:"commit,omitempty"`
	Go         string `json:"go"`
	Platform   string `json:"platform"`
	Kind       string `json:"kind"`
	Helm       string `json:"helm"`
	Kubernetes string `json:"kubernetesClient"`
}

// Text is an answer that is one piece of text: a path, a completion script.
type Text struct {
	Text string `json:"text"`
}

// Result is the last event of every command.
type Result struct {
	OK       bool          `json:"ok"`
	ExitCode int           `json:"exitCode"`
	Steps    int           `json:"steps"`             // steps that `up` executed, or that `plan` would
	Summary  string        `json:"summary,omitempty"` // one line of what came of it: "academy is ready"
	Took     time.Duration `json:"-"`
	Err      error         `json:"-"`
}

// Type implements Event.
func (Rendered) Type() string { return "rendered" }

// Type implements Event.
func (Status) Type() string { return "status" }

// Type implements Event.
func (Deleted) Type() string { return "deleted" }

// Type implements Event.
func (Kept) Type() string { return "kept" }

// Type implements Event.
func (Forwarding) Type() string { return "forwarding" }

// Type implements Event.
func (Version) Type() string { return "version" }

// Type implements Event.
func (Text) Type() string { return "text" }

// Type implements Event.
func (Result) Type() string { return "result" }
