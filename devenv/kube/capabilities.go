package kube

import (
	"context"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Capabilities is what Helm's .Capabilities says of the cluster: its version ("v1.36.3") and its API list, sorted, holding
// both versions ("apps/v1") and kinds ("apps/v1/Deployment").
func (c *Cluster) Capabilities(ctx context.Context) (version string, apis []string, err error) {
	err = persist(ctx, readPatience, func(ctx context.Context) error {
		info, err := c.apis.client.ServerVersionWithContext(ctx)
		if err != nil {
			return err
		}
		version = info.GitVersion
		lists, err := c.apis.all(ctx)
		apis = versions(lists)
		return err
	})
	if err != nil {
		return "", nil, unanswered(err, "the cluster's version and API list could not be read")
	}
	return version, apis, nil
}

// versions lists every group/version and every group/version/Kind once, sorted. As in Helm, the kinds of subresources count
// under the version of what they belong to: apps/v1/Scale.
func versions(lists []*metav1.APIResourceList) []string {
	seen := map[string]bool{}
	for _, l := range lists {
		seen[l.GroupVersion] = true
		for _, r := range l.APIResources {
			seen[l.GroupVersion+"/"+r.Kind] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// Namespaced says whether objects of a kind live in a namespace; known is false for a kind of which the server said nothing
// when it was last asked, as Capabilities and Observe do.
func (c *Cluster) Namespaced(group, kind string) (namespaced, known bool) {
	a, _, known := c.apis.lookup(schema.GroupKind{Group: group, Kind: kind}, "")
	return a.Namespaced, known
}

// Deployed names the deploy sources that were deployed to their end at least once: their next deployment is an upgrade.
func (c *Cluster) Deployed(ctx context.Context) (map[string]bool, error) {
	v, err := c.ledger.fresh(ctx)
	return v.Sources, err
}
