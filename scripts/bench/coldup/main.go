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
// It empties the engine's build cache before every build, and works on an environment of its own.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	environment = "bench"
	bareCluster = "devenv-bench-bare"
)

// bareConfig is what a node of the stand-in image needs on a host with cgroup v1 and without CAP_SYS_RESOURCE; on others it does no harm.
const bareConfig = `kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
featureGates: {KubeletInUserNamespace: true}
containerdConfigPatches:
- |
  [plugins."io.containerd.grpc.v1.cri"]
    restrict_oom_score_adj = true
kubeadmConfigPatches:
- |
  kind: KubeletConfiguration
  failCgroupV1: false
`

func main() {
	rounds := flag.Int("rounds", 3, "how often to measure")
	nodeImage := flag.String("node-image", "", "node image of the bare cluster; empty: kind's default")
	flag.Parse()
	if err := measure(*rounds, *nodeImage); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure(rounds int, nodeImage string) error {
	var bare, builds, up, deploy, both []time.Duration
	for n := range rounds {
		b, bareWork, err := bareKind(nodeImage)
		if err != nil {
			return err
		}
		a, buildWork, err := allBuilds()
		if err != nil {
			return err
		}
		u, err := coldUp()
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
	longer := max(median(bare), median(builds))
	fmt.Printf("medians: bare kind %.1f s, all builds %.1f s, deploying alone %.1f s, up %.1f s\n",
		median(bare).Seconds(), median(builds).Seconds(), median(deploy).Seconds(), median(up).Seconds())
	fmt.Printf("up without deploying: %.2f × the longer of bare kind and all builds\n", (median(up)-median(deploy)).Seconds()/longer.Seconds())
	if work := median(both); work > 0 {
		fmt.Printf("bare kind and all builds are at least %.1f s of work for this machine's processors: %.2f × the longer\n",
			least(work).Seconds(), least(work).Seconds()/longer.Seconds())
	}
	return nil
}

func median(all []time.Duration) time.Duration {
	all = slices.Clone(all)
	slices.Sort(all)
	return all[len(all)/2]
}

// run runs a command and gives what it printed on stdout.
func run(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

func bareKind(nodeImage string) (took, work time.Duration, err error) {
	dir, err := os.MkdirTemp("", "devenv-bench-")
	if err != nil {
		return 0, 0, err
	}
	defer os.RemoveAll(dir)
	config, kind := filepath.Join(dir, "kind.yaml"), filepath.Join(dir, "kind")
	if err := os.WriteFile(config, []byte(bareConfig), 0o600); err != nil {
		return 0, 0, err
	}
	if _, err := run("go", "build", "-o", kind, "sigs.k8s.io/kind"); err != nil {
		return 0, 0, err
	}
	args := []string{"create", "cluster", "--name", bareCluster, "--config", config, "--kubeconfig", filepath.Join(dir, "kubeconfig"), "--wait", "5m"}
	if nodeImage != "" {
		args = append(args, "--image", nodeImage)
	}
	before, began := busy(), time.Now()
	_, err = run(kind, args...)
	took, work = time.Since(began), busy()-before
	if err == nil {
		// A node that is removed while its runtime starts pods may not end: on cgroup v1 runc freezes what it sets up.
		_, err = run("docker", "exec", bareCluster+"-control-plane", "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf",
			"wait", "--namespace", "kube-system", "--for", "condition=Ready", "pods", "--all", "--timeout", "3m")
	}
	_, deleted := run(kind, "delete", "cluster", "--name", bareCluster, "--kubeconfig", filepath.Join(dir, "kubeconfig"))
	return took, work, errors.Join(err, deleted)
}

// allBuilds builds the sample app's images at the same time, from an empty cache, as `docker build` does.
func allBuilds() (took, work time.Duration, err error) {
	if err := emptyCache(); err != nil {
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
	before, began := busy(), time.Now()
	for i, args := range builds {
		all.Go(func() {
			cmd := exec.Command(docker(), append([]string{"build", "--quiet"}, args...)...)
			cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=1")
			if out, err := cmd.CombinedOutput(); err != nil {
				errs[i] = fmt.Errorf("docker build %v: %w\n%s", args, err, out)
			}
		})
	}
	all.Wait()
	return time.Since(began), busy() - before, errors.Join(errs...)
}

// docker is a client that can build with BuildKit: Debian's stands in /usr/bin, whatever is earlier on the PATH.
func docker() string {
	const debian = "/usr/bin/docker"
	if _, err := os.Stat(debian); err == nil {
		return debian
	}
	return "docker"
}

func emptyCache() error {
	_, err := run("docker", "builder", "prune", "--all", "--force")
	return err
}

// parts of a cold up: how long it took, when its cluster, its last image and its last load were done, and what deploying takes alone; and how
// long the processors worked in all of it and for deploying alone.
type parts struct{ total, cluster, built, loaded, deploying, work, deployingWork time.Duration }

func coldUp() (p parts, err error) {
	devenv := func(args ...string) (string, error) {
		return run("bin/devenv", append(args, "-f", "sample-app/devenv.yaml", "--env", environment, "-o", "json")...)
	}
	if _, err := devenv("down", "--cluster", "--data"); err != nil {
		return p, err
	}
	images, err := run("docker", "images", "--quiet", "--filter", "label=run.devenv.service")
	if err != nil {
		return p, err
	}
	if ids := strings.Fields(images); len(ids) > 0 {
		if _, err := run("docker", append([]string{"rmi", "--force"}, slices.Compact(ids)...)...); err != nil {
			return p, err
		}
	}
	if err := emptyCache(); err != nil {
		return p, err
	}
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
	before, began = busy(), time.Now()
	if _, err := devenv("up"); err != nil {
		return p, err
	}
	p.deploying, p.deployingWork = time.Since(began), busy()-before
	_, err = devenv("down", "--cluster", "--data")
	return p, err
}
