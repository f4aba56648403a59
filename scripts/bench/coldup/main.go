// Command coldup measures what `devenv up` takes from nothing but a node image: no cluster, no build cache. Beside it, in the same run, it
// measures what cannot be avoided: a bare `kind create cluster`, all builds alone, and deploying alone, which is an `up` on a cluster that
// runs and has all the images, after a `down --data`. Cluster and builds are to run at the same time:
//
//	up ≤ 1.2 × max(bare kind, all builds) + deploying alone
//
// What the processors did in each part is told too, because a machine with few of them may not be able to: creating the cluster and building
// are work that they have to do however it is arranged.
//
//	go run ./scripts/bench/coldup -rounds 3
//
// It empties the engine's build cache before every build, and works on an environment of its own. Before each part it lets the machine rest: what has
// just been deleted, which on a machine that starts from nothing is nothing, keeps file systems busy, and makes some of them look long for a place for new files.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/devenv-run/devenv/scripts/bench/measure"
)

const (
	environment = "bench"
	bareCluster = "devenv-bench-bare"
)

var rest time.Duration

// settle writes what was deleted to the disk, and lets the machine rest. An ext4 without a journal gives the number of a deleted file to no other one for a
// minute, or for five more if the deletion has not been written, and looks through all of them for each new file.
func settle() {
	unix.Sync()
	time.Sleep(rest)
}

func main() {
	rounds := flag.Int("rounds", 3, "how often to measure")
	nodeImage := flag.String("node-image", "", "node image of the bare cluster; empty: kind's default")
	flag.DurationVar(&rest, "rest", 75*time.Second, "before each part, after what the one before it left was deleted")
	flag.Parse()
	if err := compare(context.Background(), *rounds, *nodeImage); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func compare(ctx context.Context, rounds int, nodeImage string) error {
	var bare, builds, up, deploy, both measure.Times
	for n := range rounds {
		b, bareWork, err := bareKind(ctx, nodeImage)
		if err != nil {
			return err
		}
		a, buildWork, err := allBuilds(ctx)
		if err != nil {
			return err
		}
		u, err := coldUp(ctx)
		if err != nil {
			return err
		}
		bare, builds, up, deploy = append(bare, b), append(builds, a), append(up, u.total), append(deploy, u.deploying)
		both = append(both, bareWork+buildWork)
		fmt.Printf("round %d: bare kind %.1f s, all builds %.1f s, deploying alone %.1f s; up %.1f s: cluster after %.1f s, last build after %.1f s, last load after %.1f s\n",
			n+1, b.Seconds(), a.Seconds(), u.deploying.Seconds(), u.total.Seconds(), u.cluster.Seconds(), u.built.Seconds(), u.loaded.Seconds())
		if bareWork > 0 {
			fmt.Printf("         of all processors: bare kind %.1f s, all builds %.1f s, deploying alone %.1f s; up %.1f s\n",
				bareWork.Seconds(), buildWork.Seconds(), u.deployingWork.Seconds(), u.work.Seconds())
		}
	}
	longer := max(bare.Median(), builds.Median())
	fmt.Printf("medians: bare kind %.1f s, all builds %.1f s, deploying alone %.1f s, up %.1f s\n",
		bare.Median().Seconds(), builds.Median().Seconds(), deploy.Median().Seconds(), up.Median().Seconds())
	fmt.Printf("up without deploying: %.2f × the longer of bare kind and all builds\n", (up.Median()-deploy.Median()).Seconds()/longer.Seconds())
	if work := both.Median(); work > 0 {
		fmt.Printf("bare kind and all builds are at least %.1f s of work for this machine's processors: %.2f × the longer\n",
			least(work).Seconds(), least(work).Seconds()/longer.Seconds())
	}
	return nil
}

func bareKind(ctx context.Context, nodeImage string) (took, work time.Duration, err error) {
	dir, err := os.MkdirTemp("", "devenv-bench-")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	kind := measure.Kind{Name: bareCluster, Image: nodeImage, Dir: dir}
	if err := kind.Build(ctx); err != nil {
		return 0, 0, err
	}
	settle()
	before, began := busy(), time.Now()
	err = kind.Create(ctx)
	took, work = time.Since(began), busy()-before
	if err == nil {
		err = kind.Settle(ctx)
	}
	return took, work, errors.Join(err, kind.Delete(ctx))
}

// allBuilds builds the sample app's images at the same time, from an empty cache, as `docker build` does.
func allBuilds(ctx context.Context) (took, work time.Duration, err error) {
	if err := emptyCache(ctx); err != nil {
		return 0, 0, err
	}
	builds := [][]string{
		{"sample-app/services/web"},
		{"-f", "sample-app/services/web/nginx.Dockerfile", "sample-app/services/web"},
		{"sample-app/services/grades"},
		{"sample-app/services/recommender"},
	}
	errs := make([]error, len(builds))
	var all sync.WaitGroup
	settle()
	before, began := busy(), time.Now()
	for i, args := range builds {
		all.Go(func() {
			_, errs[i] = measure.Run(ctx, "", measure.Docker(), append([]string{"build", "--quiet"}, args...)...)
		})
	}
	all.Wait()
	return time.Since(began), busy() - before, errors.Join(errs...)
}

func emptyCache(ctx context.Context) error {
	_, err := measure.Run(ctx, "", measure.Docker(), "builder", "prune", "--all", "--force")
	return err
}

// parts of a cold up: how long it took, when its cluster, its last image and its last load were done, and what deploying takes alone; and how
// long the processors worked in all of it and for deploying alone.
type parts struct{ total, cluster, built, loaded, deploying, work, deployingWork time.Duration }

func coldUp(ctx context.Context) (p parts, err error) {
	devenv := func(args ...string) (string, error) {
		return measure.Run(ctx, "", "bin/devenv", append(args, "-f", "sample-app/devenv.yaml", "--env", environment, "-o", "json")...)
	}
	if _, err := devenv("down", "--cluster", "--data"); err != nil {
		return p, err
	}
	images, err := measure.Run(ctx, "", "docker", "images", "--quiet", "--filter", "label=run.devenv.service")
	if err != nil {
		return p, err
	}
	if ids := strings.Fields(images); len(ids) > 0 {
		if _, err := measure.Run(ctx, "", "docker", append([]string{"rmi", "--force"}, slices.Compact(ids)...)...); err != nil {
			return p, err
		}
	}
	if err := emptyCache(ctx); err != nil {
		return p, err
	}
	settle()
	before, began := busy(), time.Now()
	out, err := devenv("up")
	p.total, p.work = time.Since(began), busy()-before
	if err != nil {
		return p, err
	}
	for lines := bufio.NewScanner(strings.NewReader(out)); lines.Scan(); {
		var e struct {
			Type string
			Time time.Time
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return p, err
		}
		switch e.Type {
		case "cluster.created":
			p.cluster = e.Time.Sub(began)
		case "image.built":
			p.built = e.Time.Sub(began)
		case "image.loaded":
			p.loaded = e.Time.Sub(began)
		}
	}
	if _, err := devenv("down", "--data"); err != nil {
		return p, err
	}
	settle()
	before, began = busy(), time.Now()
	if _, err := devenv("up"); err != nil {
		return p, err
	}
	p.deploying, p.deployingWork = time.Since(began), busy()-before
	_, err = devenv("down", "--cluster", "--data")
	return p, err
}
