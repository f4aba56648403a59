package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kept is an object of devenv's that is no longer declared and stays all the same. It is told, and is no step.
type Kept struct {
	ID     ID
	Reason string // as a phrase about it: "it holds data"
}

// prune removes what devenv applied once and is declared no more, in an order in which nothing is taken from under what still needs it. Data
// stays, and with it whatever it is in; so do a namespace and a definition while anything else lives in them. Desired.Data lets them go.
func (b *builder) prune(d Desired) []Kept {
	declared := declaredBy(d.Sources)
	var kept []Kept
	going := map[ID]bool{}
	var holders []ID
	for _, id := range slices.SortedFunc(maps.Keys(b.observed.Applied), compare) {
		switch {
		case declared[id]:
		case HoldsData(id) && !d.Data:
			kept = append(kept, Kept{ID: id, Reason: "it holds data"})
		case isDefinition(id):
			holders = append(holders, id)
		default:
			going[id] = true
		}
	}
	// Definitions before the namespaces, which may hold their instances.
	slices.SortStableFunc(holders, func(x, y ID) int { return cmp.Compare(Wave(x), Wave(y)) })
	for _, id := range holders {
		left := slices.DeleteFunc(slices.Clone(b.observed.Holds[id]), func(in ID) bool { return going[in] || d.Data && !declared[in] })
		for other := range declared { // they may be about to be made
			if livesIn(other, id, d.Data) && !slices.Contains(left, other) {
				left = append(left, other)
			}
		}
		if len(left) == 0 {
			going[id] = true
			continue
		}
		kept = append(kept, Kept{ID: id, Reason: Holding(id, left)})
	}
	b.delete(going, d.Data)
	slices.SortFunc(kept, func(x, y Kept) int { return compare(x.ID, y.ID) })
	return kept
}

// delete plans the steps, wave by wave.
func (b *builder) delete(going map[ID]bool, data bool) {
	needs := union(b.ready, b.barrier)
	waves := make([][]ID, waveCount)
	for _, id := range slices.SortedFunc(maps.Keys(going), compare) {
		waves[Wave(id)] = append(waves[Wave(id)], id)
	}
	for _, wave := range waves {
		var steps []int
		for _, id := range wave {
			steps = append(steps, b.add(Step{
				Action: Delete, Source: b.observed.Applied[id].Source, Subject: id.String(), Cause: "no longer declared", ID: &id, Data: data,
			}, needs))
		}
		if len(steps) > 0 {
			needs = steps
		}
	}
}

// declaredBy is what sources declare, hooks included.
func declaredBy(sources []Source) map[ID]bool {
	declared := map[ID]bool{}
	for _, s := range sources {
		for _, o := range s.Objects {
			declared[o.ID] = true
		}
		for _, h := range s.Hooks {
			declared[h.ID] = true
		}
	}
	return declared
}

func compare(x, y ID) int {
	return cmp.Or(cmp.Compare(x.String(), y.String()), cmp.Compare(x.Group, y.Group))
}

// HoldsData says whether an object's kind is one that holds what its declaration cannot bring back.
func HoldsData(id ID) bool {
	return id.Group == "" && (id.Kind == "PersistentVolumeClaim" || id.Kind == "PersistentVolume")
}

// livesIn says whether an object would go with the namespace, or with the definition. Which of its group's kinds a definition is for, its name
// does not tell: data says that it would go unasked, and then none of the group may be declared.
func livesIn(id, holder ID, data bool) bool {
	if holder.Kind == "Namespace" {
		return id.Namespace == holder.Name
	}
	_, group, _ := strings.Cut(holder.Name, ".")
	return data && id.Group == group
}

// Holding says in a phrase what a namespace or a definition holds.
func Holding(holder ID, contents []ID) string {
	names := make([]string, len(contents))
	for i, id := range contents {
		names[i] = id.Kind + "/" + id.Name
		if holder.Kind != "Namespace" {
			names[i] = id.String()
		}
	}
	slices.Sort(names)
	const most = 3
	more := ""
	if len(names) > most {
		more = fmt.Sprintf(" and %d more", len(names)-most)
		names = names[:most]
	}
	if holder.Kind == "Namespace" {
		return "it holds " + strings.Join(names, ", ") + more
	}
	return "it has instances (" + strings.Join(names, ", ") + more + ")"
}

const waveCount = 6

// Wave says when an object is deleted: those of a lower wave are gone before those of a higher one.
func Wave(id ID) int {
	builtIn := id.Group == "" || !strings.Contains(id.Group, ".") || strings.HasSuffix(id.Group, ".k8s.io")
	switch {
	case id.Group == "admissionregistration.k8s.io", id.Kind == "APIService":
		return 0 // they would call, for all that follows, pods that are gone
	case !builtIn:
		return 1 // while the controllers still run that clear their finalizers
	case id.Kind == "CustomResourceDefinition":
		return 4
	case id.Kind == "Namespace":
		return waveCount - 1
	case id.Group == "apps", id.Group == "batch", id.Kind == "Pod", id.Group == "autoscaling", id.Group == "policy":
		return 2
	}
	return 3 // what workloads use: configuration, claims, accounts, Services
}
