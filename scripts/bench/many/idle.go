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
func (b *bench) idling(ctx context.Context) (err error) {
	one, err := b.up(ctx)
	if err != nil {
		return err
	}
	d, watching, err := b.start(ctx)
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
