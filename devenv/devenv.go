// Package devenv is the facade: it opens a project and carries out commands on its environment. It is the only package that
// knows all the adapters (docker, kind, kube) and wires them to the pure core (config, digest, render, plan, engine).
//
// Open reads devenv.yaml and touches nothing else. Each command is then a method of Project: Up and Plan gather what should be and
// what is (gather.go), let plan.Compute say what to do, and Up has the engine do it. What users see goes to Options.Sink as
// events.
package devenv

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/docker"
	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/kind"
	"github.com/devenv-run/devenv/devenv/kube"
	"github.com/devenv-run/devenv/devenv/secret"
	"github.com/devenv-run/devenv/devenv/view"
)

// An environment's name becomes part of its nodes' host names, which hold 63 characters.
const maxName = 40

var environmentName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// Options say which environment of which project to act on.
type Options struct {
	File        string   // devenv.yaml; empty: found upward from the working directory
	Over        []string // further files, each merged over what comes before it
	Environment string   // one of several environments of the project on this machine; empty: the only one
	Profile     string   // profile of devenv.yaml to merge over it; empty: none
	Offline     bool     // ask no registry
	Locked      bool     // fail where something is not as devenv.lock pins it
	// Timeout bounds the wait for one object too, where it is longer than the default of five minutes. The whole
	// command is bounded by the context.
	Timeout time.Duration
	Sink    event.Sink
	Log     io.Writer // gets the debug log too; may be nil
}

// Outcome is what a command reports beside its events.
type Outcome struct {
	Steps   int    // steps that Up executed, or that Plan would
	Summary string // one line of what came of it
}

// Project is one environment of a project. It is used by one command at a time.
type Project struct {
	options Options
	config  *config.Config
	name    string // of the environment
	state   state
	sink    event.Sink
	log     *slog.Logger
	secrets *secret.Redactor // takes what it learns while files are read and rendered out of all that is said

	course course // how the plans of `dev` are made and carried out; zero for other commands

	inside *kind.Inside                   // connections into the nodes, while a `dev` holds some
	docker func() (*docker.Engine, error) // opens the engine once
	closed []func() error
	said   sync.Map // event.Event → true: what is not said twice

	cacheOpened sync.Once
	cache       *digest.Cache // see fileCache
}

// Open reads the project's devenv.yaml and what is merged over it. Everything wrong with it is one fault.Config.
func Open(ctx context.Context, o Options) (*Project, error) {
	file := o.File
	if file == "" {
		dir, err := os.Getwd()
		if err != nil {
			return nil, &fault.Error{Kind: fault.Machine, What: "working directory", Err: err, Next: "Change to a directory that exists."}
		}
		if file, err = config.Find(dir); err != nil {
			return nil, err
		}
	}
	c, err := config.Load(file, config.Options{Over: o.Over, Profile: o.Profile})
	if err != nil {
		return nil, err
	}
	o.File = file
	p := &Project{options: o, config: c, name: c.Name, secrets: &secret.Redactor{}}
	if o.Environment != "" {
		p.name += "-" + o.Environment
		if !environmentName.MatchString(o.Environment) || len(p.name) > maxName {
			return nil, &fault.Error{
				Kind: fault.Config, What: "--env " + o.Environment + " cannot be part of a cluster's name",
				Next: fmt.Sprintf("Use lower-case letters, digits and dashes, at most %d characters together with the project's name.", maxName),
			}
		}
	}
	if p.state, err = openState(p.name); err != nil {
		return nil, err
	}
	if err := p.state.claim(c.Name, o.Environment); err != nil {
		return nil, err
	}
	var logFile io.Closer
	if p.log, logFile, err = p.state.log(o.Log, p.secrets); err != nil {
		return nil, err
	}
	p.closed = append(p.closed, logFile.Close)
	// The Helm, Kustomize and Kubernetes libraries write to the default logger; what they say belongs into the debug log.
	slog.SetDefault(p.log)
	klog.SetSlogLogger(p.log)
	p.sink = clean(p.secrets, view.Tee(o.Sink, view.Log(p.log)))
	p.allowNames()
	p.docker = sync.OnceValues(func() (*docker.Engine, error) {
		e, err := docker.Open(ctx)
		if err == nil {
			p.closed = append(p.closed, e.Close)
		}
		return e, err
	})
	return p, nil
}

// Close releases what the project holds.
func (p *Project) Close() error {
	var first error
	for i := len(p.closed) - 1; i >= 0; i-- {
		if err := p.closed[i](); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// clusters is the environment's cluster as kind knows it.
func (p *Project) clusters(e *docker.Engine) *kind.Clusters {
	c := p.config.Cluster
	certificates := make([]string, len(c.CACertificates))
	for i, path := range c.CACertificates {
		certificates[i] = p.config.Abs(path)
	}
	kindConfig := c.KindConfig
	if kindConfig != "" {
		kindConfig = p.config.Abs(kindConfig)
	}
	return kind.New(kind.Options{
		Name:     "devenv-" + p.name,
		StateDir: p.state.dir,
		Project:  p.config.Dir,
		Offline:  p.options.Offline,
		Engine:   e,
		Inside:   p.inside,
		Spec: kind.Spec{
			Workers:         c.Workers,
			NodeImage:       c.NodeImage,
			RegistryMirrors: c.RegistryMirrors,
			CACertificates:  certificates,
			KindConfig:      kindConfig,
		},
	})
}

// objectTimeout is how long kube waits for one object by itself.
const objectTimeout = 5 * time.Minute

// connect opens the environment's view of its cluster, which is in the given state.
func (p *Project) connect(ctx context.Context, clusters *kind.Clusters, state kind.State) (*kube.Cluster, error) {
	o := kube.Options{Kubeconfig: clusters.Kubeconfig(), UID: state.Identity.UID, Environment: p.name, NodeStarts: state.Started}
	if p.options.Timeout > objectTimeout {
		o.Timeout = p.options.Timeout
	}
	return kube.Open(ctx, o)
}
