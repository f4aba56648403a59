package devenvtest

import (
	"slices"
	"testing"
)

func testRestart(t *testing.T, s DeployerSubject) {
	ctx := t.Context()
	o := s.deployment("restarted", s.Image, forever)
	if _, err := s.Apply(ctx, "source", o); err != nil {
		t.Fatal(err)
	}
	if err := s.Await(ctx, "source", o, discard); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		before, err := s.Pods(ctx, o.ID)
		if err != nil {
			t.Fatal(err)
		}
		again := s.Refresh()
		if err := again.Restart(ctx, "source", o, discard); err != nil {
			t.Fatal(err)
		}
		if err := again.Await(ctx, "source", o, discard); err != nil {
			t.Fatal(err)
		}
		now, err := s.Pods(ctx, o.ID)
		if err != nil {
			t.Fatal(err)
		}
		if len(before) != 1 || len(now) != 1 || slices.Equal(before, now) {
			t.Errorf("its pods were %v and are %v", before, now)
		}
		// Declaring it again starts no rollout.
		if _, err := s.Refresh().Apply(ctx, "source", o); err != nil {
			t.Fatal(err)
		}
		if err := s.Await(ctx, "source", o, discard); err != nil {
			t.Fatal(err)
		}
		if after, err := s.Pods(ctx, o.ID); err != nil || !slices.Equal(after, now) {
			t.Errorf("applied again its pods were %v and are %v, %v", now, after, err)
		}
	}
}

func testRestartNothing(t *testing.T, s DeployerSubject) {
	o := s.deployment("absent", s.Image, forever)
	_ = requireFault(t, s.Restart(t.Context(), "source", o, discard), o.ID)
}
