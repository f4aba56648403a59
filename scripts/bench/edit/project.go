package main

import (
	_ "embed"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/tools/txtar"
)

//go:embed projects.txtar
var projects []byte

// name is the environment's, of all cases: they share a cluster.
const name = "bench-edit"

const devenvYAML = `apiVersion: devenv/v1
name: %s
cluster: {workers: %d}
services:
  %s:
    image: %s
    build: {context: app}
    dev:
%sdeploy:
  - {name: app, namespace: %[3]s, manifests: [k8s.yaml]}
`

// preStop keeps a pod serving for a moment after it was told to end, until everybody has stopped to send it requests, as production does it.
const preStop = "          lifecycle: {preStop: {sleep: {seconds: %d}}}"

// project is the generated project of a case: devenv.yaml, k8s.yaml, and app/ with a Dockerfile, which is all that another tool needs too.
type project struct {
	scenario
	dir     string
	nodes   int
	replica int
	mode    string // of devenv: auto or full
	preStop int    // seconds; 0: none
	with    string // a directory whose files are put beside; may be empty

	edited string // the file that is edited, and its text with ANSWER for the answer
	text   string
}

func (p *project) image() string { return "registry.example.com/devenv-bench/" + p.name }

// write makes the project's files in its directory, which serve the first answer.
func (p *project) write(first string) error {
	if err := os.RemoveAll(p.dir); err != nil {
		return err
	}
	base, stop := "scratch", ""
	if p.big {
		base = baseImage
	}
	if p.preStop > 0 {
		stop = fmt.Sprintf(preStop, p.preStop)
	}
	fill := strings.NewReplacer("CASE", p.name, "PORT", strconv.Itoa(p.port), "REPLICAS", strconv.Itoa(p.replica), "MODE", p.mode, "PRESTOP\n", stop+"\n", "BASE", base)
	dev := ""
	for _, f := range txtar.Parse(projects).Files {
		of, path, _ := strings.Cut(f.Name, "/")
		if of != "common" && of != p.name && of != p.files {
			continue
		}
		text := fill.Replace(string(f.Data))
		rest, edited := strings.CutPrefix(path, "edited/")
		switch {
		case path == "dev.yaml":
			dev = text
		case edited:
			p.edited, p.text = filepath.Join(p.dir, "app", filepath.FromSlash(rest)), text
			if err := p.edit(first); err != nil {
				return err
			}
		default:
			if err := writeFile(filepath.Join(p.dir, filepath.FromSlash(path)), []byte(text)); err != nil {
				return err
			}
		}
	}
	if p.files == "go" {
		if err := writeFile(filepath.Join(p.dir, "app", "ballast"), noise(p.ballast)); err != nil {
			return err
		}
	}
	config := fmt.Sprintf(devenvYAML, name, p.nodes-1, p.name, p.image(), dev)
	if err := writeFile(filepath.Join(p.dir, "devenv.yaml"), []byte(config)); err != nil {
		return err
	}
	if p.with == "" {
		return nil
	}
	return os.CopyFS(p.dir, os.DirFS(p.with))
}

// edit has the service answer something else, as soon as it runs what the file says. It must never have answered that before, in no earlier run
// either: the engine would remember the build.
func (p *project) edit(answer string) error {
	return writeFile(p.edited, []byte(strings.ReplaceAll(p.text, "ANSWER", answer)))
}

func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

// noise is the same each time, and no compression makes it smaller.
func noise(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // it never fails
	return b
}
