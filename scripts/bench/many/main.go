// Command many measures what a project of many services and files costs when little or nothing happens to it: `devenv up` with nothing to do, an
// idle `devenv dev`, and 2,000 files that change at once.
//
//	go run ./scripts/bench/many -services 50 -files 1000
//	go run ./scripts/bench/many -services 1 -files 2000 -measure burst -mode full
//
// It generates the project: each service has a build context of its own, the smallest image there is, a Deployment and a Service. It works on
// an environment of its own, which it removes when it is done.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/devenv-run/devenv/scripts/bench/measure"
)

func main() {
	b := &bench{}
	flag.IntVar(&b.project.services, "services", 50, "how many services")
	flag.IntVar(&b.project.files, "files", 1000, "how many files each of them has in its build context")
	flag.StringVar(&b.project.mode, "mode", "auto", "the services' dev.mode: auto, or full for builds that the hot path would avoid")
	flag.IntVar(&b.rounds, "rounds", 7, "how often `up` is run with nothing to do")
	flag.DurationVar(&b.idle, "idle", time.Minute, "how long an idle `dev` is watched")
	what := flag.String("measure", "nothing,idle,burst", "what to measure: nothing, idle, burst, in this order")
	flag.StringVar(&b.devenv.Program, "devenv", "", "the devenv to measure; empty: that of this checkout")
	flag.BoolVar(&b.keep, "keep", false, "leave the project and its environment for a look")
	flag.Parse()
	b.what = strings.Split(*what, ",")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type bench struct {
	project project
	devenv  measure.Devenv
	rounds  int
	idle    time.Duration
	what    []string
	keep    bool
}

func (b *bench) run(ctx context.Context) (err error) {
	for _, name := range b.what {
		if !slices.Contains([]string{"nothing", "idle", "burst"}, name) {
			return fmt.Errorf("-measure %s: there is nothing, idle and burst", name)
		}
	}
	// Always the same, because devenv remembers files by their paths: what it knows of those of earlier runs would be measured too.
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	dir := filepath.Join(cache, "devenv-bench-many")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return err
	}
	if !b.keep {
		defer os.RemoveAll(dir)
	}
	if b.devenv.Program == "" {
		if b.devenv.Program, err = measure.BuildDevenv(ctx, dir); err != nil {
			return err
		}
	}
	if err := b.project.write(ctx, dir); err != nil {
		return err
	}
	b.devenv.Project = b.project.dir
	if _, err := b.devenv.Run(ctx, "down", "--cluster", "--data"); err != nil { // what an earlier run left
		return err
	}
	if b.keep {
		fmt.Println("the project is in", b.project.dir)
	} else {
		defer func() {
			_, down := b.devenv.Run(context.WithoutCancel(ctx), "down", "--cluster", "--data")
			err = errors.Join(err, down)
		}()
	}
	began := time.Now()
	if _, err := b.devenv.Run(ctx, "up"); err != nil {
		return err
	}
	fmt.Printf("%d services of %d files: up from nothing %s s\n", b.project.services, b.project.files, measure.Seconds(time.Since(began)))
	for _, one := range []struct {
		name string
		run  func(context.Context) error
	}{{"nothing", b.nothing}, {"idle", b.idling}, {"burst", b.burst}} {
		if slices.Contains(b.what, one.name) {
			if err := one.run(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// nothing runs `up` where there is nothing to do. The first round is not counted: what was deployed last is remembered by then.
func (b *bench) nothing(ctx context.Context) error {
	var took, cpu measure.Times
	for n := range b.rounds + 1 {
		one, err := b.up(ctx)
		if err != nil {
			return err
		}
		if n > 0 {
			took, cpu = append(took, one.took), append(cpu, one.cpu)
		}
	}
	fmt.Printf("up with nothing to do, %d times: %s s (min / median / max); CPU time %s s; load average %s\n", b.rounds, took, cpu, measure.Load())
	return nil
}
