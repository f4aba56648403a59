package kube

import (
	"errors"
	"strings"
	"testing"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// A hook that later hooks of its source need stays until the source is deployed, though its policy lets it go when it
// succeeded.
func TestHookThatOthersNeedGoesWithTheSource(t *testing.T) {
	c, ns := realCluster(t)
	ctx := t.Context()
	account := plan.Hook{Object: declare(t, "{apiVersion: v1, kind: ServiceAccount, metadata: {name: migrate, namespace: "+ns+"}}"),
		Events: []string{"pre-install"}, Weight: -5, DeletePolicy: []string{"hook-succeeded"}}
	job := plan.Hook{Object: declare(t, "{apiVersion: batch/v1, kind: Job, metadata: {name: migrate, namespace: "+ns+"}, spec: {backoffLimit: 0, template: {spec: "+
		strings.Replace(sleeper("echo migrated", ""), "{", "{serviceAccountName: migrate, restartPolicy: Never, ", 1)+"}}}"),
		Events: []string{"pre-install"}, DeletePolicy: []string{"hook-succeeded"}}
	for _, h := range []plan.Hook{account, job} {
		if err := c.Run(ctx, "source", h, func(string) {}); err != nil {
			t.Fatal(err)
		}
	}
	if u, err := getAs(ctx, c, account.ID); err != nil || u == nil {
		t.Errorf("the account is gone: %v", err)
	}
	if err := c.MarkDeployed(ctx, "source"); err != nil {
		t.Fatal(err)
	}
	for _, h := range []plan.Hook{account, job} {
		if u, err := getAs(ctx, c, h.ID); err != nil || u != nil {
			t.Errorf("%s is left: %v", h.ID, err)
		}
	}
	o := observed(t, c, plan.Source{Name: "source", Hooks: []plan.Hook{account, job}})
	if !o.Sources["source"] || o.Hooks[job.ID] != job.Hash || o.Hooks[account.ID] != account.Hash || len(o.Applied) != 0 {
		t.Errorf("observed %+v", o)
	}
}

func TestHookDoesNotReplaceWhatSomebodyElseMade(t *testing.T) {
	c, ns := realCluster(t)
	ctx := t.Context()
	theirs := declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: shared, namespace: "+ns+"}, data: {whose: theirs}}")
	if err := sendAs(ctx, c, "kubectl-create", theirs); err != nil {
		t.Fatal(err)
	}
	h := plan.Hook{Object: declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: shared, namespace: "+ns+"}, data: {whose: ours}}"), Events: []string{"pre-install"}}
	if err := c.Run(ctx, "source", h, func(string) {}); fault.Of(err) != fault.Refused {
		t.Errorf("got %v", err)
	}
	if u, err := getAs(ctx, c, h.ID); err != nil || u == nil || u.Object["data"].(map[string]any)["whose"] != "theirs" {
		t.Errorf("it was replaced: %v %v", u, err)
	}
}

// An interrupted run leaves its object; the next one makes way for itself whatever the policy says.
func TestHookRunsAgainAfterItWasKilled(t *testing.T) {
	c, ns := realCluster(t)
	ctx := t.Context()
	h := plan.Hook{Object: declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: left, namespace: "+ns+"}}"), Events: []string{"pre-install"}, DeletePolicy: []string{"hook-failed"}}
	u, err := decode(h.Object)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.find(ctx, u)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.clearWay(ctx, "source", h, a, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.create(ctx, a, h.ID, u); err != nil {
		t.Fatal(err)
	}
	// Killed here: the object exists, the inventory has it without UID.
	if err := c.Run(ctx, "source", h, func(string) {}); err != nil {
		t.Fatal(err)
	}
	// Now it succeeded, and its policy keeps what it made: as in production, it cannot run again.
	err = c.Run(ctx, "source", h, func(string) {})
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Deploy || !strings.Contains(f.Next, beforeCreation) {
		t.Errorf("got %v", err)
	}
}
