package plan

import "strings"

// Desired is what should be, as the working tree declares it.
type Desired struct {
	Cluster Cluster
	Images  []Image  // everything that must be on the nodes and that devenv brings there
	Sources []Source // in the order of deploy in devenv.yaml
	// Data says that what is no longer declared goes even if persistent data, or what others put beside ours, goes with it.
	Data bool
}

// Cluster is the cluster to run in.
type Cluster struct {
	Name      string   // the kind cluster's name, devenv-<environment>
	Nodes     []string // names of the nodes it has, or will have once created
	NodeImage string   // reference of the node image
	Spec      string   // hash of everything that creating it depends on
}

// Image is an image that pods use and that comes from this machine's engine.
type Image struct {
	Service string // the service that builds it; empty for a third-party image that the engine happens to hold
	Ref     string // full reference: registry.example.com/academy/grades:devenv-3f2a9c…
	Cause   string // why its inputs are new ("services/grades/main.go changed"); empty if not known
}

// Short is the reference without registry and path, and the digest shortened: grades:devenv-3f2a9c.
func (i Image) Short() string { return ShortRef(i.Ref) }

// ShortRef is an image reference as people read it: without registry and path, a devenv digest cut to six characters.
func ShortRef(ref string) string {
	ref = ref[strings.LastIndexByte(ref, '/')+1:]
	for _, sign := range []string{":devenv-hot-", ":devenv-"} {
		if i := strings.Index(ref, sign); i >= 0 {
			return ref[:min(len(ref), i+len(sign)+6)]
		}
	}
	return ref
}

// ID identifies an object in a cluster, across API versions.
type ID struct {
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"` // empty for cluster-scoped objects
	Name      string `json:"name"`
}

// String is how users read an object: Deployment/academy/grades, or Namespace/academy.
func (id ID) String() string {
	if id.Namespace == "" {
		return id.Kind + "/" + id.Name
	}
	return id.Kind + "/" + id.Namespace + "/" + id.Name
}

// Object is one object to apply.
type Object struct {
	ID     ID
	JSON   []byte   // the whole object as JSON with sorted keys; what is sent to the server
	Hash   string   // SHA-256 of JSON and Autoscaled, hex
	Images []string // image references in its pod template, in order of appearance
	Origin string   // where it was declared: "deploy/chart/templates/web.yaml", for messages
	Waits  bool     // whether readiness means anything for its kind (workloads, claims, definitions, …)

	// Autoscaled says that an autoscaler decides its spec.replicas: what JSON declares counts only when the object is made.
	Autoscaled bool
}

// Hook is a Helm hook: an object that is run to its end at a moment of a deployment.
type Hook struct {
	Object
	Events       []string // pre-install, post-install, pre-upgrade, post-upgrade; others are never planned by Compute
	Weight       int      // lower runs first; equal weights by kind, then name, as Helm orders them
	DeletePolicy []string // before-hook-creation, hook-succeeded, hook-failed
}

// Source is one entry of deploy in devenv.yaml, rendered.
type Source struct {
	Name    string
	Aside   bool     // an add-on of the cluster: it waits for no other source, and none waits for it
	Objects []Object // in install order: namespaces and definitions first
	Hooks   []Hook
}
