package kube

import (
	"encoding/json"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/devenv-run/devenv/devenv/plan"
)

// declarations is what sources want to exist: their objects and hooks, and the claims that the controllers of their StatefulSets make or made
// before. Nobody writes such a claim down, and it lives exactly as long as its set is wanted: the set uses it again when it comes back.
type declarations struct {
	sources map[string]bool
	ids     map[plan.ID]bool
	claims  map[string][]claimTemplate // by namespace
}

// claimTemplate is what a StatefulSet makes claims from: data-db-0, data-db-1, … of the template data of the set db.
type claimTemplate struct{ name, set string }

func declaredBy(sources []plan.Source) declarations {
	d := declarations{sources: map[string]bool{}, ids: map[plan.ID]bool{}, claims: map[string][]claimTemplate{}}
	for _, s := range sources {
		d.sources[s.Name] = true
		for _, o := range s.Objects {
			d.add(o)
		}
		for _, h := range s.Hooks {
			d.add(h.Object)
		}
	}
	return d
}

func (d declarations) add(o plan.Object) {
	d.ids[o.ID] = true
	if groupKind(o.ID) != statefulSets {
		return
	}
	var set struct {
		Spec struct {
			VolumeClaimTemplates []struct {
				Metadata struct {
					Name string `json:"name"`
				} `json:"metadata"`
			} `json:"volumeClaimTemplates"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(o.JSON, &set); err != nil {
		return // the server refuses such a set, before anything is removed
	}
	for _, t := range set.Spec.VolumeClaimTemplates {
		d.claims[o.ID.Namespace] = append(d.claims[o.ID.Namespace], claimTemplate{name: t.Metadata.Name, set: o.ID.Name})
	}
}

// want says whether an object is declared, or a claim of a declared StatefulSet.
func (d declarations) want(id plan.ID) bool {
	if d.ids[id] {
		return true
	}
	if groupKind(id) != (schema.GroupKind{Kind: "PersistentVolumeClaim"}) {
		return false
	}
	for _, t := range d.claims[id.Namespace] {
		if t.made(id.Name) {
			return true
		}
	}
	return false
}

// made says whether a claim has a name that the set's controller gives.
func (t claimTemplate) made(claim string) bool {
	ordinal, ok := strings.CutPrefix(claim, t.name+"-"+t.set+"-")
	_, err := strconv.ParseUint(ordinal, 10, 32)
	return ok && err == nil
}

var statefulSets = schema.GroupKind{Group: "apps", Kind: "StatefulSet"}
