package devenvtest

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

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

func testNoNamespace(t *testing.T, s DeployerSubject) {
	s.Namespace += "-absent"
	o := s.settings("lost", "k", "v")
	_, err := s.Apply(t.Context(), "source", o)
	f := requireFault(t, err, o.ID)
	if !strings.Contains(f.Next, s.Namespace) {
		t.Errorf("what to do does not name the namespace: %s", f.Next)
	}
}
