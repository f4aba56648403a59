// Package docker is the adapter to the Docker Engine, and the only package that knows its API. It finds the engine that the
// user's docker command would talk to (Open), builds images with the engine's BuildKit (Build), asks which images there are and
// what base images stand for (Images, Resolve), and moves images out (Export, Fetch) or away (Remove).
//
// A build goes to BuildKit's own gRPC interface, which the engine offers beside its REST API: what comes back are typed
// progress messages and errors that know the line of the Dockerfile. The files of the build context stay where
// they are; the engine asks over a session for those that it does not have from the build before, so that a build after a small
// change sends a small change.
//
// All failures are *fault.Error: Machine for an engine, registry or disk that does not do its part, Config for what the
// user declared, Build for a Dockerfile that does not build. A call whose context ended returns an error that wraps the context's.
package docker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/docker/client"

	"github.com/devenv-run/devenv/devenv/fault"
)

// openTimeout is how long an engine may take to answer for the first time; over ssh that includes logging in.
const openTimeout = 20 * time.Second

// Engine is a Docker Engine that answered. It is safe for concurrent use.
type Engine struct {
	api      *client.Client
	endpoint endpoint
	config   *configfile.ConfigFile // the user's docker configuration: credentials and proxies
	platform string
	version  string

	mu          sync.Mutex
	unreachable map[string]bool // Dockerfile frontends that no registry could give; see frontend.go
	known       *Info           // see traits
	learned     map[string]bool // layers that were taught; see teach

	exports exports

	// What is done beside what somebody waits for, or for several; see traits and exports. background ends with the engine.
	background context.Context
	abandon    context.CancelFunc
	beside     sync.WaitGroup
}

// Open connects to the engine that the user's docker command talks to: that of DOCKER_HOST, else of DOCKER_CONTEXT, else of the
// current context, else the machine's own. It returns once the engine has answered.
func Open(ctx context.Context) (*Engine, error) {
	dir, err := configDir(os.Getenv)
	if err != nil {
		return nil, err
	}
	return open(ctx, os.Getenv, dir)
}

// configDir is where the docker command keeps its configuration.
func configDir(getenv func(string) string) (string, error) {
	if dir := getenv("DOCKER_CONFIG"); dir != "" {
		return filepath.Abs(dir)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", &fault.Error{Kind: fault.Machine, What: "the docker configuration cannot be found", Err: err, Next: "Set HOME or DOCKER_CONFIG."}
	}
	return filepath.Join(home, ".docker"), nil
}

func open(ctx context.Context, getenv func(string) string, dir string) (*Engine, error) {
	cfg, err := config.Load(dir)
	if err != nil {
		return nil, &fault.Error{
			Kind: fault.Machine, What: "the docker configuration cannot be read", Where: filepath.Join(dir, config.ConfigFileName),
			Err: err, Next: "Correct the file, or point DOCKER_CONFIG at another directory.",
		}
	}
	at, err := findEndpoint(getenv, cfg, dir)
	if err != nil {
		return nil, err
	}
	opts, err := at.options()
	if err != nil {
		return nil, at.unreachable(err)
	}
	opts = append(opts, client.WithHTTPHeaders(cfg.HTTPHeaders), client.WithUserAgent("devenv"))
	if v := getenv("DOCKER_API_VERSION"); v != "" {
		opts = append(opts, client.WithVersion(v))
	} else {
		opts = append(opts, client.WithAPIVersionNegotiation())
	}
	api, err := client.NewClientWithOpts(opts...)
	if err != nil {
		return nil, at.unreachable(err)
	}
	e := &Engine{api: api, endpoint: at, config: cfg, unreachable: map[string]bool{}}
	e.background, e.abandon = context.WithCancel(context.WithoutCancel(ctx))
	if err := e.greet(ctx); err != nil {
		_ = api.Close() // err says more
		return nil, err
	}
	return e, nil
}

// greet negotiates the API version and learns what the engine is.
func (e *Engine) greet(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if _, err := e.api.Ping(wait); err != nil {
		return e.unanswered(ctx, err)
	}
	v, err := e.api.ServerVersion(wait)
	if err != nil {
		return e.unanswered(ctx, err)
	}
	if v.Os != "linux" {
		return &fault.Error{
			Kind: fault.Machine, What: fmt.Sprintf("the Docker Engine runs %s containers", v.Os),
			Next: "Switch Docker to Linux containers.",
		}
	}
	e.platform, e.version = v.Os+"/"+v.Arch, v.Version
	return nil
}

func (e *Engine) unanswered(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("connecting to the Docker Engine: %w", ctx.Err())
	}
	return e.endpoint.unreachable(err)
}

// Close ends the connections to the engine.
func (e *Engine) Close() error {
	e.abandon()
	e.beside.Wait()
	return e.api.Close()
}

// Platform is what the engine runs, in the notation of images: "linux/amd64".
func (e *Engine) Platform() string { return e.platform }

// Environ is what to add to the environment of a docker command (and of tools that call it), as NAME=value, so that it talks to
// this engine, whatever the current context becomes meanwhile, and runs containers of the engine's own platform, as devenv builds for it.
func (e *Engine) Environ() []string {
	return append(slices.Clone(e.endpoint.environ), "DOCKER_DEFAULT_PLATFORM=")
}
