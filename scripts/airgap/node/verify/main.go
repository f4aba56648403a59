// Command verify proves that a node image makes a working cluster: it creates one of several nodes and checks what a
// platform needs of it, from a pod's point of view where that is the one that counts. It deletes the cluster at its end.
//
// The cluster (cluster.go) and what is checked in it (check.go) are apart; each check is one function that says what is
// wrong, and main says how long it took.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o := options{}
	flag.StringVar(&o.image, "image", "devenv/node:v1.36.3", "node image to verify")
	flag.StringVar(&o.name, "name", "devenv-verify", "name of the cluster; one of this name is deleted first")
	flag.IntVar(&o.workers, "workers", 2, "nodes besides the control plane")
	flag.BoolVar(&o.keep, "keep", false, "keep the cluster")
	flag.Parse()
	if err := verify(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "verify:", err)
		os.Exit(1)
	}
}

type options struct {
	image, name string
	workers     int
	keep        bool
}

func verify(ctx context.Context, o options) (err error) {
	begun := time.Now()
	if err := buildWorkload(ctx); err != nil {
		return err
	}
	report("workload image", begun, nil)

	begun = time.Now()
	c, err := createCluster(o)
	report(fmt.Sprintf("create a cluster of %d nodes", o.workers+1), begun, err)
	if c != nil && !o.keep {
		defer func() {
			begun := time.Now()
			if deleteErr := c.delete(); err == nil {
				err = deleteErr
			}
			report("delete the cluster", begun, err)
		}()
	}
	if err != nil {
		return err
	}

	failed := 0
	for _, check := range checks {
		begun := time.Now()
		err := check.run(ctx, c)
		report(check.name, begun, err)
		if err != nil {
			failed++
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	fmt.Printf("%d passed, %d failed\n", len(checks)-failed, failed)
	if failed > 0 {
		return fmt.Errorf("%d checks failed", failed)
	}
	return nil
}

func report(name string, begun time.Time, err error) {
	result := "ok"
	if err != nil {
		result = "FAILED: " + err.Error()
	}
	fmt.Printf("%-34s %6.1f s  %s\n", name, time.Since(begun).Seconds(), result)
}
