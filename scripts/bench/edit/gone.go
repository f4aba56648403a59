package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/devenv-run/devenv/scripts/bench/measure"
)

// goneYAML declares two services at once: their projects are the directories a and b.
const goneYAML = `apiVersion: devenv/v1
name: %s
cluster: {workers: %d}
services:
  %s: {image: %s, build: {context: a/app}}
  %s: {image: %s, build: {context: b/app}}
deploy:
  - {name: a, namespace: %[3]s, manifests: [a/k8s.yaml]}
  - {name: b, namespace: %[5]s, manifests: [b/k8s.yaml]}
`

// goneFrom are the cases whose services they are.
var goneFrom = [2]string{"sync-php", "go-scratch"}

// gone measures `up` as it is in the morning: the cluster is there, the sources of both services are new, and their images are neither in the engine
// nor on a node. The engine's build cache stays.
func (b *bench) gone(ctx context.Context) error {
	var both []*project
	for i, name := range goneFrom {
		for _, s := range scenarios() {
			if s.name == name {
				p := b.project(s)
				p.dir = filepath.Join(p.dir, string(rune('a'+i)))
				both = append(both, p)
			}
		}
	}
	dir := filepath.Dir(both[0].dir)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for _, p := range both {
		if err := p.write(b.answer("first", 0)); err != nil {
			return err
		}
	}
	config := fmt.Sprintf(goneYAML, name, b.nodes-1, both[0].name, both[0].image(), both[1].name, both[1].image())
	if err := writeFile(filepath.Join(dir, "devenv.yaml"), []byte(config)); err != nil {
		return err
	}
	d := measure.Devenv{Program: b.devenv, Project: dir}
	if _, err := d.Run(ctx, "up"); err != nil {
		return err
	}
	var took measure.Times
	for n := range b.edits {
		for _, p := range both {
			if err := p.edit(b.answer("new", n)); err != nil {
				return err
			}
			if err := b.removeEverywhere(ctx, p); err != nil {
				return err
			}
		}
		began := time.Now()
		if _, err := d.Run(ctx, "up"); err != nil {
			return err
		}
		took = append(took, time.Since(began))
	}
	fmt.Printf("images gone, sources new, cluster of %d node(s) there, until both services are ready: %s s (min / median / max of %d); load average %s\n",
		b.nodes, took, b.edits, measure.Load())
	return nil
}

// removeEverywhere removes the images of a project from the engine and from all nodes.
func (b *bench) removeEverywhere(ctx context.Context, p *project) error {
	out, err := measure.Run(ctx, "", measure.Docker(), "images", "--quiet", "--filter", "reference="+p.image())
	if err != nil {
		return err
	}
	if ids := strings.Fields(out); len(ids) > 0 {
		if _, err := measure.Run(ctx, "", measure.Docker(), append([]string{"rmi", "--force"}, ids...)...); err != nil {
			return err
		}
	}
	nodes, err := measure.Run(ctx, "", "docker", "ps", "--format", "{{.Names}}", "--filter", "label=io.x-k8s.kind.cluster="+b.cluster)
	if err != nil {
		return err
	}
	for _, node := range strings.Fields(nodes) {
		const remove = `ctr --namespace k8s.io images list --quiet | grep "^$1:" | xargs --no-run-if-empty ctr --namespace k8s.io images remove --sync`
		if _, err := measure.Run(ctx, "", "docker", "exec", "--privileged", node, "sh", "-c", remove, "sh", p.image()); err != nil {
			return err
		}
	}
	return nil
}
