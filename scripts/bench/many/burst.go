package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/devenv-run/devenv/scripts/bench/measure"
)

// Of a burst: how many files change at once, how long nothing may happen until it is over, and when it is given up.
const (
	burstFiles    = 2000
	burstQuiet    = 5 * time.Second
	burstPatience = 3 * time.Minute
)

// burst changes files at once under a `dev` that watches, and measures what it makes of it.
func (b *bench) burst(ctx context.Context) error {
	return b.watching(ctx, func(d *dev, _ time.Duration) error { return b.burstUnder(ctx, d) })
}

func (b *bench) burstUnder(ctx context.Context, d *dev) error {
	before, err := d.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	changed := 0
	for s := 0; s < b.project.services && changed < burstFiles; s++ {
		for n := 0; n < b.project.files && changed < burstFiles; n++ {
			if err := b.project.change(s, n, "changed at "+began.String()); err != nil {
				return err
			}
			changed++
		}
	}
	written := time.Since(began)
	done, err := d.untilQuiet(ctx)
	if err != nil {
		return err
	}
	after, err := d.cpu()
	if err != nil {
		return err
	}
	fmt.Printf("%d files changed within %s s: told as %d, which began %d works (%s), all done after %s s; %s s of devenv's CPU time; load average %s\n",
		changed, measure.Seconds(written), done.batches, len(done.works), strings.Join(done.works, ", "), measure.Seconds(done.last.Sub(began)), measure.Seconds(after-before), measure.Load())
	return nil
}

// handled is what a `dev` made of a burst.
type handled struct {
	batches int      // in how many pieces it told the changes
	works   []string // the ways that services took, and "cycle", in the order in which they began
	last    time.Time
}

// untilQuiet returns once nothing has happened for a while after at least one work was done. That is before anything is settled.
func (d *dev) untilQuiet(ctx context.Context) (h handled, err error) {
	ctx, cancel := context.WithTimeout(ctx, burstPatience)
	defer cancel()
	done := 0
	for {
		select {
		case e, more := <-d.events:
			if !more {
				return h, fmt.Errorf("devenv dev ended")
			}
			h.last = e.at
			switch e.Type {
			case "dev.changed":
				h.batches++
			case "dev.shortcut.started":
				h.works = append(h.works, e.Service+": "+e.Way)
			case "dev.cycle.started":
				h.works = append(h.works, "cycle")
			case "dev.shortcut.done", "dev.cycle.done":
				done++
			}
		case <-time.After(burstQuiet):
			if done > 0 && done >= len(h.works) {
				return h, nil
			}
		case <-ctx.Done():
			return h, fmt.Errorf("devenv dev did nothing, or did not come to an end: %w", ctx.Err())
		}
	}
}
