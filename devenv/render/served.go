package render

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// refuseUnserved finds objects of kinds that no API server will know when their turn comes: one of Kubernetes' own that the cluster does not
// serve, and one whose definition is declared by a later source. What else is unknown, a controller of an earlier source may yet
// define.
func (r *rendering) refuseUnserved() error {
	first := map[groupKind]*draft{} // the definition that is there first
	for _, d := range r.drafts {
		if def, ok := definitionOf(d.object, d.id); ok && (first[def.kind] == nil || d.source < first[def.kind].source) {
			first[def.kind] = d
		}
	}
	var failed []error
	for _, d := range r.drafts {
		gk := groupKind{d.id.Group, d.id.Kind}
		if def := first[gk]; def != nil {
			if def.source > d.source {
				early, late := r.in.Sources[d.source].Name, r.in.Sources[def.source].Name
				failed = append(failed, config(d.origin, fmt.Sprintf("%s of source %s is of a kind that source %s defines later, in %s", d.id, early, late, def.origin), nil,
					fmt.Sprintf("Move source %s before %s, or the CustomResourceDefinition %s into %s.", late, early, def.id.Name, early)))
			}
			continue
		}
		if builtin(gk.group) && !r.served(d) {
			failed = append(failed, r.unserved(d))
		}
	}
	return errors.Join(failed...)
}

// served says whether the cluster serves an object's kind in its version. Without a cluster that has told all its kinds, which Namespace is
// one of, everything counts as served.
func (r *rendering) served(d *draft) bool {
	namespaced := r.in.Capabilities.Namespaced
	if namespaced == nil {
		return true
	}
	if _, all := namespaced("", "Namespace"); !all {
		return true
	}
	if _, known := namespaced(d.id.Group, d.id.Kind); !known {
		return false
	}
	version, _ := d.object["apiVersion"].(string)
	return slices.Contains(r.in.Capabilities.APIVersions, version+"/"+d.id.Kind)
}

// unserved is the fault of an object whose kind the cluster does not serve. If it serves the kind under another apiVersion, that is what to use.
func (r *rendering) unserved(d *draft) error {
	var instead []string
	for _, served := range r.in.Capabilities.APIVersions {
		if version, ok := strings.CutSuffix(served, "/"+d.id.Kind); ok {
			instead = append(instead, version)
		}
	}
	version, _ := d.object["apiVersion"].(string)
	next := "Correct its apiVersion and kind."
	if len(instead) > 0 {
		next = fmt.Sprintf("The cluster serves %s as %s.", d.id.Kind, strings.Join(instead, ", "))
	}
	return config(d.origin, fmt.Sprintf("%s: Kubernetes %s has no kind %s in %s", d.id, r.in.Capabilities.KubeVersion, d.id.Kind, version), nil, next)
}
