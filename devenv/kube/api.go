package kube

import (
	"context"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// api is where the server keeps the objects of one kind.
type api struct {
	GVR        schema.GroupVersionResource
	Kind       string
	Namespaced bool
	Verbs      []string
}

func (a api) can(verb string) bool { return slices.Contains(a.Verbs, verb) }

// apis knows the kinds that the server serves. It asks once, and again when a kind is missing, because a
// CustomResourceDefinition may have added it since.
type apis struct {
	client discovery.DiscoveryInterfaceWithContext

	mu    sync.Mutex
	reads int // how often the server was asked; 0: never
	lists []*metav1.APIResourceList
	kinds map[schema.GroupKind][]api // the group's preferred version first
	mute  map[string]error           // by API group: why the server could not say what it serves of it
}

// find says where objects of a kind are kept: at the given version, or at the preferred one for "". It asks the server again
// at most once, and then answers with a meta.NoKindMatchError.
func (s *apis) find(ctx context.Context, gk schema.GroupKind, version string) (api, error) {
	found, reads, ok := s.lookup(gk, version)
	if ok {
		return found, nil
	}
	if err := s.read(ctx, reads); err != nil {
		return api{}, err
	}
	if found, _, ok = s.lookup(gk, version); ok {
		return found, nil
	}
	missing := &meta.NoKindMatchError{GroupKind: gk}
	if version != "" {
		missing.SearchedVersions = []string{version}
	}
	return api{}, missing
}

func (s *apis) lookup(gk schema.GroupKind, version string) (found api, reads int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.kinds[gk] {
		if version == "" || a.GVR.Version == version {
			return a, s.reads, true
		}
	}
	return api{}, s.reads, false
}

// read asks the server what it serves, unless somebody did since the caller saw that reads had been made. One request each
// for the core group and the others, where the server aggregates (1.27 and later).
func (s *apis) read(ctx context.Context, reads int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reads > reads {
		return nil
	}
	groups, lists, err := s.client.ServerGroupsAndResourcesWithContext(ctx)
	failed, partial := discovery.GroupDiscoveryFailedErrorGroups(err)
	if err != nil && !partial {
		return err
	}
	// A failed group belongs to an aggregated API whose server is not ready, such as metrics.k8s.io: the rest is good.
	s.lists, s.kinds, s.mute = lists, index(groups, lists), map[string]error{}
	for gv, err := range failed {
		s.mute[gv.Group] = err
	}
	s.reads++
	return nil
}

// silent says why nobody knows which kinds an API group has; nil where that is known. A kind of a silent group that find does not find may
// be served again in a moment, with all its objects.
func (s *apis) silent(group string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mute[group]
}

// all lists everything that the server serves.
func (s *apis) all(ctx context.Context) ([]*metav1.APIResourceList, error) {
	if err := s.read(ctx, 0); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lists, nil
}

// preferred lists every kind once, at its group's preferred version.
func (s *apis) preferred(ctx context.Context) ([]api, error) {
	if err := s.read(ctx, 0); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []api
	for _, versions := range s.kinds {
		all = append(all, versions[0])
	}
	return all, nil
}

// index sorts what the server serves by kind, each group's preferred version first. Subresources are left out.
func index(groups []*metav1.APIGroup, lists []*metav1.APIResourceList) map[schema.GroupKind][]api {
	preferred := map[string]string{}
	for _, g := range groups {
		preferred[g.Name] = g.PreferredVersion.Version
	}
	kinds := map[schema.GroupKind][]api{}
	for _, l := range lists {
		gv, err := schema.ParseGroupVersion(l.GroupVersion)
		if err != nil {
			continue // not a name that an object's apiVersion could have
		}
		for _, r := range l.APIResources {
			if slices.Contains([]byte(r.Name), '/') {
				continue
			}
			gk := schema.GroupKind{Group: gv.Group, Kind: r.Kind}
			a := api{GVR: gv.WithResource(r.Name), Kind: r.Kind, Namespaced: r.Namespaced, Verbs: r.Verbs}
			if gv.Version == preferred[gv.Group] {
				kinds[gk] = slices.Insert(kinds[gk], 0, a)
			} else {
				kinds[gk] = append(kinds[gk], a)
			}
		}
	}
	return kinds
}
