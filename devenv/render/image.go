package render

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/distribution/reference"
)

const (
	pullAlways       = "Always"
	pullIfNotPresent = "IfNotPresent"
)

// substitute puts the services' images into all pods and returns the images of others, as the resources write them,
// sorted. Of images that only hooks use which devenv does not run, none is returned.
func (r *rendering) substitute(ctx context.Context) ([]string, error) {
	services, err := r.servicesByRepository()
	if err != nil {
		return nil, err
	}
	used := map[string]bool{} // names of services
	found := map[string]string{}
	wanted := map[string]bool{}
	var third []slot
	for _, d := range r.drafts {
		for _, s := range slots(d.object, d.id) {
			name, err := reference.ParseNormalizedNamed(s.ref())
			if err != nil {
				r.note(fmt.Sprintf("%s: %s names the image %q, which is no valid reference: %v", d.origin, d.id, s.ref(), err))
				continue
			}
			if service, ok := services[name.Name()]; ok {
				used[service.Name] = true
				s.use(service)
				continue
			}
			if repository := reference.FamiliarName(name); found[repository] == "" {
				found[repository] = d.id.String()
			}
			if d.hook == nil || d.hook.planned() {
				wanted[s.ref()] = true
				third = append(third, s)
			}
		}
	}
	if err := r.refuseUnused(used, found); err != nil {
		return nil, err
	}
	refs := slices.Sorted(maps.Keys(wanted))
	return refs, r.keepPresent(ctx, refs, third)
}

// servicesByRepository are the services by the full name of their repository (docker.io/library/nginx).
func (r *rendering) servicesByRepository() (map[string]Service, error) {
	services := make(map[string]Service, len(r.in.Services))
	for _, s := range r.in.Services {
		name, err := reference.ParseNormalizedNamed(s.Repository)
		if err != nil {
			return nil, config(s.Pos, fmt.Sprintf("image %q of service %s", s.Repository, s.Name), err,
				"Name the repository as the production resources do, such as registry.example.com/academy/grades.")
		}
		if other, ok := services[name.Name()]; ok {
			return nil, config(s.Pos, fmt.Sprintf("services %s and %s have the same image %s", other.Name, s.Name, s.Repository), nil,
				"Give each service a repository of its own.")
		}
		services[name.Name()] = s
	}
	return services, nil
}

// use makes the slot run the service's image, which is on the nodes before any pod needs it.
func (s slot) use(service Service) {
	s.at[s.image] = service.Ref
	s.setPolicy()
}

// setPolicy makes the kubelet take the image that is there.
func (s slot) setPolicy() {
	if _, declared := s.at[s.policy]; declared || s.exact {
		s.at[s.policy] = pullIfNotPresent
	}
}

// keepPresent stops the kubelet from pulling images that the local engine holds (they are loaded into the nodes) where it
// would do so although they are there.
func (r *rendering) keepPresent(ctx context.Context, refs []string, third []slot) error {
	if r.in.Present == nil || len(refs) == 0 {
		return nil
	}
	present, err := r.in.Present(ctx, refs)
	if err != nil {
		return err
	}
	for _, s := range third {
		if present[s.ref()] && s.alwaysPulled() {
			s.setPolicy()
		}
	}
	return nil
}

// alwaysPulled says that the slot's declared pull policy, or its default, is Always.
func (s slot) alwaysPulled() bool {
	if declared, ok := s.at[s.policy].(string); ok && declared != "" {
		return declared == pullAlways
	}
	name, err := reference.ParseNormalizedNamed(s.ref())
	if err != nil {
		return false
	}
	if _, pinned := name.(reference.Digested); pinned {
		return false
	}
	tagged, ok := name.(reference.Tagged)
	return !ok || tagged.Tag() == "latest"
}
