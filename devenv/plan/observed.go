package plan

// Observed is what is, read without writing.
type Observed struct {
	Cluster ClusterState
	Engine  map[string]bool // image references that the engine holds, of those in Desired.Images
	Live    map[ID]Live     // what the cluster says of every object in Desired; nil where there is no cluster
	Hooks   map[ID]string   // hash of every hook of Desired whose last run succeeded
	Sources map[string]bool // deploy sources that were deployed to their end before: the next deployment is an upgrade
	// Hot says of workloads with pods that run something else than their template declares what that is, as a phrase: "2 pods hot: 3 files
	// synced". Workloads that are to stay hot are not in it.
	Hot map[ID]string
	// Applied is what exists of devenv's own in this environment, as far as it may have to go: every object that is no longer declared. It may
	// hold declared ones too. Empty where a plan is to remove nothing.
	Applied map[ID]AppliedRef
	// Holds lists, for namespaces and definitions in Applied, what lives in them and would go with them.
	Holds map[ID][]ID
}

// Status of a cluster.
type Status string

// The statuses. A broken cluster never reaches a plan: reading it is an error that says how to recreate it.
const (
	Absent  Status = "absent"
	Stopped Status = "stopped"
	Running Status = "running"
)

// ClusterState is what is known of the cluster.
type ClusterState struct {
	Status Status
	Nodes  []Node // where running
}

// Node is a node of a running cluster.
type Node struct {
	Name   string
	Images map[string]bool // which of Desired.Images the node holds, by reference
}

// Live is what the cluster says of one object.
type Live struct {
	Exists  bool
	Hash    string // Object.Hash that devenv applied last; empty if devenv never did
	Drift   string // how it was changed in the cluster since ("spec.replicas changed by kubectl"); empty if it was not
	Ready   bool   // kstatus says Current (true for kinds whose readiness means nothing)
	Message string // why it is not ready: "1 of 2 replicas ready"
	// Images of its pod template, to tell "image changed" from "changed" in a cause. Nil where not known.
	Images []string
}

// AppliedRef is an entry of the inventory.
type AppliedRef struct {
	Source string
	UID    string // of the object that devenv created; a different live UID means that it is somebody else's
}
