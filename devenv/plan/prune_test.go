package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/devenv-run/devenv/devenv/plan"
)

func widget(name string) plan.ID {
	return plan.ID{Group: "example.com", Kind: "Widget", Namespace: "academy", Name: name}
}

var widgets = plan.ID{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition", Name: "widgets.example.com"}

func TestPrune(t *testing.T) {
	claim, space := id("PersistentVolumeClaim", "data-db-0"), id("Namespace", "old")
	set := plan.ID{Group: "apps", Kind: "StatefulSet", Namespace: "academy", Name: "db"}
	inOld := plan.ID{Kind: "ConfigMap", Namespace: "old", Name: "c"}
	tests := []struct {
		name   string
		data   bool
		change func(d *plan.Desired)
		ours   []plan.ID
		holds  map[plan.ID][]plan.ID
		want   string
	}{
		{name: "content goes before its namespace, instances before their definition, whatever calls pods before all", ours: []plan.ID{
			space, inOld, widgets, widget("w"), {Group: "apps", Kind: "Deployment", Namespace: "academy", Name: "controller"},
			{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration", Name: "check"},
		}, holds: map[plan.ID][]plan.ID{space: {inOld}, widgets: {widget("w")}}, want: `
[] -> #1 ValidatingWebhookConfiguration/check, Delete, no longer declared
[1] -> #2 Widget/academy/w, Delete, no longer declared
[2] -> #3 Deployment/academy/controller, Delete, no longer declared
[3] -> #4 ConfigMap/old/c, Delete, no longer declared
[4] -> #5 CustomResourceDefinition/widgets.example.com, Delete, no longer declared
[5] -> #6 Namespace/old, Delete, no longer declared
`},
		{name: "a namespace that holds anything else is kept", ours: []plan.ID{space, inOld},
			holds: map[plan.ID][]plan.ID{space: {inOld, {Kind: "Secret", Namespace: "old", Name: "theirs"}}}, want: `
[] -> #1 ConfigMap/old/c, Delete, no longer declared
kept Namespace/old: it holds Secret/theirs
`},
		{name: "a definition with instances of others is kept, and so is the namespace that they are in", ours: []plan.ID{widgets, space},
			holds: map[plan.ID][]plan.ID{widgets: {widget("theirs")}, space: {widget("theirs")}}, want: `
kept CustomResourceDefinition/widgets.example.com: it has instances (Widget/academy/theirs)
kept Namespace/old: it holds Widget/theirs
`},
		{name: "the claim of a StatefulSet is kept, and with it its namespace", ours: []plan.ID{claim, space, set},
			holds: map[plan.ID][]plan.ID{space: {claim, set}}, want: `
[] -> #1 StatefulSet/academy/db, Delete, no longer declared
kept Namespace/old: it holds PersistentVolumeClaim/data-db-0
kept PersistentVolumeClaim/academy/data-db-0: it holds data
`},
		{name: "with --data everything goes", data: true, ours: []plan.ID{claim, space, widgets, set},
			holds: map[plan.ID][]plan.ID{space: {claim, {Kind: "Secret", Namespace: "old", Name: "theirs"}}, widgets: {widget("theirs")}}, want: `
[] -> #1 StatefulSet/academy/db, Delete, no longer declared
[1] -> #2 PersistentVolumeClaim/academy/data-db-0, Delete, no longer declared
[2] -> #3 CustomResourceDefinition/widgets.example.com, Delete, no longer declared
[3] -> #4 Namespace/old, Delete, no longer declared
`},
		{name: "what is declared goes not even then", data: true, ours: []plan.ID{id("Namespace", "academy"), widgets}, change: func(d *plan.Desired) {
			d.Sources[1].Objects = slices.DeleteFunc(d.Sources[1].Objects, func(o plan.Object) bool { return o.ID.Kind == "Namespace" })
			d.Sources[1].Objects = append(d.Sources[1].Objects, plan.Object{ID: widget("w"), Hash: "w1"})
		}, want: `
[] -> #1 Widget/academy/w, Apply, does not exist
kept CustomResourceDefinition/widgets.example.com: it has instances (Widget/academy/w)
kept Namespace/academy: it holds ConfigMap/settings, Deployment/grades, HorizontalPodAutoscaler/grades and 6 more
`},
		{name: "a source that is gone takes what its hooks left along", ours: []plan.ID{{Group: "batch", Kind: "Job", Namespace: "academy", Name: "migrate-old"}, id("ConfigMap", "old")}, want: `
[] -> #1 Job/academy/migrate-old, Delete, no longer declared
[1] -> #2 ConfigMap/academy/old, Delete, no longer declared
`},
		{name: "what another source declares now stays", ours: []plan.ID{id("ConfigMap", "settings")}, change: func(d *plan.Desired) {
			moved := d.Sources[1].Objects[1]
			d.Sources[1].Objects = slices.Delete(slices.Clone(d.Sources[1].Objects), 1, 2)
			d.Sources[0].Objects = append(d.Sources[0].Objects, moved)
		}, want: ``},
		{name: "an object that moves to another namespace is made there before it goes here", ours: []plan.ID{id("ConfigMap", "settings")},
			change: func(d *plan.Desired) { d.Sources[1].Objects[1].ID.Namespace = "other" }, want: `
[] -> #1 ConfigMap/other/settings, Apply, does not exist
[1] -> #2 ConfigMap/academy/settings, Delete, no longer declared
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := academy()
			o := settled(d)
			if tt.change != nil {
				tt.change(&d)
			}
			d.Data = tt.data
			for _, id := range tt.ours {
				o.Applied[id] = plan.AppliedRef{Source: "academy"}
			}
			o.Holds = tt.holds
			p := plan.Compute(d, o)
			got := p.String()
			for _, k := range p.Kept {
				got += "kept " + k.ID.String() + ": " + k.Reason + "\n"
			}
			if diff := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), got); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			for _, s := range p.Steps {
				if s.Action == plan.Delete && s.Data != tt.data {
					t.Errorf("%s: data is %v", s, s.Data)
				}
			}
		})
	}
}

// Whatever there is: what is declared is never removed, data only if that was asked for, nothing is removed from under what stays, and
// everything of ours that is not declared is either removed or said to be kept.
func TestPruneIsSafe(t *testing.T) {
	kinds := []plan.ID{
		{Kind: "Namespace"}, {Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}, {Kind: "PersistentVolumeClaim", Namespace: "a"},
		{Kind: "ConfigMap", Namespace: "b"}, {Group: "example.com", Kind: "Widget", Namespace: "a"}, {Group: "apps", Kind: "StatefulSet", Namespace: "b"},
	}
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) plan.ID {
			id := rapid.SampledFrom(kinds).Draw(t, label+" kind")
			id.Name = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, label+" name")
			return id
		}
		var d plan.Desired
		d.Data = rapid.Bool().Draw(t, "data")
		o := plan.Observed{Cluster: plan.ClusterState{Status: plan.Running}, Live: map[plan.ID]plan.Live{}, Applied: map[plan.ID]plan.AppliedRef{}, Holds: map[plan.ID][]plan.ID{}}
		declared := map[plan.ID]bool{}
		source := plan.Source{Name: "s"}
		for range rapid.IntRange(0, 6).Draw(t, "declared") {
			id := draw("declared")
			if !declared[id] {
				declared[id] = true
				source.Objects = append(source.Objects, plan.Object{ID: id, Hash: "h"})
				o.Live[id] = plan.Live{Exists: true, Hash: "h", Ready: true}
			}
		}
		d.Sources = []plan.Source{source}
		exists := map[plan.ID]bool{}
		for id := range declared {
			exists[id] = true
		}
		for range rapid.IntRange(0, 12).Draw(t, "ours") {
			id := draw("ours")
			o.Applied[id] = plan.AppliedRef{Source: "s"}
			exists[id] = true
		}
		for range rapid.IntRange(0, 6).Draw(t, "theirs") {
			exists[draw("theirs")] = true
		}
		for holder := range o.Applied {
			for in := range exists {
				if holder.Kind == "Namespace" && in.Namespace == holder.Name || holder.Kind == "CustomResourceDefinition" && in.Kind == "Widget" {
					o.Holds[holder] = append(o.Holds[holder], in)
				}
			}
		}
		p := plan.Compute(d, o)
		gone := map[plan.ID]bool{}
		for _, s := range p.Steps {
			if s.Action != plan.Delete {
				continue
			}
			id := *s.ID
			if _, ours := o.Applied[id]; !ours || declared[id] || plan.HoldsData(id) && !d.Data {
				t.Errorf("%s", s)
			}
			for _, in := range o.Holds[id] {
				if !gone[in] && (!d.Data || declared[in]) {
					t.Errorf("%s, which still holds %s", s, in)
				}
			}
			gone[id] = true
		}
		for _, k := range p.Kept {
			if gone[k.ID] || k.Reason == "" {
				t.Errorf("%v is kept", k)
			}
			gone[k.ID] = true
		}
		for id := range o.Applied {
			if !declared[id] && !gone[id] {
				t.Errorf("nothing is said of %s", id)
			}
		}
	})
}
