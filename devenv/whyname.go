package devenv

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// subject is what somebody may ask about: a service, or an object that is declared or was applied.
type subject struct {
	service  string       // its name; empty for an object
	id       plan.ID      // of an object
	object   *plan.Object // as declared; nil for one that is no longer
	source   string       // the deploy source that the object belongs to
	isHook   bool
	hookHash string
}

// String is what a user types to mean it and nothing else.
func (s subject) String() string {
	if s.service != "" {
		return s.service
	}
	return s.id.String()
}

// findSubject finds what name means: a service; an object as Kind/namespace/name, Kind/name or just its name. The name of a service means the service,
// however many objects have it too. Kinds may be written in any case.
func findSubject(name string, all []subject) (subject, error) {
	var found []subject
	for _, s := range all {
		if s.service == name && name != "" {
			return s, nil
		}
		if s.service == "" && s.matches(name) {
			found = append(found, s)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	if len(found) > 1 {
		names := make([]string, len(found))
		for i, s := range found {
			names[i] = s.String()
		}
		return subject{}, &fault.Error{
			Kind: fault.Config, What: fmt.Sprintf("%s may be one of %d objects: %s", name, len(found), strings.Join(names, ", ")), Next: "Name one of them in full.",
		}
	}
	err := &fault.Error{Kind: fault.Config, What: fmt.Sprintf("there is no service and no object %q", name), Next: "`devenv render` shows the objects, `devenv status` the services."}
	if like := nearestSubject(name, all); like != "" {
		err.Next = "Did you mean " + like + "? " + err.Next
	}
	return subject{}, err
}

func (s subject) matches(name string) bool {
	switch parts := strings.Split(name, "/"); len(parts) {
	case 1:
		return s.id.Name == name
	case 2:
		return strings.EqualFold(s.id.Kind, parts[0]) && s.id.Name == parts[1]
	case 3:
		return strings.EqualFold(s.id.Kind, parts[0]) && s.id.Namespace == parts[1] && s.id.Name == parts[2]
	}
	return false
}

// nearestSubject is what name was probably meant to be, written as far as name was; empty if nothing is near.
func nearestSubject(name string, all []subject) string {
	best, least := "", max(1, len(name)/3)+1
	for _, s := range all {
		forms := []string{s.service}
		if s.service == "" {
			forms = []string{s.id.Name, s.id.Kind + "/" + s.id.Name, s.id.String()}
		}
		for _, form := range forms {
			d := levenshtein.Distance(strings.ToLower(name), strings.ToLower(form), nil)
			if d < least || d == least && best != "" && form < best {
				best, least = form, d
			}
		}
	}
	return best
}

// subjects lists what can be asked about, services first, then objects by their names.
func (p *Project) subjects(g *gathered) []subject {
	var all []subject
	for _, s := range p.config.Services {
		all = append(all, subject{service: s.Name})
	}
	declared := map[plan.ID]bool{}
	var list []subject
	for i := range g.desired.Sources {
		s := &g.desired.Sources[i]
		for j := range s.Objects {
			o := &s.Objects[j]
			declared[o.ID] = true
			list = append(list, subject{id: o.ID, object: o, source: s.Name})
		}
		for j := range s.Hooks {
			h := &s.Hooks[j]
			if !declared[h.ID] { // Helm lets a hook repeat an object
				declared[h.ID] = true
				list = append(list, subject{id: h.ID, object: &h.Object, source: s.Name, isHook: true, hookHash: h.Hash})
			}
		}
	}
	for id, applied := range g.observed.Applied {
		if !declared[id] {
			list = append(list, subject{id: id, source: applied.Source})
		}
	}
	slices.SortFunc(list, func(a, b subject) int { return cmp.Compare(a.String(), b.String()) })
	return append(all, list...)
}
