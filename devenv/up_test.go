package devenv

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/plan"
)

func TestOnlyASourceThatIsDeployedAsAWholeIsDeployed(t *testing.T) {
	object := plan.Object{ID: plan.ID{Kind: "ConfigMap", Name: "settings"}}
	hook := plan.Hook{Object: plan.Object{ID: plan.ID{Kind: "Job", Name: "create"}}, Events: []string{"pre-install"}}
	source := func(name string, hooks ...plan.Hook) plan.Source {
		return plan.Source{Name: name, Objects: []plan.Object{object}, Hooks: hooks}
	}
	g := &gathered{
		whole: plan.Desired{Sources: []plan.Source{
			source("data"), source("web", hook), source("known"), source("again", hook), source("broken"),
		}},
		observed: plan.Observed{Sources: map[string]bool{"known": true, "again": true}},
	}
	g.desired = g.whole
	result := engine.Result{
		Plan:       plan.Plan{Steps: []plan.Step{{Number: 1, Action: plan.Run, Source: "again"}}},
		Incomplete: map[string]bool{"broken": true},
	}
	if diff := cmp.Diff([]string{"data", "web", "again"}, complete(g, result)); diff != "" {
		t.Errorf("a run of everything (-want +got):\n%s", diff)
	}
	g.desired.Sources = append([]plan.Source{}, g.whole.Sources...)
	g.desired.Sources[1].Hooks = nil // another service's
	if diff := cmp.Diff([]string{"data", "again"}, complete(g, result)); diff != "" {
		t.Errorf("a run of one service (-want +got):\n%s", diff)
	}
}
