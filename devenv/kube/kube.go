// Package kube is the adapter to the Kubernetes API: it reads what a cluster holds of an environment (Observe), changes it
// object by object (Cluster implements engine.Deployer) and lets people look into it (Pods, Workloads, Logs, Forward,
// Events).
//
// Three ideas carry it:
//
//   - Server-side apply owns fields. The API server keeps, on every object, the set of fields that each writer declared. An
//     object drifted exactly when the set that devenv holds shrank, so a run with nothing to do finds that out from what it read
//     anyway, and an autoscaler that sets a field which nobody declared is no drift.
//   - An inventory remembers. One small object per environment lists what devenv applied, under which hash and as which UID. An
//     object is written there before it is sent, so that no crash leaves something that nobody remembers; only what the inventory
//     lists is ever deleted, and only while it has the UID that is written there.
//   - Judgement is pure. Whether an object is ready, what is worth saying of it meanwhile, and whether waiting can still heal it
//     are functions of objects and a time (readiness, progress, hopeless), tested by tables; watching only feeds them.
//
// The package prints nothing and reads no configuration but the kubeconfig file that it is given: neither $KUBECONFIG nor the
// user's own file can lead it to another cluster. Should that file lead to another one all the same, nothing is changed there: the cluster has
// to have the UID that Options name (identity.go).
package kube

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// Options of Open.
type Options struct {
	// Kubeconfig is the path of the one kubeconfig file that is read.
	Kubeconfig string
	// UID is that of the cluster, as Cluster.UID reads it: nothing is changed in any other one. Empty: nothing is changed at all.
	UID string
	// Environment names the inventory, so that several environments in one cluster do not see each other's objects. It must
	// be usable in an object's name.
	Environment string
	// FieldManager is the name under which fields are owned; "devenv" if empty.
	FieldManager string
	// Timeout bounds the wait for one object to become ready, one hook to end and one object to be gone. Five minutes if
	// zero; an object that declares its own deadline (progressDeadlineSeconds, activeDeadlineSeconds) has that.
	Timeout time.Duration
	// NodeStarts says when each node was started last, by name, where that is known. After a node was restarted the API
	// server goes on saying for a while that what ran there before runs; with this, Observe and Await know better.
	NodeStarts map[string]time.Time
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// Cluster is one environment's view of one cluster. Its methods are safe for concurrent use.
type Cluster struct {
	env     string
	uid     string // that the cluster must have
	manager string
	timeout time.Duration
	now     func() time.Time
	starts  map[string]time.Time

	config   *rest.Config
	http     *http.Client
	dynamic  dynamic.Interface
	metadata metadata.Interface
	core     corev1.CoreV1Interface
	apis     *apis
	ledger   *ledger

	verifying chan struct{} // held by whoever verifies; guards verified
	verified  bool

	others struct { // what belongs to other environments; see neighbours
		mu    sync.Mutex
		owner map[plan.ID]string
	}

	// undrifted holds, by object, the field set of which a dry run has shown that it is no drift. In memory only: Observe
	// writes nothing.
	undrifted sync.Map // plan.ID → string

	rounds rounds // of the kubelets
}

// Open prepares to talk to the cluster of a kubeconfig file. It sends nothing yet, so it also succeeds while the API server
// is away.
func Open(_ context.Context, o Options) (*Cluster, error) {
	file, err := clientcmd.LoadFromFile(o.Kubeconfig)
	if err != nil {
		return nil, &fault.Error{Kind: fault.Machine, What: "the cluster's kubeconfig cannot be read", Where: o.Kubeconfig, Err: err,
			Next: "Run devenv up: it writes the file again for a cluster that it created."}
	}
	// From the file's content alone: the default loading rules would merge $KUBECONFIG and the user's own file into it.
	config, err := clientcmd.NewDefaultClientConfig(*file, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, &fault.Error{Kind: fault.Machine, What: "the cluster's kubeconfig is not usable", Where: o.Kubeconfig, Err: err,
			Next: "Delete the file and run devenv up: it writes it again for a cluster that it created."}
	}
	if config.Proxy == nil { // the kubeconfig names none
		config.Proxy = http.ProxyURL(nil) // and those of the environment lead to where images come from
	}
	return open(config, o)
}

func open(config *rest.Config, o Options) (*Cluster, error) {
	c := &Cluster{
		env: o.Environment, uid: o.UID, manager: o.FieldManager, timeout: o.Timeout, now: o.Now, starts: o.NodeStarts,
		verifying: make(chan struct{}, 1),
	}
	if c.manager == "" {
		c.manager = "devenv"
	}
	if c.timeout == 0 {
		c.timeout = 5 * time.Minute
	}
	if c.now == nil {
		c.now = time.Now
	}

	config = rest.CopyConfig(config)
	config.UserAgent = "devenv"
	config.QPS = -1 // the API server limits by itself, and fairly; a second limit here would only make us slow
	config.WarningHandlerWithContext = warnings{}
	// Outermost, so that what other packages wrapped around the transport sees what is sent.
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return guarded{next: next, verify: c.Verify} })
	c.config = config

	var err error
	if c.http, err = rest.HTTPClientFor(config); err != nil {
		return nil, fmt.Errorf("prepare the connection to the cluster: %w", err)
	}
	if c.dynamic, err = dynamic.NewForConfigAndClient(config, c.http); err != nil {
		return nil, fmt.Errorf("prepare the dynamic client: %w", err)
	}
	if c.metadata, err = metadata.NewForConfigAndClient(config, c.http); err != nil {
		return nil, fmt.Errorf("prepare the metadata client: %w", err)
	}
	typed := rest.CopyConfig(config)
	typed.ContentType = runtime.ContentTypeProtobuf
	typed.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	if c.core, err = corev1.NewForConfigAndClient(typed, c.http); err != nil {
		return nil, fmt.Errorf("prepare the core client: %w", err)
	}
	disco, err := discovery.NewDiscoveryClientForConfigAndClient(config, c.http)
	if err != nil {
		return nil, fmt.Errorf("prepare the discovery client: %w", err)
	}
	c.apis = &apis{client: disco}
	c.ledger = newLedger(c.core, c.env, c.manager)
	return c, nil
}

// Flush returns when everything that was noted in the inventory is stored. Every method stores what it did before it returns;
// what is left is what a method was interrupted in.
func (c *Cluster) Flush(ctx context.Context) error {
	return c.ledger.update(ctx, func(inventory) {})
}

// Close releases idle connections.
func (c *Cluster) Close() { utilnet.CloseIdleConnectionsFor(c.http.Transport) }

// resource finds where objects of o's kind are read and written.
func (c *Cluster) resource(a api, id plan.ID) dynamic.ResourceInterface {
	if a.Namespaced {
		return c.dynamic.Resource(a.GVR).Namespace(id.Namespace)
	}
	return c.dynamic.Resource(a.GVR)
}

// read gets an object, with the patience that the caller has with an API server that is away.
func (c *Cluster) read(ctx context.Context, patience time.Duration, a api, id plan.ID) (u *unstructured.Unstructured, err error) {
	err = persist(ctx, patience, func(ctx context.Context) (err error) {
		u, err = c.resource(a, id).Get(ctx, id.Name, metav1.GetOptions{})
		return err
	})
	return u, err
}
