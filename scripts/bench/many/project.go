package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/devenv-run/devenv/scripts/bench/measure"
)

// project is what is generated: services s00, s01, … with their files.
type project struct {
	services, files int
	mode            string // of dev: auto or full
	dir             string // with devenv.yaml; set by write
}

const (
	name      = "bench-many"
	perFolder = 100 // files of a build context that are in one directory
)

const serviceYAML = `  %[1]s:
    image: registry.example.com/devenv-bench/%[1]s
    build: {context: services/%[1]s}
    dev: {mode: %[2]s}
`

const deployYAML = `deploy:
  - {name: many, namespace: many, manifests: [namespace.yaml, deploy/*.yaml]}
`

const namespaceYAML = `apiVersion: v1
kind: Namespace
metadata: {name: many}
`

const objectsYAML = `apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: 1
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      containers:
        - name: %[1]s
          image: registry.example.com/devenv-bench/%[1]s:1.0.0
          ports: [{name: http, containerPort: 8080}]
          resources: {requests: {cpu: 1m, memory: 8Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec:
  selector: {app: %[1]s}
  ports: [{name: http, port: 80, targetPort: http}]
`

// The build reads the program and the first directory, so that a change of any file makes a new image and a build of it copies little.
const dockerfile = "FROM scratch\nCOPY wait /wait\nCOPY data/00 /data\nENTRYPOINT [\"/wait\"]\n"

func (p *project) service(n int) string { return fmt.Sprintf("s%02d", n) }

// file is the path of one of a service's files.
func (p *project) file(service, n int) string {
	return filepath.Join(p.dir, "services", p.service(service), "data", fmt.Sprintf("%02d", n/perFolder), fmt.Sprintf("%03d.txt", n%perFolder))
}

// write makes the project below dir.
func (p *project) write(ctx context.Context, dir string) error {
	p.dir = filepath.Join(dir, "project")
	wait := filepath.Join(dir, "wait")
	_, err := measure.Run(ctx, "", "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-ldflags=-s -w", "-o", wait,
		"github.com/devenv-run/devenv/scripts/bench/many/wait")
	if err != nil {
		return err
	}
	program, err := os.ReadFile(wait)
	if err != nil {
		return err
	}
	var config strings.Builder
	fmt.Fprintf(&config, "apiVersion: devenv/v1\nname: %s\nservices:\n", name)
	files := map[string]string{"namespace.yaml": namespaceYAML}
	for n := range p.services {
		s := p.service(n)
		fmt.Fprintf(&config, serviceYAML, s, p.mode)
		files[filepath.Join("deploy", s+".yaml")] = fmt.Sprintf(objectsYAML, s)
		context := filepath.Join("services", s)
		files[filepath.Join(context, "Dockerfile")] = dockerfile
		files[filepath.Join(context, "wait")] = string(program)
	}
	files["devenv.yaml"] = config.String() + deployYAML
	for path, text := range files {
		if err := writeFile(filepath.Join(p.dir, path), text, 0o755); err != nil {
			return err
		}
	}
	for s := range p.services {
		for n := range p.files {
			if err := p.change(s, n, "as generated"); err != nil {
				return err
			}
		}
	}
	return nil
}

// change writes a file of a service anew.
func (p *project) change(service, n int, text string) error {
	return writeFile(p.file(service, n), fmt.Sprintf("file %d of %s, %s\n", n, p.service(service), text), 0o644)
}

func writeFile(path, text string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), mode)
}
