// Command edit measures the time from an edit to the new code being served, and what clients notice of it.
//
//	go run ./scripts/bench/edit                                    every case, by `devenv dev` of this checkout
//	go run ./scripts/bench/edit -case go-scratch -mode full -nodes 3
//	go run ./scripts/bench/edit -replicas 2 -pre-stop 2            refused requests
//	go run ./scripts/bench/edit -gone                              `up` after the images have gone
//	go run ./scripts/bench/edit -kind -ready PATTERN -command 'some-tool dev --kubeconfig {kubeconfig}' -with DIR
//
// A case is a generated project: devenv.yaml, and for other tools its plain manifest k8s.yaml and app/Dockerfile. The tool is started on it; once it says
// that it is ready a file is edited, each time with a new text, while the service is asked every 10 ms with a new connection. Its
// address is that of a node and a NodePort, so that no port-forward of the tool is in the way. Beside it, in the same run, the same edits go
// through the plain `go build` or `docker build`, with the same pauses and while the service is asked in the same way.
//
// Where -command is given it is run by sh in the project's directory, with {dir}, {kubeconfig} and {cluster} (kind's name of it) filled in, and has to go
// on until it is interrupted. With -kind a plain kind cluster is made for it, and kind is on its PATH; without, the cluster is devenv's, and {devenv} is the
// binary. The script by-hand, beside this file, is such a tool: docker build, kind load, kubectl apply.
// Files of the tool's own, such as its configuration, are copied into the project from the directory -with.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	devenvCommand = "exec {devenv} dev --file {dir}/devenv.yaml --output json"
	devenvReady   = `"type":"dev\.watching"`
)

func main() {
	b := &bench{}
	only := flag.String("case", "", "one or several of the cases, separated by commas; empty: all of them: "+strings.Join(names(), ", "))
	flag.IntVar(&b.edits, "edits", 10, "how many edits")
	flag.DurationVar(&b.pause, "pause", 5*time.Second, "between an edit being served and the next one; below 3s the kubelet is still busy with the one before, see docs/performance.md")
	flag.IntVar(&b.nodes, "nodes", 1, "nodes of the cluster")
	flag.IntVar(&b.replicas, "replicas", 1, "pods of the service")
	flag.IntVar(&b.preStop, "pre-stop", 0, "seconds for which a pod goes on serving after it was told to end")
	flag.StringVar(&b.mode, "mode", "auto", "devenv's dev.mode: auto or full")
	flag.StringVar(&b.command, "command", devenvCommand, "the tool")
	ready := flag.String("ready", devenvReady, "what a line of the tool's output matches once it is ready")
	flag.StringVar(&b.with, "with", "", "a directory of files to put into the project")
	flag.BoolVar(&b.kind, "kind", false, "run the tool on a plain kind cluster")
	flag.BoolVar(&b.morning, "gone", false, "measure up with two services whose sources are new and whose images are gone, -edits times, and nothing else")
	flag.StringVar(&b.nodeImage, "node-image", "", "node image of the plain kind cluster; empty: kind's default")
	flag.StringVar(&b.devenv, "devenv", "", "the devenv to measure; empty: that of this checkout")
	flag.StringVar(&b.log, "log", "", "a file for all that the tool prints, the edits and the requests that failed, with times")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := b.choose(*only, *ready)
	if err == nil {
		err = b.measureAll(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func names() []string {
	var all []string
	for _, s := range scenarios() {
		all = append(all, s.name)
	}
	return all
}

// choose checks what the flags say.
func (b *bench) choose(only, ready string) (err error) {
	b.cases = scenarios()
	if only != "" {
		wanted := strings.Split(only, ",")
		for _, name := range wanted {
			if !slices.Contains(names(), name) {
				return fmt.Errorf("-case %s: there is %s", name, strings.Join(names(), ", "))
			}
		}
		b.cases = slices.DeleteFunc(b.cases, func(s scenario) bool { return !slices.Contains(wanted, s.name) })
	}
	if b.morning && b.kind {
		return fmt.Errorf("-gone measures devenv, which makes its own cluster: without -kind")
	}
	if b.nodes < 1 || b.edits < 1 || b.replicas < 1 || b.pause <= 0 {
		return fmt.Errorf("-nodes, -edits and -replicas are at least 1, and -pause is more than 0")
	}
	b.ready, err = regexp.Compile(ready)
	return err
}
