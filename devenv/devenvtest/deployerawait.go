package devenvtest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

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
