package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/devenv-run/devenv/devenv/docker"
	"github.com/devenv-run/devenv/devenv/image"
	"github.com/devenv-run/devenv/devenv/kind"
	"github.com/devenv-run/devenv/devenv/plan"
)

type timed struct{ *docker.Engine }

func (t timed) Describe(ctx context.Context, ref string) (image.Description, error) {
	b := time.Now()
	d, err := t.Engine.Describe(ctx, ref)
	fmt.Printf("  describe %v (done at %v)\n", time.Since(b), time.Since(began))
	return d, err
}
func (t timed) Fetch(ctx context.Context, w image.Want) (*image.Image, error) {
	b := time.Now()
	d, err := t.Engine.Fetch(ctx, w)
	fmt.Printf("  fetch %v (began at %v)\n", time.Since(b), b.Sub(began))
	return d, err
}

var began time.Time

func main() {
	ctx := context.Background()
	e, err := docker.Open(ctx)
	if err != nil {
		panic(err)
	}
	o := kind.Options{Name: "devenv-inside", StateDir: os.Getenv("STATE"), Project: "/tmp", Engine: timed{e}}
	in := kind.New(o).Enter()
	defer in.Close()
	if os.Getenv("NOINSIDE") == "" {
		o.Inside = in
	}
	k := kind.New(o)
	program, _ := os.ReadFile("/tmp/devenv-inside")
	os.MkdirAll("/tmp/bctx", 0o755)
	for n := range 5 {
		tag := rand.Text()
		os.WriteFile("/tmp/bctx/layer", append(program[:15<<20], tag...), 0o644)
		os.WriteFile("/tmp/bctx/Dockerfile", []byte("FROM debian:bookworm-slim\nCOPY layer /layer\n"), 0o644)
		ref := fmt.Sprintf("registry.example.com/inside/big:devenv-%d-%d", os.Getpid(), n)
		cmd := exec.Command("/usr/bin/docker", "build", "-q", "-t", ref, "/tmp/bctx")
		cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			panic(string(out))
		}
		began = time.Now()
		d, err := k.Deliver(ctx, plan.Image{Ref: ref}, []string{"devenv-inside-control-plane"}, func(string) {})
		fmt.Println(d, err, time.Since(began))
		began = time.Now()
		h, err := k.NodeImages(ctx, []string{"devenv-inside-control-plane"}, []string{ref, "absent:1"})
		fmt.Println(h, err, time.Since(began))
		exec.Command("docker", "rmi", ref).Run()
	}
}
