package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/plan"
)

func TestAwaitLastLetsNothingWaitForReadiness(t *testing.T) {
	workload := func(name string) plan.Object {
		o := object("Deployment", name, "new")
		o.Images, o.Waits = []string{"docker.io/library/" + name + ":1"}, true
		return o
	}
	p := plan.Compute(plan.Desired{Sources: []plan.Source{
		{Name: "db", Objects: []plan.Object{object("ConfigMap", "db", "new"), workload("db")}},
		{Name: "unready", Objects: []plan.Object{workload("cache")}},
		{Name: "web", Objects: []plan.Object{object("ConfigMap", "web", "new"), workload("web")}},
	}}, plan.Observed{
		Cluster: plan.ClusterState{Status: plan.Running},
		Live:    map[plan.ID]plan.Live{id("Deployment", "cache"): {Exists: true, Hash: "new", Message: "0 of 1 ready"}},
	})
	before := p.String()
	want := `
[] -> #1 ConfigMap/academy/db, Apply, does not exist
[1] -> #2 Deployment/academy/db, Apply, does not exist
[2] -> #3 Deployment/academy/db, Await, was applied
[1 2] -> #4 Deployment/academy/cache, Await, 0 of 1 ready
[1 2] -> #5 ConfigMap/academy/web, Apply, does not exist
[1 2 5] -> #6 Deployment/academy/web, Apply, does not exist
[6] -> #7 Deployment/academy/web, Await, was applied
`
	if diff := cmp.Diff(want, "\n"+p.AwaitLast().String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if p.String() != before {
		t.Errorf("the plan itself was changed:\n%s", p)
	}
}
