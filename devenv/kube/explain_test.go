package kube

import (
	"testing"

	"github.com/devenv-run/devenv/devenv/plan"
)

func TestExplainLeavesTheReplicasToTheAutoscaler(t *testing.T) {
	s, c := serve(t)
	s.apply = func(sent map[string]any) map[string]any { return sent }
	live := parse(t, scaledLive)
	declared := parse(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: grades}, spec: {replicas: 1}}")
	deployments := api{GVR: live.GroupVersionKind().GroupVersion().WithResource("deployments"), Kind: "Deployment", Namespaced: true}
	for autoscaled, want := range map[bool]int{true: 0, false: 1} {
		o := plan.Object{ID: plan.ID{Group: "apps", Kind: "Deployment", Namespace: "app", Name: "grades"}, Autoscaled: autoscaled}
		var e Explanation
		err := c.compare(t.Context(), deployments, o, declared, live, func(o map[string]any) map[string]any { return o }, &e)
		if err != nil || e.Refused != "" || len(e.Fields) != want {
			t.Errorf("autoscaled %v: fields %+v, refused %q, %v", autoscaled, e.Fields, e.Refused, err)
		}
	}
}
