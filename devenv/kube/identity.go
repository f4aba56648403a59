package kube

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/devenv-run/devenv/devenv/fault"
)

// UID identifies the cluster: it is that of its kube-system namespace, which lives exactly as long as the cluster does.
func (c *Cluster) UID(ctx context.Context) (string, error) {
	var uid string
	err := persist(ctx, readPatience, func(ctx context.Context) error {
		ns, err := c.core.Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
		if err == nil {
			uid = string(ns.UID)
		}
		return err
	})
	if err != nil {
		return "", unanswered(err, "the cluster's identity could not be read")
	}
	return uid, nil
}

// Verify makes sure that the cluster is the one that Options.UID names. It asks the API server once; a cluster that is another one, and a
// Cluster that was opened without UID, are a fault.Refused. Nothing is ever changed in a cluster that has not passed it, since every
// changing request does it first (see guarded); calling it early says so before work is spent.
//
// Once is enough: the kubeconfig was read once, and every cluster has certificates of its own, so that no other one can
// take its place on the same connection or address later.
func (c *Cluster) Verify(ctx context.Context) error {
	select {
	case c.verifying <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-c.verifying }()
	if c.verified {
		return nil
	}
	if c.uid == "" {
		return &fault.Error{Kind: fault.Refused, What: "nothing is changed in a cluster that was opened to be read",
			Next: "Use a cluster that devenv created: devenv up makes one."}
	}
	uid, err := c.UID(ctx)
	if err != nil {
		return err
	}
	if uid != c.uid {
		return &fault.Error{Kind: fault.Refused, What: "the cluster at " + c.config.Host + " is not the one that devenv created",
			Err:  fmt.Errorf("its UID is %s, where that of devenv's cluster is %s", uid, c.uid),
			Next: "Remove the environment's kubeconfig and run the command again: devenv writes it anew for its own cluster."}
	}
	c.verified = true
	return nil
}

// guarded lets a request that may change something pass only once the cluster has shown that it is the expected one. It is below
// everything that this package sends, so that no code above can forget it.
type guarded struct {
	next   http.RoundTripper
	verify func(context.Context) error
}

// RoundTrip implements http.RoundTripper.
func (g guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return g.next.RoundTrip(r)
	}
	if err := g.verify(r.Context()); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as RoundTrip must, and err says more
		}
		return nil, err
	}
	return g.next.RoundTrip(r)
}

// WrappedRoundTripper lets Close find the connections.
func (g guarded) WrappedRoundTripper() http.RoundTripper { return g.next }

// elsewhere is the refusal that an error of reading amounts to: a server whose certificate another authority signed belongs to another
// cluster. Nil for other errors.
func elsewhere(err error) error {
	var signer x509.UnknownAuthorityError
	if !errors.As(err, &signer) {
		return nil
	}
	return &fault.Error{Kind: fault.Refused, What: "another cluster answers at the API endpoint of the one that devenv created", Err: signer,
		Next: "See what listens there, or remove the environment's kubeconfig and run the command again: devenv writes it anew."}
}
