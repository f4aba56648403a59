package main

import (
	"context"
	"path/filepath"

	"github.com/devenv-run/devenv/scripts/bench/measure"
)

// scenario is a kind of edit.
type scenario struct {
	name    string
	about   string
	files   string // the part of projects.txtar that it adds to what is its own
	ballast int    // bytes in the program that compression does not make smaller
	big     bool   // on a base of 335 MB
	port    int    // of the node
	// alone is what a developer would run for the change by hand, without a cluster; nil where that is nothing.
	alone func(ctx context.Context, p *project) (what string, err error)
}

const (
	baseImage = "registry.example.com/devenv-bench/base:1.0.0"
	baseSize  = 335 << 20
)

func scenarios() []scenario {
	return []scenario{
		{name: "sync-scratch", about: "one file synced into a scratch container", port: 30101},
		{name: "sync-php", about: "one PHP file synced", port: 30102},
		{name: "compile-go", about: "Go, compiled on this machine", files: "go", port: 30103, alone: goBuild},
		{name: "go-scratch", about: "Go, multi-stage Dockerfile, scratch image of 8 MB", files: "go", port: 30104, alone: dockerBuild},
		{name: "go-350mb", about: "the same on 335 MB, the last 15 MB change", files: "go", port: 30105, alone: dockerBuild, big: true, ballast: 7 << 20},
	}
}

func goBuild(ctx context.Context, p *project) (string, error) {
	const what = "go build"
	_, err := measure.Run(ctx, filepath.Join(p.dir, "app"), "env", "CGO_ENABLED=0", "go", "build", "-o", "../.devenv/app", ".")
	return what, err
}

func dockerBuild(ctx context.Context, p *project) (string, error) {
	const what = "docker build"
	_, err := measure.Run(ctx, p.dir, measure.Docker(), "build", "--quiet", "--tag", p.image()+":alone", "app")
	return what, err
}
