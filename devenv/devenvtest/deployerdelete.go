package devenvtest

import (
	"testing"

	"github.com/devenv-run/devenv/devenv/fault"
)

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
