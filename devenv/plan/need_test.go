package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/devenv-run/devenv/devenv/plan"
)

// begun are the images that a plan from nothing builds or loads, in its order.
func begun(d plan.Desired) []string {
	var refs []string
	for _, s := range plan.Compute(d, plan.Observed{Cluster: plan.ClusterState{Status: plan.Absent}}).Steps {
		if s.Action == plan.Load {
			refs = append(refs, s.Image.Ref)
		}
	}
	return refs
}

func TestImagesComeInTheOrderOfNeed(t *testing.T) {
	runs := func(name string, weight int, image string, events ...string) plan.Hook {
		return plan.Hook{Object: object("Job", name, "h", image), Events: events, Weight: weight}
	}
	d := plan.Desired{Cluster: plan.Cluster{Name: "c", Nodes: []string{"n"}}, Sources: []plan.Source{
		{Name: "metrics", Aside: true, Objects: []plan.Object{object("Deployment", "metrics", "h", "aside")}},
		{Name: "data", Objects: []plan.Object{object("StatefulSet", "db", "h", "database")}},
		{
			Name:    "app",
			Objects: []plan.Object{object("ConfigMap", "c", "h"), object("Deployment", "web", "h", "web", "proxy"), object("Deployment", "api", "h", "api")},
			Hooks: []plan.Hook{
				runs("seed", 0, "seed", "post-install"),
				runs("migrate", 1, "api", "pre-upgrade", "pre-install"),
				runs("check", -1, "check", "pre-install"),
				runs("smoke", -9, "smoke", "test"),
			},
		},
	}}
	want := []string{"database", "check", "api", "web", "proxy", "seed", "aside", "smoke", "unused"}
	rapid.Check(t, func(t *rapid.T) {
		d := d
		d.Images = nil
		for _, ref := range rapid.Permutation(want[:len(want)-2]).Draw(t, "declared") {
			d.Images = append(d.Images, plan.Image{Ref: ref})
		}
		// What no deployment uses keeps its order, behind everything else.
		d.Images = append([]plan.Image{{Ref: "smoke"}, {Ref: "unused"}}, d.Images...)
		if diff := cmp.Diff(strings.Join(want, " "), strings.Join(begun(d), " ")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
