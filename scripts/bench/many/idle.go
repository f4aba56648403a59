package main

import (
	"context"
	"fmt"
	"time"

	"github.com/devenv-run/devenv/scripts/bench/measure"
)

// calm is how long after it began to watch an idle `dev` is left alone before it is measured.
const calm = 10 * time.Second

// idling measures a `dev` to which nothing happens.
func (b *bench) idling(ctx context.Context) error {
	one, err := b.up(ctx)
	if err != nil {
		return err
	}
	return b.watching(ctx, func(d *dev, watching time.Duration) error { return b.idleNow(ctx, d, one, watching) })
}

// watching has a `dev` watch while use uses it, once it has been left alone for a while. after is how long it took to begin.
func (b *bench) watching(ctx context.Context, use func(d *dev, after time.Duration) error) (err error) {
	d, after, err := b.start(ctx)
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
	return use(d, after)
}

func (b *bench) idleNow(ctx context.Context, d *dev, one spent, watching time.Duration) error {
	before, err := d.cpu()
	if err != nil {
		return err
	}
	if err := pause(ctx, b.idle); err != nil {
		return err
	}
	after, err := d.cpu()
	if err != nil {
		return err
	}
	resident, own, err := d.memory()
	if err != nil {
		return err
	}
	fmt.Printf("idle dev: watching %s s after its start (`up` with nothing to do takes %s s); %d MB resident, %d MB of them its own; %s s of CPU time in %s; load average %s\n",
		measure.Seconds(watching), measure.Seconds(one.took), resident, own, measure.Seconds(after-before), b.idle, measure.Load())
	return nil
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
