package devenvtest

import (
	"context"
	"errors"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// DeliverySubject is an implementation of engine.Delivery under test, with what a test needs to see and do behind its back.
type DeliverySubject struct {
	engine.Delivery
	Nodes []string // at least two
	// NewImage makes an image in the engine that no node holds.
	NewImage func(t *testing.T) plan.Image
	// Derive makes an image in the engine that has all the layers of i and one more.
	Derive func(t *testing.T, i plan.Image) plan.Image
	// Lose removes the content of i's lowest layer from a node that holds it.
	Lose func(t *testing.T, node string, i plan.Image)
	// Runs starts a container of the image on the node, the proof that it is complete.
	Runs func(ctx context.Context, node string, i plan.Image) error
	// Known says whether the node knows the image's reference, complete or not.
	Known func(ctx context.Context, node string, i plan.Image) (bool, error)
	// Break makes a node fail at everything until the returned function is called.
	Break func(t *testing.T, node string) (mend func())
	// Midway is the same implementation, but its deliveries call do when they get an image's layers out of the engine.
	Midway func(t *testing.T, do func()) engine.Delivery
}

// DeliverySuite holds an implementation against the contract of engine.Delivery.
func DeliverySuite(t *testing.T, fresh func(t *testing.T) DeliverySubject) {
	t.Run("an image runs on the nodes that it was delivered to, and is on no other", func(t *testing.T) {
		s, ctx := fresh(t), t.Context()
		i := s.NewImage(t)
		first, second := s.Nodes[0], s.Nodes[1]
		for _, node := range s.Nodes {
			s.requireUnknown(t, node, i)
		}
		var said lines
		detail, err := s.Deliver(ctx, i, []string{first}, said.report)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(detail, "1 node") || !strings.Contains(detail, "B to ") {
			t.Errorf("detail %q does not say how much went where", detail)
		}
		s.requireRuns(t, first, i)
		s.requireUnknown(t, second, i)
		if _, err := s.Deliver(ctx, i, s.Nodes, said.report); err != nil {
			t.Fatalf("delivering it again, to all: %v", err)
		}
		for _, node := range s.Nodes {
			s.requireRuns(t, node, i)
		}
	})

	t.Run("several images at once", func(t *testing.T) {
		s := fresh(t)
		images := []plan.Image{s.NewImage(t), s.NewImage(t), s.NewImage(t)}
		group, ctx := errgroup.WithContext(t.Context())
		for _, i := range images {
			group.Go(func() error {
				_, err := s.Deliver(ctx, i, s.Nodes, discard)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		for _, i := range images {
			for _, node := range s.Nodes {
				s.requireRuns(t, node, i)
			}
		}
	})

	t.Run("of an image that shares layers with one that is there only the others are sent", func(t *testing.T) {
		s, ctx := fresh(t), t.Context()
		base := s.NewImage(t)
		first, second := s.Derive(t, base), s.Derive(t, base)
		if detail, err := s.Deliver(ctx, first, s.Nodes, discard); err != nil || strings.Contains(detail, spared) {
			t.Fatalf("of a new image some should have been there: %q, %v", detail, err)
		}
		detail, err := s.Deliver(ctx, second, s.Nodes, discard)
		if err != nil || !strings.Contains(detail, spared) {
			t.Fatalf("detail %q does not say what was there: %v", detail, err)
		}
		for _, node := range s.Nodes {
			s.requireRuns(t, node, first)
			s.requireRuns(t, node, second)
		}
	})

	t.Run("a node that lost a layer gets it again, and the others do not", func(t *testing.T) {
		s, ctx := fresh(t), t.Context()
		base := s.NewImage(t)
		first := s.Derive(t, base)
		if _, err := s.Deliver(ctx, first, s.Nodes, discard); err != nil {
			t.Fatal(err)
		}
		s.Lose(t, s.Nodes[0], first)
		second := s.Derive(t, first)
		detail, err := s.Deliver(ctx, second, s.Nodes, discard)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(detail, "B to ") || strings.Count(detail, " to ") < 2 {
			t.Errorf("detail %q does not say that nodes were sent different amounts", detail)
		}
		for _, node := range s.Nodes {
			s.requireRuns(t, node, second)
		}
	})

	t.Run("images that share what no node has, at once", func(t *testing.T) {
		s := fresh(t)
		base := s.NewImage(t)
		images := []plan.Image{s.Derive(t, base), s.Derive(t, base)}
		details := make([]string, len(images))
		group, ctx := errgroup.WithContext(t.Context())
		for n, i := range images {
			group.Go(func() (err error) {
				details[n], err = s.Deliver(ctx, i, s.Nodes, discard)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(details[0], spared) == strings.Contains(details[1], spared) {
			t.Errorf("details %q: one should have brought what both need", details)
		}
		for _, i := range images {
			for _, node := range s.Nodes {
				s.requireRuns(t, node, i)
			}
		}
	})

	t.Run("an image that the engine does not hold is named, and no node knows it", func(t *testing.T) {
		s := fresh(t)
		i := plan.Image{Ref: "registry.example.com/devenvtest/absent:devenv-0"}
		_, err := s.Deliver(t.Context(), i, s.Nodes, discard)
		if err == nil {
			t.Fatal("it was delivered")
		}
		if !strings.Contains(err.Error(), "absent") || fault.Of(err) == fault.Internal {
			t.Errorf("not a fault that names the image: %v", err)
		}
		for _, node := range s.Nodes {
			s.requireUnknown(t, node, i)
		}
	})

	t.Run("a node that fails is named, and the others get the image", func(t *testing.T) {
		s := fresh(t)
		i := s.NewImage(t)
		broken := s.Nodes[len(s.Nodes)-1]
		mend := s.Break(t, broken)
		_, err := s.Deliver(t.Context(), i, s.Nodes, discard)
		mend()
		if err == nil {
			t.Fatal("it was delivered to a node that fails")
		}
		if !strings.Contains(err.Error(), broken) || fault.Of(err) != fault.Machine {
			t.Errorf("not a machine fault that names %s: %v", broken, err)
		}
		for _, node := range s.Nodes[:len(s.Nodes)-1] {
			s.requireRuns(t, node, i)
		}
		if _, err := s.Deliver(t.Context(), i, []string{broken}, discard); err != nil {
			t.Fatalf("once the node is well again: %v", err)
		}
		s.requireRuns(t, broken, i)
	})

	t.Run("a delivery that is stopped says so, and can be repeated", func(t *testing.T) {
		s := fresh(t)
		i := s.NewImage(t)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := s.Deliver(ctx, i, s.Nodes, func(string) { cancel() })
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped at its first line of progress: %v", err)
		}
		if _, err := s.Deliver(t.Context(), i, s.Nodes, discard); err != nil {
			t.Fatal(err)
		}
		for _, node := range s.Nodes {
			s.requireRuns(t, node, i)
		}
	})

	t.Run("a delivery that is stopped while it fetches layers says so, and can be repeated", func(t *testing.T) {
		s := fresh(t)
		base := s.NewImage(t)
		first, second := s.Derive(t, base), s.Derive(t, base)
		if _, err := s.Deliver(t.Context(), first, s.Nodes, discard); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		reached := false
		midway := s.Midway(t, func() { reached = true; cancel() })
		if _, err := midway.Deliver(ctx, second, s.Nodes, discard); !errors.Is(err, context.Canceled) || !reached {
			t.Fatalf("stopped on the way: %v; it got there: %v", err, reached)
		}
		if _, err := s.Deliver(t.Context(), second, s.Nodes, discard); err != nil {
			t.Fatal(err)
		}
		for _, node := range s.Nodes {
			s.requireRuns(t, node, second)
		}
	})
}

// spared is how a detail ends that says how much was not sent.
const spared = "were there"

func (s DeliverySubject) requireRuns(t *testing.T, node string, i plan.Image) {
	t.Helper()
	if err := s.Runs(t.Context(), node, i); err != nil {
		t.Fatalf("%s does not run on %s: %v", i.Ref, node, err)
	}
}

func (s DeliverySubject) requireUnknown(t *testing.T, node string, i plan.Image) {
	t.Helper()
	if known, err := s.Known(t.Context(), node, i); err != nil || known {
		t.Fatalf("%s knows %s: %v, %v", node, i.Ref, known, err)
	}
}
