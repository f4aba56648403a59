package render

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"

	"github.com/devenv-run/devenv/devenv/plan"
)

// seal makes plan.Sources of the drafts: objects in install order, hooks in the order in which Helm runs them.
func (r *rendering) seal() ([]plan.Source, error) {
	sources := make([]plan.Source, len(r.in.Sources))
	for i, s := range r.in.Sources {
		sources[i].Name = s.Name
	}
	scaled := r.autoscaled()
	drafts := slices.Clone(r.drafts)
	slices.SortStableFunc(drafts, byInstallOrder)
	for _, d := range drafts {
		r.in.Secrets.AddObject(d.object)
		object, err := d.seal()
		if err != nil {
			return nil, err
		}
		source := &sources[d.source]
		if d.hook == nil {
			if scaled[d.id] {
				object = leaveReplicas(object)
			}
			source.Objects = append(source.Objects, object)
			continue
		}
		source.Hooks = append(source.Hooks, plan.Hook{
			Object: object, Events: d.hook.events, Weight: d.hook.weight, DeletePolicy: d.hook.deletePolicy,
		})
	}
	for _, s := range sources {
		slices.SortStableFunc(s.Hooks, func(a, b plan.Hook) int {
			return cmp.Or(cmp.Compare(a.Weight, b.Weight), cmp.Compare(a.ID.Name, b.ID.Name))
		})
	}
	return sources, nil
}

// seal makes the draft a plan.Object.
func (d *draft) seal() (plan.Object, error) {
	canonical, err := canonicalJSON(d.object)
	if err != nil {
		return plan.Object{}, fmt.Errorf("encoding %s of %s: %w", d.id, d.origin, err)
	}
	sum := sha256.Sum256(canonical)
	o := plan.Object{
		ID: d.id, JSON: canonical, Hash: hex.EncodeToString(sum[:]), Origin: d.origin, Waits: waits(d.id),
	}
	for _, s := range slots(d.object, d.id) {
		if !slices.Contains(o.Images, s.ref()) {
			o.Images = append(o.Images, s.ref())
		}
	}
	return o, nil
}

// canonicalJSON encodes a decoded object: keys sorted, no space, nothing escaped that need not be.
func canonicalJSON(object map[string]any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(object); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// byInstallOrder compares drafts by when their kinds are installed: namespaces and definitions first, for they make the
// rest possible; then Helm's order; then all other kinds by name. Drafts of one kind stay as declared.
func byInstallOrder(a, b *draft) int {
	ra, rb := installRank(a.id.Kind), installRank(b.id.Kind)
	if ra == unranked && rb == unranked {
		return cmp.Compare(a.id.Kind, b.id.Kind)
	}
	return cmp.Compare(ra, rb)
}

// unranked is the rank of kinds that Helm's order does not know.
const unranked = 1000

// installRank is a kind's place in the install order.
func installRank(kind string) int {
	switch kind {
	case "Namespace":
		return -2
	case "CustomResourceDefinition":
		return -1
	}
	if i := slices.Index(releaseutil.InstallOrder, kind); i >= 0 {
		return i
	}
	return unranked
}

// waiting are Kubernetes' own kinds that become ready some time after they were applied. A Service is not among them: one of
// type LoadBalancer never becomes ready in a cluster without a load balancer.
var waiting = map[groupKind]bool{
	{"", "PersistentVolumeClaim"}:                        true,
	{"", "Pod"}:                                          true,
	{"", "ReplicationController"}:                        true,
	{"apiextensions.k8s.io", "CustomResourceDefinition"}: true,
	{"apiregistration.k8s.io", "APIService"}:             true,
	{"apps", "DaemonSet"}:                                true,
	{"apps", "Deployment"}:                               true,
	{"apps", "ReplicaSet"}:                               true,
	{"apps", "StatefulSet"}:                              true,
	{"batch", "Job"}:                                     true,
}

// waits says whether readiness means anything for an object. Custom objects may report it in their conditions; those
// that do not count as ready at once.
func waits(id plan.ID) bool {
	return !builtin(id.Group) || waiting[groupKind{id.Group, id.Kind}]
}
