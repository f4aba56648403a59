package kube

import (
	"context"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/devenv-run/devenv/devenv/plan"
	"golang.org/x/sync/errgroup"
)

// holds says what would be lost with an object besides what it declares; empty if nothing.
func (c *Cluster) holds(ctx context.Context, id plan.ID, live *unstructured.Unstructured) (string, error) {
	switch groupKind(id) {
	case schema.GroupKind{Kind: "PersistentVolumeClaim"}, schema.GroupKind{Kind: "PersistentVolume"}:
		return "it holds data", nil
	case schema.GroupKind{Kind: "Namespace"}:
	case definitions:
	default:
		return "", nil
	}
	left, err := c.contents(ctx, id, live)
	if err != nil || len(left) == 0 {
		return "", err
	}
	return plan.Holding(id, left), nil
}

var definitions = schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}

// contents lists what lives in a namespace and will not go by itself, or the instances of a definition. Other kinds hold nothing.
func (c *Cluster) contents(ctx context.Context, id plan.ID, live *unstructured.Unstructured) ([]plan.ID, error) {
	switch groupKind(id) {
	case schema.GroupKind{Kind: "Namespace"}:
		return c.strangers(ctx, id.Name)
	case definitions:
		return c.instances(ctx, live)
	}
	return nil, nil
}

// strangers lists what is in a namespace and will not go by itself. What every namespace has, what belongs
// to something that is being deleted and what only reports does not count.
func (c *Cluster) strangers(ctx context.Context, namespace string) ([]plan.ID, error) {
	kinds, err := c.apis.preferred(ctx)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var found []plan.ID
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for _, a := range kinds {
		if !a.Namespaced || !a.can("list") || !a.can("delete") || passing(a) {
			continue
		}
		g.Go(func() error {
			items, err := c.items(ctx, a, namespace)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for i := range items {
				if u := &items[i]; stranger(u) {
					found = append(found, plan.ID{Group: a.GVR.Group, Kind: a.Kind, Namespace: namespace, Name: u.GetName()})
				}
			}
			return nil
		})
	}
	err = g.Wait()
	slices.SortFunc(found, compare)
	return found, err
}

// items lists the objects of a kind, of all namespaces for "". None are those of a definition that is on its way out, and of an aggregated API
// whose server is gone. Any other server that is away for a moment is waited for: to take its answer for none would delete what there is.
func (c *Cluster) items(ctx context.Context, a api, namespace string) (items []unstructured.Unstructured, err error) {
	err = persist(ctx, readPatience, func(ctx context.Context) error {
		l, err := c.dynamic.Resource(a.GVR).Namespace(namespace).List(ctx, metav1.ListOptions{})
		switch {
		case err == nil:
			items = l.Items
			return nil
		case apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err):
			return nil
		case apierrors.IsServiceUnavailable(err):
			if other, unknown := c.aggregated(ctx, a.GVR.GroupVersion()); unknown == nil && other {
				return nil
			}
		}
		return err
	})
	return items, err
}

// aggregated says whether another server than the API server itself serves a version of an API group.
func (c *Cluster) aggregated(ctx context.Context, gv schema.GroupVersion) (bool, error) {
	if gv.Group == "" {
		return false, nil
	}
	services := schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
	s, err := c.dynamic.Resource(services).Get(ctx, gv.Version+"."+gv.Group, metav1.GetOptions{})
	if err != nil {
		return false, err
	}
	service, _, err := unstructured.NestedMap(s.Object, "spec", "service")
	return service != nil, err
}

// passing kinds hold nothing that anybody made: reports, marks of who leads, mirrors of Services.
func passing(a api) bool {
	switch a.Kind {
	case "Event", "Endpoints", "EndpointSlice", "Lease":
		return true
	}
	return a.GVR.Group == "metrics.k8s.io"
}

// stranger says whether an object would stay in its namespace if nobody deleted it, and was not put there by the cluster
// itself.
func stranger(u *unstructured.Unstructured) bool {
	switch {
	case u.GetDeletionTimestamp() != nil, len(u.GetOwnerReferences()) > 0:
		return false
	case u.GetKind() == "ConfigMap" && u.GetName() == "kube-root-ca.crt", u.GetKind() == "ServiceAccount" && u.GetName() == "default":
		return false
	case u.GetKind() == "Secret" && u.GetAnnotations()[corev1.ServiceAccountNameKey] != "":
		return false
	}
	return true
}

// instances lists the objects of a definition's kind.
func (c *Cluster) instances(ctx context.Context, crd *unstructured.Unstructured) ([]plan.ID, error) {
	group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
	a, err := c.apis.find(ctx, schema.GroupKind{Group: group, Kind: kind}, "")
	if meta.IsNoMatchError(err) {
		return nil, c.apis.silent(group) // not served, so there is nothing to read
	}
	if err != nil {
		return nil, err
	}
	items, err := c.items(ctx, a, "")
	if err != nil {
		return nil, err
	}
	found := make([]plan.ID, len(items))
	for i := range items {
		found[i] = identify(&items[i])
	}
	return found, nil
}

// claims finds the claims that the controller of a StatefulSet of devenv's made, with their UIDs; uid is the set's in the inventory. Those
// that go with the set by its own policy are not among them. Empty for other kinds, where there is no such set, and where it is somebody
// else's by now.
func (c *Cluster) claims(ctx context.Context, id plan.ID, uid string) (map[plan.ID]string, error) {
	if groupKind(id) != statefulSets {
		return nil, nil
	}
	a, err := c.apis.find(ctx, groupKind(id), "")
	if err != nil {
		return nil, err
	}
	set, err := c.resource(a, id).Get(ctx, id.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !c.same(set, uid) {
		return nil, nil
	}
	templates, _, _ := unstructured.NestedSlice(set.Object, "spec", "volumeClaimTemplates")
	if len(templates) == 0 {
		return nil, nil
	}
	all, err := c.core.PersistentVolumeClaims(id.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	found := map[plan.ID]string{}
	for _, t := range templates {
		name, _, _ := unstructured.NestedString(t.(map[string]any), "metadata", "name")
		template := claimTemplate{name: name, set: id.Name}
		for _, claim := range all.Items {
			if template.made(claim.Name) && len(claim.OwnerReferences) == 0 {
				found[plan.ID{Kind: "PersistentVolumeClaim", Namespace: id.Namespace, Name: claim.Name}] = string(claim.UID)
			}
		}
	}
	return found, nil
}
