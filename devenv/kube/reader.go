package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// Reader reads objects of a cluster that is the user's and not devenv's, such as the one that production runs in. It can do nothing
// else: its transport refuses every request but GET. It asks for objects by name, one at a time, so that it needs no right to list
// and sees nothing that it was not asked for.
type Reader struct {
	context   string
	namespace string // of the context, for objects that name none
	http      *http.Client
	dynamic   dynamic.Interface
	apis      *apis
}

// OpenReader prepares to read the cluster of a context of the user's kubeconfig: of the files that $KUBECONFIG names, or
// ~/.kube/config. It sends nothing yet. An unknown context is a fault of kind Config.
func OpenReader(name string) (*Reader, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.MigrationRules = nil // they would write a file
	rules.WarnIfAllMissing = false
	file, err := rules.Load()
	if err != nil {
		return nil, &fault.Error{Kind: fault.Config, What: "your kubeconfig cannot be read", Where: strings.Join(rules.GetLoadingPrecedence(), ":"), Err: err,
			Next: "Correct it, or name another one with KUBECONFIG."}
	}
	if file.Contexts[name] == nil {
		next := "It has the contexts " + strings.Join(slices.Sorted(maps.Keys(file.Contexts)), ", ") + "."
		if len(file.Contexts) == 0 {
			next = "It has no context at all. Name another kubeconfig with KUBECONFIG."
		}
		return nil, &fault.Error{Kind: fault.Config, What: fmt.Sprintf("your kubeconfig has no context %q", name), Where: strings.Join(rules.GetLoadingPrecedence(), ":"), Next: next}
	}
	// Without access to the files, so that a renewed token is not written back either.
	client := clientcmd.NewNonInteractiveClientConfig(*file, name, &clientcmd.ConfigOverrides{}, nil)
	config, err := client.ClientConfig()
	if err != nil {
		return nil, &fault.Error{Kind: fault.Config, What: fmt.Sprintf("context %q of your kubeconfig is not usable", name), Err: err, Next: "kubectl --context " + name + " version says more."}
	}
	namespace, _, err := client.Namespace()
	if err != nil {
		return nil, fmt.Errorf("namespace of context %q: %w", name, err)
	}
	return openReader(config, name, namespace)
}

func openReader(config *rest.Config, name, namespace string) (*Reader, error) {
	config = rest.CopyConfig(config)
	config.UserAgent = "devenv"
	config.QPS = -1
	config.WarningHandlerWithContext = warnings{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return readOnly{next} })
	r := &Reader{context: name, namespace: namespace}
	var err error
	if r.http, err = rest.HTTPClientFor(config); err != nil {
		return nil, &fault.Error{Kind: fault.Config, What: fmt.Sprintf("context %q of your kubeconfig is not usable", name), Err: err, Next: "kubectl --context " + name + " version says more."}
	}
	if r.dynamic, err = dynamic.NewForConfigAndClient(config, r.http); err != nil {
		return nil, fmt.Errorf("prepare the dynamic client: %w", err)
	}
	disco, err := discovery.NewDiscoveryClientForConfigAndClient(config, r.http)
	if err != nil {
		return nil, fmt.Errorf("prepare the discovery client: %w", err)
	}
	r.apis = &apis{client: disco}
	return r, nil
}

// Close releases idle connections.
func (r *Reader) Close() { utilnet.CloseIdleConnectionsFor(r.http.Transport) }

// Found is what a Reader found out about declared objects.
type Found struct {
	Objects []plan.Object      // those that exist, with the ID that they are declared with and what the cluster holds as JSON
	Unread  map[plan.ID]string // those that the user may not read, and the server's words
}

// Read asks for each object at the version at which it is declared. What does not exist, or is of a kind that the cluster does not
// serve, is not in the answer.
func (r *Reader) Read(ctx context.Context, declared []plan.Object) (Found, error) {
	found := Found{Unread: map[plan.ID]string{}}
	if err := persist(ctx, readPatience, func(ctx context.Context) error { return r.apis.read(ctx, 0) }); err != nil {
		return Found{}, r.unreadable(err)
	}
	objects := make([]*plan.Object, len(declared))
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for i, o := range declared {
		g.Go(func() error {
			live, err := r.get(gctx, o)
			if apierrors.IsForbidden(err) {
				mu.Lock()
				defer mu.Unlock()
				found.Unread[o.ID] = err.Error()
				return nil
			}
			objects[i] = live
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return Found{}, r.unreadable(err)
	}
	for _, o := range objects {
		if o != nil {
			found.Objects = append(found.Objects, *o)
		}
	}
	return found, nil
}

// get reads one object; nil if it does not exist.
func (r *Reader) get(ctx context.Context, o plan.Object) (*plan.Object, error) {
	var head metav1.TypeMeta
	if err := json.Unmarshal(o.JSON, &head); err != nil {
		return nil, fmt.Errorf("decode %s: %w", o.ID, err)
	}
	gvk := schema.FromAPIVersionAndKind(head.APIVersion, head.Kind)
	a, err := r.apis.find(ctx, gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var at dynamic.ResourceInterface = r.dynamic.Resource(a.GVR)
	if a.Namespaced {
		namespace := o.ID.Namespace
		if namespace == "" {
			namespace = r.namespace
		}
		at = r.dynamic.Resource(a.GVR).Namespace(namespace)
	}
	var live *plan.Object
	err = persist(ctx, readPatience, func(ctx context.Context) error {
		u, err := at.Get(ctx, o.ID.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		} else if err != nil {
			return err
		}
		text, err := u.MarshalJSON()
		live = &plan.Object{ID: o.ID, JSON: bytes.TrimSpace(text), Origin: "context " + r.context}
		return err
	})
	return live, err
}

// unreadable is a cluster that does not answer as it should.
func (r *Reader) unreadable(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &fault.Error{Kind: fault.Machine, What: fmt.Sprintf("the cluster of context %q cannot be read", r.context), Err: err,
		Next: "kubectl --context " + r.context + " get namespaces shows whether you reach it and are logged in."}
}

// readOnly refuses every request but GET. It is outermost, below everything that sends.
type readOnly struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t readOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet {
		return t.next.RoundTrip(r)
	}
	if r.Body != nil {
		_ = r.Body.Close() // as RoundTrip must, and the error says more
	}
	return nil, &fault.Error{Kind: fault.Refused, What: fmt.Sprintf("%s %s: this cluster is only ever read", r.Method, r.URL.Path),
		Next: "This is a fault in devenv; please report it. Nothing was sent."}
}

// WrappedRoundTripper lets Close find the connections.
func (t readOnly) WrappedRoundTripper() http.RoundTripper { return t.next }
