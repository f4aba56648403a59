package main

import (
	"context"
	"fmt"
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
func (b *bench) burst(ctx context.Context) (err error) {
	d, _, err := b.start(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if stopped := d.stop(); err == nil {
			err = stopped
		}
	}()
	if err := pause(ctx, calm); err != nil {
		return err
	}
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
	built, last, err := d.untilQuiet(ctx)
	if err != nil {
		return err
	}
	after, err := d.cpu()
	if err != nil {
		return err
	}
	fmt.Printf("%d files changed within %s s: %d builds, all done after %s s; %s s of devenv's CPU time; load average %s\n",
		changed, measure.Seconds(written), built, measure.Seconds(last.Sub(began)), measure.Seconds(after-before), measure.Load())
	return nil
}

// untilQuiet counts the images that are built until nothing has happened for a while after at least one of them was.
func (d *dev) untilQuiet(ctx context.Context) (built int, last time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, burstPatience)
	defer cancel()
	for {
		select {
		case e, more := <-d.events:
			if !more {
				return built, last, fmt.Errorf("devenv dev ended")
			}
			last = e.at
			if e.Type == "image.built" {
				built++
			}
		case <-time.After(burstQuiet):
			if built > 0 {
				return built, last, nil
			}
		case <-ctx.Done():
			return built, last, fmt.Errorf("devenv dev built nothing: %w", ctx.Err())
		}
	}
}
