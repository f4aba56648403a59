package devenvtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

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
	run("an interrupted wait ends at once, and can be repeated", testInterrupted)
}

func testApply(t *testing.T, s DeployerSubject) {
	ctx := t.Context()
	o := s.settings("settings", "mode", "first")
	detail, err := s.Apply(ctx, "source", o)
	if err != nil {
		t.Fatal(err)
	}
	if detail != "created" {
		t.Errorf("detail of a new object: %q", detail)
	}
	s.requireContent(t, o.ID, `"first"`)
	if err := s.Await(ctx, "source", o, discard); err != nil {
		t.Errorf("awaiting what has no readiness: %v", err)
	}

	again := s.Refresh()
	if detail, err := again.Apply(ctx, "source", o); err != nil || detail != "" {
		t.Errorf("applying it again: %q, %v", detail, err)
	}
	o = s.settings("settings", "mode", "second")
	if _, err := again.Apply(ctx, "source", o); err != nil {
		t.Fatal(err)
	}
	s.requireContent(t, o.ID, `"second"`)
	applied, err := s.Applied(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if ref := applied[o.ID]; ref.Source != "source" || ref.UID == "" {
		t.Errorf("remembered as %+v", ref)
	}
}

func testApplyMany(t *testing.T, s DeployerSubject) {
	g, ctx := errgroup.WithContext(t.Context())
	const many = 40
	g.SetLimit(8)
	for i := range many {
		name := fmt.Sprintf("many-%d", i)
		g.Go(func() error {
			_, err := s.Apply(ctx, "source", s.settings(name, "k", "v"))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	applied, err := s.Applied(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(applied) != many {
		t.Errorf("%d objects applied, %d remembered", many, len(applied))
	}
}

func testAdopt(t *testing.T, s DeployerSubject) {
	ctx := t.Context()
	o := s.settings("adopted", "mode", "theirs")
	if err := s.Make(ctx, o); err != nil {
		t.Fatal(err)
	}
	o = s.settings("adopted", "mode", "ours")
	detail, err := s.Apply(ctx, "source", o)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(detail, "existed before") {
		t.Errorf("detail %q does not say that somebody else made it", detail)
	}
	s.requireContent(t, o.ID, `"ours"`)
	if err := s.Refresh().Delete(ctx, "source", o.ID, false, discard); err != nil {
		t.Fatal(err)
	}
	s.requireContent(t, o.ID, `"ours"`)
	s.requireForgotten(t, o.ID)
}

func testReplaced(t *testing.T, s DeployerSubject) {
	ctx := t.Context()
	o := s.settings("replaced", "mode", "ours")
	if _, err := s.Apply(ctx, "source", o); err != nil {
		t.Fatal(err)
	}
	if err := s.Unmake(ctx, o.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Make(ctx, s.settings("replaced", "mode", "theirs")); err != nil {
		t.Fatal(err)
	}
	var said lines
	if err := s.Delete(ctx, "source", o.ID, false, said.report); err != nil {
		t.Fatal(err)
	}
	s.requireContent(t, o.ID, `"theirs"`)
	s.requireForgotten(t, o.ID)
	if said.count() == 0 {
		t.Error("nobody said that it was kept")
	}
}

func testStranger(t *testing.T, s DeployerSubject) {
	ctx := t.Context()
	o := s.settings("stranger", "mode", "theirs")
	if err := s.Make(ctx, o); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, "source", o.ID, false, discard); fault.Of(err) != fault.Refused {
		t.Errorf("deleting it: %v, want a refusal", err)
	}
	s.requireContent(t, o.ID, `"theirs"`)
}

func testDelete(t *testing.T, s DeployerSubject) {
	ctx := t.Context()
	o := s.deployment("short-lived", s.Image, forever)
	if _, err := s.Apply(ctx, "source", o); err != nil {
		t.Fatal(err)
	}
	if err := s.Refresh().Delete(ctx, "source", o.ID, false, discard); err != nil {
		t.Fatal(err)
	}
	s.requireAbsent(t, o.ID)
	s.requireForgotten(t, o.ID)
	if err := s.Delete(ctx, "source", o.ID, false, discard); fault.Of(err) != fault.Refused && err != nil {
		t.Errorf("deleting it again: %v", err)
	}
}

func testDeleteData(t *testing.T, s DeployerSubject) {
	ctx := t.Context()
	o := s.claim("data")
	if _, err := s.Apply(ctx, "source", o); err != nil {
		t.Fatal(err)
	}
	for range 2 { // once as an applied object, once as one that was kept
		var said lines
		if err := s.Refresh().Delete(ctx, "source", o.ID, false, said.report); err != nil {
			t.Fatal(err)
		}
		if said.count() == 0 {
			t.Error("nobody said that it was kept")
		}
		s.requireContent(t, o.ID, "PersistentVolumeClaim")
		s.requireForgotten(t, o.ID)
	}
	if err := s.Refresh().Delete(ctx, "source", o.ID, true, discard); err != nil {
		t.Fatal(err)
	}
	s.requireAbsent(t, o.ID)
}

func testAwait(t *testing.T, s DeployerSubject) {
	ctx := t.Context()
	o := s.deployment("steady", s.Image, forever)
	if _, err := s.Apply(ctx, "source", o); err != nil {
		t.Fatal(err)
	}
	var said lines
	if err := s.Await(ctx, "source", o, said.report); err != nil {
		t.Fatal(err)
	}
	if said.count() == 0 {
		t.Error("the wait reported no progress")
	}
	if err := s.Refresh().Await(ctx, "source", o, discard); err != nil {
		t.Errorf("awaiting what is ready: %v", err)
	}
}

func testCrash(t *testing.T, s DeployerSubject) {
	ctx := t.Context()
	o := s.deployment("crashing", s.Image, "echo cannot find the database; exit 3")
	if _, err := s.Apply(ctx, "source", o); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	f := requireFault(t, s.Await(ctx, "source", o, discard), o.ID)
	if took := time.Since(began); took > 90*time.Second {
		t.Errorf("it took %s to fail", took)
	}
	if !strings.Contains(f.Detail, "cannot find the database") {
		t.Errorf("detail lacks the container's last line:\n%s", f.Detail)
	}

	// The next version of it is judged by its own pods.
	o = s.deployment("crashing", s.Image, forever)
	if _, err := s.Apply(ctx, "source", o); err != nil {
		t.Fatal(err)
	}
	if err := s.Await(ctx, "source", o, discard); err != nil {
		t.Errorf("after it was corrected: %v", err)
	}
}

func testNoImage(t *testing.T, s DeployerSubject) {
	ctx := t.Context()
	o := s.deployment("imageless", "registry.invalid/devenvtest/absent:1", forever)
	if _, err := s.Apply(ctx, "source", o); err != nil {
		t.Fatal(err)
	}
	f := requireFault(t, s.Await(ctx, "source", o, discard), o.ID)
	if !strings.Contains(f.Error(), "registry.invalid/devenvtest/absent:1") {
		t.Errorf("the image is not named: %v", f)
	}
}

func testJob(t *testing.T, s DeployerSubject) {
	ctx := t.Context()
	for _, word := range []string{"one", "two"} {
		o := s.job("load", "echo "+word)
		if _, err := s.Apply(ctx, "source", o); err != nil {
			t.Fatalf("applying %s: %v", word, err)
		}
		if err := s.Await(ctx, "source", o, discard); err != nil {
			t.Fatalf("awaiting %s: %v", word, err)
		}
		s.requireContent(t, o.ID, "echo "+word)
	}
	o := s.job("load", "echo no such file; exit 1")
	if _, err := s.Apply(ctx, "source", o); err != nil {
		t.Fatal(err)
	}
	f := requireFault(t, s.Await(ctx, "source", o, discard), o.ID)
	if !strings.Contains(f.Detail, "no such file") {
		t.Errorf("detail lacks the job's last line:\n%s", f.Detail)
	}
}

func testHook(t *testing.T, s DeployerSubject) {
	ctx := t.Context()
	h := plan.Hook{Object: s.job("migrate", "echo migrated"), Events: []string{"pre-install"}}
	for range 2 { // its object stays, and makes way for the next run
		if err := s.Run(ctx, "source", h, discard); err != nil {
			t.Fatal(err)
		}
		s.requireSucceeded(t, h, h.Hash)
		s.requireContent(t, h.ID, "echo migrated")
	}
	applied, err := s.Applied(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := applied[h.ID]; ok {
		t.Error("a hook counts as applied, and would be pruned")
	}

	settings := plan.Hook{Object: s.settings("before", "k", "v"), Events: []string{"pre-install"}}
	if err := s.Run(ctx, "source", settings, discard); err != nil {
		t.Fatal(err)
	}
	s.requireSucceeded(t, settings, settings.Hash)
}

func testHookFails(t *testing.T, s DeployerSubject) {
	ctx := t.Context()
	good := plan.Hook{Object: s.job("migrate", "echo migrated"), Events: []string{"pre-upgrade"}}
	if err := s.Run(ctx, "source", good, discard); err != nil {
		t.Fatal(err)
	}
	bad := plan.Hook{Object: s.job("migrate", "echo column exists already; exit 1"), Events: []string{"pre-upgrade"}}
	f := requireFault(t, s.Run(ctx, "source", bad, discard), bad.ID)
	if !strings.Contains(f.Detail, "column exists already") {
		t.Errorf("detail lacks the hook's last line:\n%s", f.Detail)
	}
	s.requireSucceeded(t, bad, "")
	if err := s.Refresh().Run(ctx, "source", good, discard); err != nil {
		t.Errorf("after it was corrected: %v", err)
	}
	s.requireSucceeded(t, good, good.Hash)
}

func testHookGoes(t *testing.T, s DeployerSubject) {
	ctx := t.Context()
	h := plan.Hook{Object: s.job("once", "echo done"), Events: []string{"post-install"}, DeletePolicy: []string{"hook-succeeded"}}
	if err := s.Run(ctx, "source", h, discard); err != nil {
		t.Fatal(err)
	}
	s.requireAbsent(t, h.ID)
	s.requireSucceeded(t, h, h.Hash)

	h = plan.Hook{Object: s.job("once", "exit 1"), Events: []string{"post-install"}, DeletePolicy: []string{"before-hook-creation", "hook-failed"}}
	_ = requireFault(t, s.Run(ctx, "source", h, discard), h.ID)
	s.requireAbsent(t, h.ID)
}

func testNoNamespace(t *testing.T, s DeployerSubject) {
	s.Namespace += "-absent"
	o := s.settings("lost", "k", "v")
	_, err := s.Apply(t.Context(), "source", o)
	f := requireFault(t, err, o.ID)
	if !strings.Contains(f.Next, s.Namespace) {
		t.Errorf("what to do does not name the namespace: %s", f.Next)
	}
}

func testInterrupted(t *testing.T, s DeployerSubject) {
	o := s.deployment("slow", s.Image, "sleep 2; exec sleep 3600")
	if _, err := s.Apply(t.Context(), "source", o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Await(ctx, "source", o, func(string) { cancel() })
	cancel()
	if !errors.Is(err, context.Canceled) {
		t.Errorf("stopped at its first line of progress: %v", err)
	}
	if err := s.Await(t.Context(), "source", o, discard); err != nil {
		t.Errorf("awaiting it again: %v", err)
	}
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
