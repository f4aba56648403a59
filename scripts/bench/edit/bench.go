package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/devenv-run/devenv/scripts/bench/measure"
)

// bench is what the flags say, and where it takes place.
type bench struct {
	cases                           []scenario
	edits, nodes, replicas, preStop int
	pause                           time.Duration // between an edit being served and the next, in which nothing but the new answer has to come
	mode, command, with             string
	ready                           *regexp.Regexp
	kind, morning                   bool
	nodeImage, devenv, log          string

	dir        string
	run        string    // stands for this run of the benchmark in all answers
	cluster    string    // kind's name of it
	kubeconfig string    // of the plain cluster
	output     io.Writer // for what the tool prints
}

// clusterName is the plain cluster's; devenv's is called by its project.
const clusterName = "bench-edit"

func (b *bench) measureAll(ctx context.Context) (err error) {
	b.run = rand.Text()
	if b.dir, err = os.MkdirTemp("", "devenv-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	b.output = io.Discard
	if b.log != "" {
		file, err := os.Create(b.log)
		if err != nil {
			return err
		}
		defer file.Close()
		b.output = &shared{to: file}
	}
	if b.devenv == "" && strings.Contains(b.command, "{devenv}") {
		if b.devenv, err = measure.BuildDevenv(ctx, b.dir); err != nil {
			return err
		}
	}
	prepare := b.prepareDevenv
	if b.kind {
		prepare = b.prepareKind
	}
	remove, err := prepare(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	defer b.removeImages()

	if b.morning {
		return b.gone(ctx)
	}
	fmt.Printf("%d edits each, %v apart, %d node(s), %d pod(s), dev.mode %s, pre-stop %d s; seconds, min / median / max\n\n",
		b.edits, b.pause, b.nodes, b.replicas, b.mode, b.preStop)
	fmt.Println("| case | first new answer | last old answer | build alone | beyond it | requests failed | longest gap | ways | load |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, s := range b.cases {
		r, err := b.measure(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Println(r.row(s))
	}
	return nil
}

// answer is what the service is to say after the nth edit of a kind.
func (b *bench) answer(kind string, n int) string { return fmt.Sprintf("%s %d of %s", kind, n, b.run) }

// project is that of a case.
func (b *bench) project(s scenario) *project {
	return &project{scenario: s, dir: filepath.Join(b.dir, "project"), nodes: b.nodes, replica: b.replicas, mode: b.mode, preStop: b.preStop, with: b.with}
}

// prepareDevenv removes what an earlier run left. The cluster is made by the tool's first start.
func (b *bench) prepareDevenv(ctx context.Context) (remove func() error, err error) {
	p := b.project(b.cases[0])
	if err := p.write(b.answer("first", 0)); err != nil {
		return nil, err
	}
	d := measure.Devenv{Program: b.devenv, Project: p.dir}
	if d.Program == "" {
		return nil, errors.New("the command does not name {devenv}, so -kind is needed")
	}
	b.cluster = "devenv-" + name
	down := func() error {
		_, err := d.Run(context.WithoutCancel(ctx), "down", "--cluster", "--data")
		return err
	}
	return down, down()
}

// prepareKind makes a plain cluster.
func (b *bench) prepareKind(ctx context.Context) (remove func() error, err error) {
	k := measure.Kind{Name: clusterName, Image: b.nodeImage, Workers: b.nodes - 1, Dir: b.dir}
	b.cluster, b.kubeconfig = k.Name, k.Kubeconfig()
	if err := k.Build(ctx); err != nil {
		return nil, err
	}
	remove = func() error { return k.Delete(ctx) }
	if err := k.Create(ctx); err != nil {
		return nil, errors.Join(err, remove())
	}
	if err := k.Settle(ctx); err != nil {
		return nil, errors.Join(err, remove())
	}
	return remove, nil
}

// removeImages takes what the builds alone left in the engine. What a tool left there is its own.
func (b *bench) removeImages() {
	for _, s := range b.cases {
		// Most cases leave none.
		_, _ = measure.Run(context.Background(), "", measure.Docker(), "rmi", "--force", b.project(s).image()+":alone")
	}
}

// node is the address at which the first node answers.
func (b *bench) node(ctx context.Context) (string, error) {
	out, err := measure.Run(ctx, "", "docker", "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", b.cluster+"-control-plane")
	if err != nil {
		return "", err
	}
	addresses := strings.Fields(out)
	if len(addresses) == 0 {
		return "", fmt.Errorf("the node %s-control-plane has no address", b.cluster)
	}
	return addresses[0], nil
}

const editPatience = 3 * time.Minute // until an edit is served

// measure runs one case.
func (b *bench) measure(ctx context.Context, s scenario) (r result, err error) {
	if s.big {
		if err := makeBase(ctx); err != nil {
			return r, err
		}
	}
	p := b.project(s)
	if err := p.write(b.answer("first", 0)); err != nil {
		return r, err
	}
	command := strings.NewReplacer("{dir}", p.dir, "{kubeconfig}", b.kubeconfig, "{cluster}", b.cluster, "{devenv}", b.devenv).Replace(b.command)
	var environ []string
	if b.kind { // of the same version for whatever calls it
		environ = append(environ, "KUBECONFIG="+b.kubeconfig, "PATH="+b.dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	}
	t, err := start(ctx, command, p.dir, environ, b.ready, b.output)
	if err != nil {
		return r, err
	}
	err = b.asked(ctx, p, b.output, func(a *asker) error { return b.editing(ctx, p, a, &r) })
	if err != nil {
		err = fmt.Errorf("%w\nthe tool's last lines:\n%s", err, t.tail())
	}
	if err := errors.Join(err, t.stop()); err != nil {
		return r, err
	}
	r.ways = t.ways
	return r, b.asked(ctx, p, io.Discard, func(*asker) error { return b.alone(ctx, p, &r) })
}

// asked has the service be asked, and its failures written to log, while do runs.
func (b *bench) asked(ctx context.Context, p *project, log io.Writer, do func(a *asker) error) error {
	node, err := b.node(ctx)
	if err != nil {
		return err
	}
	a := newAsker(fmt.Sprintf("http://%s:%d/", node, p.port), log)
	asking, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.run(asking)
	}()
	defer func() {
		stop()
		<-done
	}()
	return do(a)
}

// editing edits while the tool runs.
func (b *bench) editing(ctx context.Context, p *project, a *asker, r *result) error {
	one := func(answer string) (served, last time.Time, err error) {
		wait, cancel := context.WithTimeout(ctx, editPatience)
		defer cancel()
		if served, err = a.served(wait, answer); err == nil {
			last, err = a.alone(wait, answer, b.pause)
		}
		if err != nil {
			err = fmt.Errorf("%q was not served, or something else was too: %w; requests failed: %v", answer, err, a.tally().why)
		}
		return served, last, err
	}
	if _, _, err := one(b.answer("first", 0)); err != nil {
		return err
	}
	a.forget()
	for n := range b.edits {
		answer := b.answer("edit", n+1)
		began := time.Now()
		if err := p.edit(answer); err != nil {
			return err
		}
		fmt.Fprintf(b.output, "edit %d at %s\n", n+1, began.Format(stamp))
		served, last, err := one(answer)
		if err != nil {
			return err
		}
		r.first = append(r.first, served.Sub(began))
		r.last = append(r.last, max(last.Sub(began), 0))
	}
	r.tally, r.load = a.tally(), measure.Load()
	return nil
}

// alone has as many edits go through what a developer would run for them by hand, with the same pauses. The first one fills caches, and does not count.
func (b *bench) alone(ctx context.Context, p *project, r *result) error {
	if p.scenario.alone == nil {
		return nil
	}
	for n := range b.edits + 1 {
		select {
		case <-time.After(b.pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := p.edit(b.answer("alone", n)); err != nil {
			return err
		}
		began := time.Now()
		what, err := p.scenario.alone(ctx, p)
		if err != nil {
			return err
		}
		if n > 0 {
			r.what, r.alone = what, append(r.alone, time.Since(began))
		}
	}
	return nil
}

// result is what came of a case.
type result struct {
	first, last measure.Times // from the edit to the first new, and to the last old answer
	alone       measure.Times // of the build alone
	what        string        // the build alone
	tally       tally
	ways        map[string]int
	load        string
}

// row is a line of the table.
func (r result) row(s scenario) string {
	alone, beyond := "–", "–"
	if len(r.alone) > 0 {
		alone = fmt.Sprintf("%s: %s", r.what, r.alone)
		beyond = measure.Seconds(r.first.Median() - r.alone.Median())
	}
	failed := fmt.Sprintf("%d of %d", r.tally.failed, r.tally.asked)
	for _, why := range slices.Sorted(maps.Keys(r.tally.why)) {
		failed += fmt.Sprintf("; %d: %s", r.tally.why[why], why)
	}
	var ways []string
	for _, w := range slices.Sorted(maps.Keys(r.ways)) {
		ways = append(ways, fmt.Sprintf("%s %d", w, r.ways[w]))
	}
	return fmt.Sprintf("| `%s`: %s | %s | %s | %s | %s | %s | %s | %s | %s |", s.name, s.about,
		r.first, r.last, alone, beyond, failed, measure.Seconds(r.tally.gap), strings.Join(ways, ", "), r.load)
}
