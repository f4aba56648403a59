// Command load measures how long it takes to bring a changed image into the nodes of a kind cluster: by devenv's delivery of the layers that
// the nodes lack, and in the same run by `kind load docker-image`. The image has a base of 335 MB and on top of it a layer that is new in each round:
// 15 MB of program, or a few bytes.
//
//	go run ./scripts/bench/load -nodes 3 -rounds 7
//
// With -images it measures instead how much processor time it takes to load images that the engine holds, all at once, into nodes that have none of them:
//
//	go run ./scripts/bench/load -nodes 1 -images redis:7-bookworm,postgres:15-bookworm
//
// It makes a cluster of its own, and removes it and the images when it is done.
package main

import (
	"archive/tar"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/devenv-run/devenv/devenv/docker"
	"github.com/devenv-run/devenv/devenv/kind"
	"github.com/devenv-run/devenv/devenv/plan"
	"github.com/devenv-run/devenv/scripts/bench/measure"
)

const (
	repository = "registry.example.com/devenv-bench/load"
	cluster    = "devenv-bench-load"
	baseSize   = 335 << 20
	layerSize  = 15 << 20
)

func main() {
	nodes := flag.Int("nodes", 3, "nodes of the cluster")
	rounds := flag.Int("rounds", 7, "how often to measure each")
	nodeImage := flag.String("node-image", "", "node image; empty: what devenv would choose")
	images := flag.String("images", "", "load these images, separated by commas, once and all together")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var refs []string
	if *images != "" {
		refs = strings.Split(*images, ",")
	}
	if err := run(ctx, *nodes, *rounds, *nodeImage, refs); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, nodes, rounds int, nodeImage string, images []string) (err error) {
	dir, err := os.MkdirTemp("", "devenv-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tool := filepath.Join(dir, "kind")
	if _, err := measure.Run(ctx, "", "go", "build", "-o", tool, "sigs.k8s.io/kind"); err != nil {
		return err
	}
	b := &bench{dir: dir, tool: tool}
	defer func() { err = errors.Join(err, b.removeImages()) }()
	if len(images) == 0 {
		if err := b.makeBase(ctx); err != nil {
			return err
		}
	}
	engine, err := docker.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	b.clusters = kind.New(kind.Options{
		Name: cluster, StateDir: filepath.Join(dir, "state"), Project: dir, Engine: engine,
		Spec: kind.Spec{Workers: nodes - 1, NodeImage: nodeImage},
	})
	resolved, err := b.clusters.Resolve(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.clusters.Delete(context.WithoutCancel(ctx))) }()
	if err := b.clusters.Create(ctx, resolved.Cluster, func(string) {}); err != nil {
		return err
	}
	b.nodes = resolved.Cluster.Nodes
	if len(images) > 0 {
		return b.together(ctx, images)
	}
	return b.measure(ctx, rounds)
}

type bench struct {
	dir, tool string
	nodes     []string
	clusters  *kind.Clusters
	made      []string // references
}

func (b *bench) measure(ctx context.Context, rounds int) error {
	if _, _, err := b.devenv(ctx, layerSize); err != nil { // the first time everything is new
		return err
	}
	for _, change := range []struct {
		name string
		size int
		ways []way
	}{
		{name: "15 MB", size: layerSize, ways: []way{{"devenv", b.devenv}, {"kind load", b.kindLoad}}},
		{name: "a few bytes", size: 100, ways: []way{{"devenv", b.devenv}}},
	} {
		for _, w := range change.ways {
			var all []time.Duration
			var last string
			for range rounds {
				took, detail, err := w.load(ctx, change.size)
				if err != nil {
					return err
				}
				all, last = append(all, took), detail
			}
			fmt.Printf("%s changed, %s, %s: first %.2f s, min %.2f s, median %.2f s, max %.2f s; %s\n", change.name, plan.Count(len(b.nodes), "node"), w.name,
				all[0].Seconds(), slices.Min(all).Seconds(), median(all).Seconds(), slices.Max(all).Seconds(), last)
		}
	}
	return nil
}

// way is a way to load an image that is made anew with a change of a size.
type way struct {
	name string
	load func(ctx context.Context, size int) (took time.Duration, detail string, err error)
}

func (b *bench) devenv(ctx context.Context, size int) (time.Duration, string, error) {
	ref, err := b.makeImage(ctx, size)
	if err != nil {
		return 0, "", err
	}
	began := time.Now()
	detail, err := b.clusters.Deliver(ctx, plan.Image{Ref: ref}, b.nodes, func(string) {})
	return time.Since(began), detail, err
}

func (b *bench) kindLoad(ctx context.Context, size int) (time.Duration, string, error) {
	ref, err := b.makeImage(ctx, size)
	if err != nil {
		return 0, "", err
	}
	began := time.Now()
	_, err = measure.Run(ctx, "", b.tool, "load", "docker-image", "--name", cluster, ref)
	return time.Since(began), "sent everything", err
}

// makeBase puts a base image into the engine: noise, which is the same to all who do not compress it.
func (b *bench) makeBase(ctx context.Context) error {
	r, w := io.Pipe()
	go func() {
		archive := tar.NewWriter(w)
		err := archive.WriteHeader(&tar.Header{Name: "base", Mode: 0o644, Size: baseSize})
		if err == nil {
			_, err = io.CopyN(archive, rand.Reader, baseSize)
		}
		w.CloseWithError(errors.Join(err, archive.Close()))
	}()
	cmd := exec.CommandContext(ctx, measure.Docker(), "import", "-", repository+":base")
	cmd.Stdin = r
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("docker import: %w\n%s", err, out)
	}
	b.made = append(b.made, repository+":base")
	return nil
}

// makeImage puts an image into the engine that nobody has: the base, and a layer with part of a program and something that is new.
func (b *bench) makeImage(ctx context.Context, size int) (string, error) {
	program, err := os.ReadFile(b.tool)
	if err != nil {
		return "", err
	}
	tag := strings.ToLower(rand.Text())
	layer := append(program[:min(size, len(program))], tag...)
	context := filepath.Join(b.dir, "context")
	if err := os.MkdirAll(context, 0o700); err != nil {
		return "", err
	}
	dockerfile := []byte("FROM " + repository + ":base\nCOPY layer /layer\n")
	if err := errors.Join(os.WriteFile(filepath.Join(context, "layer"), layer, 0o600), os.WriteFile(filepath.Join(context, "Dockerfile"), dockerfile, 0o600)); err != nil {
		return "", err
	}
	ref := repository + ":devenv-" + tag
	cmd := exec.CommandContext(ctx, measure.Docker(), "build", "--quiet", "--tag", ref, context)
	cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("docker build: %w\n%s", err, out)
	}
	b.made = append(b.made, ref)
	return ref, nil
}

func (b *bench) removeImages() error {
	if len(b.made) == 0 {
		return nil
	}
	_, err := measure.Run(context.Background(), "", "docker", append([]string{"rmi", "--force"}, b.made...)...)
	return err
}

func median(all []time.Duration) time.Duration {
	all = slices.Clone(all)
	slices.Sort(all)
	return all[len(all)/2]
}
