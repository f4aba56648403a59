package devenvtest

import (
	"strings"
	"testing"

	"github.com/devenv-run/devenv/devenv/plan"
)

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
