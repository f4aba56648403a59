package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"

	bkclient "github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"
	"github.com/moby/buildkit/session/filesync"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/moby/buildkit/util/bklog"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/secret"
)

// Build is what an image is built from.
type Build struct {
	Service string // who it is for, in messages
	Ref     string // the reference that the image gets

	Context        string   // directory; a symbolic link to one is followed
	Ignore         []string // patterns of the ignore file as Docker cleans them; matching files of Context do not exist for the build
	Dockerfile     []byte
	DockerfileName string // where Dockerfile comes from, in messages: "services/grades/Dockerfile"

	Target   string // stage to build; empty: the last
	Args     map[string]string
	Secrets  map[string]Secret // by the ID that RUN --mount=type=secret names
	Platform string            // "linux/arm64"; empty: the engine's
	Labels   map[string]string // put onto the image
	Offline  bool              // do not ask a registry for a Dockerfile frontend (`# syntax=`)
	Hidden   *secret.Redactor  // learns Secrets; what it knows is neither reported nor in errors. May be nil
	// Added is the first line of Dockerfile that is not in the file of DockerfileName; 0: all are. What fails there is in the chain of errors as ErrAdded.
	Added int
}

// Secret is a value that steps of a build may read and that is not in the image: the content of File, or Value where File is empty.
type Secret struct {
	File  string
	Value string
}

// String keeps the value out of messages.
func (s Secret) String() string {
	if s.File != "" {
		return "file " + s.File
	}
	return "a value"
}

// GoString keeps the value out of %#v.
func (s Secret) GoString() string { return s.String() }

// what is the build in messages.
func (b Build) what() string { return "build of service " + b.Service }

// Build builds an image in the engine's BuildKit. Only files that changed since the last build of the same service from the same
// directory are sent; base images that the engine holds are used as they are. After success the engine holds the image under b.Ref;
// after a failure b.Ref is what it was before. When ctx ends, the build is stopped in the engine.
//
// report takes short lines of progress: the step that runs, the last line of its output, what is transferred. It is called from one
// goroutine at a time, and not after Build has returned.
func (e *Engine) Build(ctx context.Context, b Build, report func(string)) error {
	return e.build(ctx, b, export{entry: bkclient.ExportEntry{Type: "moby", Attrs: map[string]string{"name": b.Ref}}}, report)
}

// export is what becomes of the result of a build.
type export struct {
	entry  bkclient.ExportEntry
	target session.Attachable // that receives it; nil where it stays in the engine
}

// build builds b for an export.
func (e *Engine) build(ctx context.Context, b Build, to export, report func(string)) error {
	secrets, err := readSecrets(b)
	if err != nil {
		return err
	}
	files, err := b.files()
	if err != nil {
		return err
	}
	hidden := hiding(b, secrets)
	frontend := frontendOf(b.Dockerfile)
	builtIn := e.mustBuildIn(ctx, b, frontend, report)
	for {
		p := newProgress(report, hidden)
		err := e.solve(ctx, b, to, files, secrets, builtIn, p.update)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil && !builtIn && e.lacksFrontend(frontend, p, err) {
			builtIn = true
			report(frontend.notice())
			continue
		}
		return e.buildFault(ctx, b, p, hidden, err)
	}
}

// solve runs one build. Its progress goes to update, from one goroutine.
func (e *Engine) solve(
	ctx context.Context, b Build, to export, files filesync.StaticDirSource, secrets map[string][]byte, builtIn bool, update func(*bkclient.SolveStatus),
) error {
	bk, hangUp, err := e.buildKit(ctx)
	if err != nil {
		return err
	}
	defer hangUp()

	g, ctx := errgroup.WithContext(quiet(ctx))
	s, err := session.NewSession(ctx, b.sharedKey())
	if err != nil {
		return err
	}
	s.Allow(filesync.NewFSSyncProvider(files))
	s.Allow(secretsprovider.FromMap(secrets))
	if to.target != nil {
		s.Allow(to.target)
	}
	s.Allow(authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{
		AuthConfigProvider: authprovider.LoadAuthConfig(e.config),
	}))
	g.Go(func() error {
		return s.Run(ctx, func(ctx context.Context, proto string, meta map[string][]string) (net.Conn, error) {
			return e.api.DialHijack(ctx, "/session", proto, meta)
		})
	})

	status := make(chan *bkclient.SolveStatus)
	g.Go(func() error {
		for st := range status {
			update(st)
		}
		return nil
	})
	g.Go(func() error {
		defer func() { _ = s.Close() }()
		_, err := bk.Solve(ctx, nil, bkclient.SolveOpt{
			Frontend:              "dockerfile.v0",
			FrontendAttrs:         e.attributes(b, builtIn),
			Exports:               []bkclient.ExportEntry{to.entry},
			SharedSession:         s,
			SessionPreInitialized: true,
		}, status)
		return err
	})
	return g.Wait()
}

// buildKit connects with the BuildKit in the engine, until hangUp is called.
func (e *Engine) buildKit(ctx context.Context) (bk *bkclient.Client, hangUp func(), err error) {
	conn, err := e.api.DialHijack(ctx, "/grpc", "h2c", nil)
	if err != nil {
		return nil, nil, &dialError{err}
	}
	first := onceDialer(conn, func(ctx context.Context) (net.Conn, error) { return e.api.DialHijack(ctx, "/grpc", "h2c", nil) })
	bk, err = bkclient.New(ctx, "", bkclient.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return first(ctx) }))
	if err != nil {
		_ = conn.Close() // err says more
		return nil, nil, err
	}
	return bk, func() {
		_ = bk.Close()
		_ = conn.Close() // a second Close is harmless
	}, nil
}

// attributes are the build's settings in the words of BuildKit's Dockerfile frontend.
func (e *Engine) attributes(b Build, builtIn bool) map[string]string {
	a := map[string]string{
		"filename": dockerfileName,
		// Use what the engine holds rather than ask a registry what a tag means today: the image's reference was computed from the
		// digest of the base image that is here (Resolve). What an engine does when not told depends on its version and image store.
		"image-resolve-mode": "local",
	}
	// The proxies of the docker configuration are build arguments that Docker knows by name: they do not become part of the image.
	for k, v := range e.config.ParseProxyConfig(e.api.DaemonHost(), nil) {
		if v != nil {
			a["build-arg:"+k] = *v
		}
	}
	for k, v := range b.Args {
		a["build-arg:"+k] = v
	}
	for k, v := range b.Labels {
		a["label:"+k] = v
	}
	if b.Target != "" {
		a["target"] = b.Target
	}
	if b.Platform != "" {
		a["platform"] = b.Platform
	}
	if builtIn {
		a[builtInAttribute] = ""
	}
	return a
}

// readSecrets reads the secrets of a build, by ID.
func readSecrets(b Build) (map[string][]byte, error) {
	values := map[string][]byte{}
	var errs []error
	for id, s := range b.Secrets {
		values[id] = []byte(s.Value)
		if s.File == "" {
			continue
		}
		data, err := os.ReadFile(s.File)
		if err == nil && len(data) > secretsprovider.MaxSecretSize {
			err = fmt.Errorf("%s is larger than the %s that BuildKit takes", s.File, size(secretsprovider.MaxSecretSize))
		}
		if err != nil {
			errs = append(errs, &fault.Error{
				Kind: fault.Config, What: fmt.Sprintf("%s: secret %q", b.what(), id), Err: err,
				Next: "Create the file, or correct its path under build.secrets in devenv.yaml.",
			})
			continue
		}
		values[id] = data
	}
	return values, errors.Join(errs...)
}

// dialError says that BuildKit in the engine could not be reached.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// refused says whether the engine was there and did not know what to make of the request.
func (e *dialError) refused() bool { return strings.Contains(e.Error(), "unable to upgrade") }

// onceDialer gives out conn the first time and dials afterwards. gRPC hides why it cannot connect; so the first connection is made
// before it is told, and only reconnecting is left to it.
func onceDialer(conn net.Conn, dial func(context.Context) (net.Conn, error)) func(context.Context) (net.Conn, error) {
	var once sync.Once
	return func(ctx context.Context) (net.Conn, error) {
		var c net.Conn
		once.Do(func() { c = conn })
		if c != nil {
			return c, nil
		}
		return dial(ctx)
	}
}

// quiet is ctx with BuildKit's logging turned off: libraries here print nothing.
func quiet(ctx context.Context) context.Context {
	l := logrus.New()
	l.SetOutput(io.Discard)
	return bklog.WithLogger(ctx, logrus.NewEntry(l))
}
