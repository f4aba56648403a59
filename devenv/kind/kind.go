// Package kind is the adapter to kind: clusters whose nodes are containers of the local engine.
//
// A Clusters looks after one cluster, devenv-<environment>, and nothing else. Resolve says what the cluster has to be (its node image
// and the names of its nodes), Status what it is; Create, Start and Delete change it; NodeImages and Deliver bring
// images onto its nodes. Clusters implements engine.Clusters and engine.Delivery.
//
// The cluster's identity (Identity) is stored in the state directory when it is complete: the IDs of its node
// containers, the UID of its kube-system namespace, what it was made from. That record is what makes a cluster ours: one of the same
// name that does not match it is never touched. Before anything is created or removed an intent is written beside the record, so
// that whatever a crash leaves behind is known to be ours and is cleared away by the next Create. proof.go says what has to match.
//
// kind's library creates the nodes. It has no context and runs the docker client in this process's environment, so Create
// watches over it: see library.go. Everything else that concerns node containers goes through the docker client here.
package kind

import (
	"context"
	"io"
	"path/filepath"
	"slices"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/image"
)

// Engine is what this adapter needs of the container engine beside its client program.
type Engine interface {
	// Images says which of refs the engine holds: reference → image ID.
	Images(ctx context.Context, refs []string) (map[string]string, error)
	// Resolve finds the digest of an image that the engine holds, or else that the image's registry names, pulling nothing.
	Resolve(ctx context.Context, ref string) (digest string, local bool, err error)
	// Pull brings an image from its registry into the engine.
	Pull(ctx context.Context, ref string, report func(text string)) error
	// Export writes an archive of the images that a node's containerd can import.
	Export(ctx context.Context, refs []string, w io.Writer) error
	// Describe says which layers an image has.
	Describe(ctx context.Context, ref string) (image.Description, error)
	// Fetch gets an image's configuration and those of its layers that are wanted.
	Fetch(ctx context.Context, w image.Want) (*image.Image, error)
	// Exec starts a command in a container, privileged, which outlives ctx: what is written is its standard input, what is read its standard output, and its
	// standard error goes to stderr. Close ends its standard input.
	Exec(ctx context.Context, container string, command []string, stderr io.Writer) (io.ReadWriteCloser, error)
	// Environ is what a docker command needs in its environment, as NAME=value, to talk to this engine.
	Environ() []string
}

// Options say which cluster a Clusters looks after.
type Options struct {
	Name     string // kind's name of the cluster: devenv-academy
	StateDir string // where the cluster's identity and kubeconfig are kept; made with mode 0700 when it is first needed
	Project  string // absolute path of the project: host paths in a kind configuration are relative to it
	Spec     Spec   // what the cluster has to be; may be empty for Status, Start and Delete
	Offline  bool   // ask no registry
	Engine   Engine
	Inside   *Inside // connections into the cluster's nodes that somebody holds; nil: they are opened when something is delivered
}

// Clusters looks after one kind cluster. Its methods are safe for concurrent use, but only one process may create, start or
// delete the same cluster at a time: the caller holds the environment's lock.
type Clusters struct {
	Options
	docker    docker
	provision provisioner
	connect   func(kubeconfig []byte) (apiServer, error)
	wait      patience
	loading   claims
	lent      lending
}

// docker runs the docker client.
type docker interface {
	// run runs `docker args…` and returns its standard output, also when it fails. Stdin may be nil.
	run(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error)
}

// provisioner makes a cluster's containers and Kubernetes in them, and writes its kubeconfig to a file.
type provisioner func(c *v1alpha4.Cluster, kubeconfig string, report engine.Report) error

// patience is how long to wait for what takes time.
type patience struct {
	poll   time.Duration // between two looks
	ready  time.Duration // for a new or started cluster to be ready
	answer time.Duration // for the API server of a cluster that has been running for a while
	boot   time.Duration // for the API server of a cluster whose containers have just started
	ask    time.Duration // for a registry that is asked whether it has an image
	undo   time.Duration // for the engine to remove what a stopped creation made
	late   time.Duration // for containers to come that a stopped creation had asked the engine for
	strays time.Duration // after a creation began, for the docker commands of a devenv that was killed to come to their end
	node   time.Duration // for a node to answer a question
	load   limits        // for a node that an image is sent to
}

// New returns a Clusters. It does nothing yet and cannot fail.
func New(o Options) *Clusters {
	environ := slices.Concat(o.Engine.Environ(), pinned(filepath.Join(o.StateDir, "kubeconfig")))
	return &Clusters{
		Options:   o,
		docker:    client{environ: environ},
		provision: library{environ: environ}.create,
		connect:   connect,
		wait: patience{
			poll:   100 * time.Millisecond,
			ready:  5 * time.Minute,
			answer: 20 * time.Second,
			boot:   90 * time.Second,
			ask:    2 * time.Second,
			undo:   time.Minute,
			late:   2 * time.Second,
			strays: 10 * time.Second,
			node:   30 * time.Second,
			load:   limits{stall: time.Minute, finish: 10 * time.Minute},
		},
	}
}

// Kubeconfig is the path of the cluster's own kubeconfig. The user's kubeconfig is never read or written.
func (k *Clusters) Kubeconfig() string { return filepath.Join(k.StateDir, "kubeconfig") }
