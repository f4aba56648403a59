package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/devenv-run/devenv/devenv/plan"
	"github.com/devenv-run/devenv/scripts/bench/measure"
)

// together loads images that the engine holds into nodes that have none of them, all at once, as a cold `up` does, and says how much processor time
// that took, and whose.
func (b *bench) together(ctx context.Context, refs []string) error {
	details := make([]string, len(refs))
	spending := measure.Spending(ctx)
	began := time.Now()
	group, gctx := errgroup.WithContext(ctx)
	for n, ref := range refs {
		group.Go(func() error {
			detail, err := b.clusters.Deliver(gctx, plan.Image{Ref: ref}, b.nodes, func(string) {})
			details[n] = fmt.Sprintf("%s: %s (%.1f s)", ref, detail, time.Since(began).Seconds())
			return err
		})
	}
	err := group.Wait()
	took, spent := time.Since(began), spending()
	if err != nil {
		return err
	}
	fmt.Printf("%s into %s: %.1f s; load average %s\nprocessor time in seconds, of the whole machine: %s\n%s\n", plan.Count(len(refs), "image"), plan.Count(len(b.nodes), "node"),
		took.Seconds(), measure.Load(), measure.Spent(spent, mostPrograms), strings.Join(details, "\n"))
	return nil
}

// mostPrograms is of how many programs the processor time is said.
const mostPrograms = 8
