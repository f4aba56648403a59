package devenvtest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// DeployerSubject is an implementation of engine.Deployer under test, with what a test needs to see and do behind its back.
type DeployerSubject struct {
	engine.Deployer
	Namespace string // exists, is empty, and is this test's own
	Image     string // a reference that pods can run, with a POSIX shell in it
	// Get reads an object; nil if there is none.
	Get func(ctx context.Context, id plan.ID) (json []byte, err error)
	// Make makes an object as somebody else would, over one that exists.
	Make func(ctx context.Context, o plan.Object) error
	// Unmake deletes an object as somebody else would.
	Unmake func(ctx context.Context, id plan.ID) error
	// Pods are the UIDs of the pods of a workload that are not on their way out.
	Pods func(ctx context.Context, workload plan.ID) ([]string, error)
	// Applied and Succeeded are what the inventory says: plan.Observed's Applied and Hooks.
	Applied   func(ctx context.Context) (map[plan.ID]plan.AppliedRef, error)
	Succeeded func(ctx context.Context, h plan.Hook) (hash string, err error)
	// Refresh returns a new instance over the same cluster and inventory, as the next run of devenv would.
	Refresh func() engine.Deployer
}

// DeployerSuite holds an implementation against the contract of engine.Deployer. Fresh is called for each test, and registers the removal
// of whatever the test creates.
func DeployerSuite(t *testing.T, fresh func(t *testing.T) DeployerSubject) {
	run := func(name string, test func(*testing.T, DeployerSubject)) {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
	run("an applied object exists, is remembered, and may be applied again", testApply)
	run("many objects at once are all remembered", testApplyMany)
	run("an object that somebody else made is taken over, said so, and never deleted", testAdopt)
	run("an object that somebody made again is not deleted", testReplaced)
	run("what was not applied is not deleted", testStranger)
	run("an autoscaled workload keeps the replicas that it has", testAutoscaled)
	run("a deleted object is gone and forgotten", testDelete)
	run("a claim is left where it is, until data may go", testDeleteData)
	run("a workload is awaited until its pods are ready", testAwait)
	run("a workload that exits again and again fails early, with its last lines", testCrash)
	run("an image that cannot be had fails early", testNoImage)
	run("a job is awaited to its end, and made anew when it changes", testJob)
	run("a hook runs to its end and is remembered", testHook)
	run("a hook that fails says what it wrote, and can run again", testHookFails)
	run("a hook that is to go when it succeeded is gone", testHookGoes)
	run("an object for a namespace that does not exist is refused", testNoNamespace)
	run("a workload that is restarted has other pods, and is as it was declared", testRestart)
	run("what does not exist cannot be restarted", testRestartNothing)
	run("an interrupted wait ends at once, and can be repeated", testInterrupted)
}

// requireFault requires that err is a complete deploy fault about an object.
func requireFault(t *testing.T, err error, id plan.ID) *fault.Error {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Deploy {
		t.Fatalf("%v is not a fault of deploying", err)
	}
	if !strings.Contains(f.What, id.String()) || f.Next == "" {
		t.Errorf("not about %s, or without what to do next: %+v", id, f)
	}
	return f
}

func (s DeployerSubject) requireContent(t *testing.T, id plan.ID, want string) {
	t.Helper()
	got, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(got), want) {
		t.Errorf("%s lacks %s: %s", id, want, got)
	}
}

func (s DeployerSubject) requireAbsent(t *testing.T, id plan.ID) {
	t.Helper()
	got, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if got != nil {
		t.Errorf("%s is still there", id)
	}
}

func (s DeployerSubject) requireForgotten(t *testing.T, id plan.ID) {
	t.Helper()
	applied, err := s.Applied(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if ref, ok := applied[id]; ok {
		t.Errorf("%s is still remembered: %+v", id, ref)
	}
}

func (s DeployerSubject) requireSucceeded(t *testing.T, h plan.Hook, want string) {
	t.Helper()
	got, err := s.Succeeded(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("%s succeeded as %q, want %q", h.ID, got, want)
	}
}
