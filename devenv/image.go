package devenv

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/docker"
	"github.com/devenv-run/devenv/devenv/dockerfile"
	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/lock"
	"github.com/devenv-run/devenv/devenv/plan"
)

// digestLength is how many hexadecimal digits of an input digest go into an image's tag: 96 bits.
const digestLength = 24

// image is a service's image as the working tree stands: the reference that follows from its inputs, and how to build it.
type image struct {
	service config.Service
	ref     string
	cause   string // why its inputs are not those that were deployed last; empty if they are, or if nothing was
	known   bool   // its inputs are those that were deployed last
	inputs  digest.Summary
	context digest.Manifest // what inputs were made from, with the two that follow
	ignore  *dockerfile.Ignore
	// dockerfile is its path.
	dockerfile string
	build      docker.Build
	bases      []lock.Use // images that it is built from
	unset      []string   // environment variables that build secrets come from and that are not set
}

// images finds the reference of every service's image, in the order of the services. It reads build contexts and asks the engine
// (and, for base images that the engine lacks, their registry) for digests. All services' errors are joined.
func (p *Project) images(ctx context.Context, e *docker.Engine) ([]image, error) {
	cache := p.fileCache()
	bases := newBaseDigests(e, p.options.Offline)
	images := make([]image, len(p.config.Services))
	errs := make([]error, len(p.config.Services))
	var group errgroup.Group
	for i, s := range p.config.Services {
		if known, ok := p.course.images[s.Name]; ok {
			images[i] = known
			continue
		}
		group.Go(func() error {
			images[i], errs[i] = p.image(ctx, s, e.Platform(), cache, bases)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := cache.Save(); err != nil {
		p.log.Warn("file cache not saved; the next run reads all files again", "error", err)
	}
	return images, nil
}

func (p *Project) image(ctx context.Context, s config.Service, platform string, cache *digest.Cache, bases *baseDigests) (image, error) {
	p.learnBuildSecrets(s)
	root, file := p.config.ContextDir(s), p.config.DockerfilePath(s)
	path, text, parsed, err := p.dockerfile(s, platform)
	if err != nil {
		return image{}, err
	}
	ignore, err := dockerfile.ReadIgnore(root, file)
	if err != nil {
		return image{}, err
	}
	pins, err := bases.resolve(ctx, path, parsed.Bases)
	if err != nil {
		return image{}, err
	}
	digests := make(map[string]string, len(pins))
	for ref, pin := range pins {
		digests[ref] = pin.Digest()
	}
	manifest, err := digest.Walk(ctx, root, ignore, cache)
	if err != nil {
		return image{}, &fault.Error{
			Kind: fault.Config, What: "build context of service " + s.Name + " cannot be read", Err: err,
			Next: "Make it readable, or list what the build does not need in .dockerignore.",
		}
	}
	secrets := make(map[string]docker.Secret, len(s.Build.Secrets))
	ids := make([]string, 0, len(s.Build.Secrets))
	var unset []string
	for id, secret := range s.Build.Secrets {
		ids = append(ids, id)
		if secret.Env != "" {
			value, set := os.LookupEnv(secret.Env)
			if !set {
				unset = append(unset, secret.Env)
			}
			secrets[id] = docker.Secret{Value: value}
		} else {
			secrets[id] = docker.Secret{File: p.config.Abs(secret.File)}
		}
	}
	inputs := digest.Inputs{
		Context: manifest, Dockerfile: text, Args: s.Build.Args, Target: s.Build.Target, Platform: platform,
		Bases: digests, Secrets: ids, Dir: s.Build.Context, DockerfilePath: path,
	}.Summary()
	i := image{service: s, unset: unset, context: manifest, ignore: ignore, dockerfile: file, ref: s.Image + ":devenv-" + inputs.Digest[:digestLength], inputs: inputs}
	for _, base := range parsed.Bases {
		use := baseUse(path, base, platform)
		use.Pin = lock.Pin(pins[base.Ref])
		i.bases = append(i.bases, use)
	}
	i.cause, i.known = p.cause(s.Name, inputs)
	i.build = docker.Build{
		Service: s.Name, Ref: i.ref,
		Context: root, Ignore: ignore.Patterns, Dockerfile: text, DockerfileName: path,
		Target: s.Build.Target, Args: s.Build.Args, Secrets: secrets, Platform: platform, Offline: p.options.Offline, Hidden: p.secrets,
		Labels: map[string]string{"run.devenv.service": s.Name, "run.devenv.inputs": inputs.Digest},
	}
	return i, nil
}

// dockerfile reads a service's Dockerfile. path is its name in messages.
func (p *Project) dockerfile(s config.Service, platform string) (path string, text []byte, parsed *dockerfile.File, err error) {
	file := p.config.DockerfilePath(s)
	path = p.relative(file)
	if text, err = os.ReadFile(file); err != nil {
		return "", nil, nil, &fault.Error{
			Kind: fault.Config, Where: s.Build.Pos.String(), What: "Dockerfile of service " + s.Name + " cannot be read", Err: err,
			Next: "Correct build.dockerfile of the service; it is relative to the build context.",
		}
	}
	parsed, err = dockerfile.ParseFor(text, s.Build.Target, platform, s.Build.Args)
	if invalid := (*dockerfile.Error)(nil); errors.As(err, &invalid) {
		return "", nil, nil, invalid.Fault(path)
	}
	return path, text, parsed, err
}

// relative is a path as messages show it: relative to devenv.yaml where it is below it.
func (p *Project) relative(path string) string {
	if rel, err := filepath.Rel(p.config.Dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// baseDigests asks for the digests of each base image once, however many services build on it.
type baseDigests struct {
	engine  *docker.Engine
	offline bool // ask no registry
	mu      sync.Mutex
	known   map[string]func() (docker.Pin, error)
}

func newBaseDigests(e *docker.Engine, offline bool) *baseDigests {
	return &baseDigests{engine: e, offline: offline, known: map[string]func() (docker.Pin, error){}}
}

// resolve finds what the base images that the Dockerfile at path names stand for.
func (b *baseDigests) resolve(ctx context.Context, path string, bases []dockerfile.Base) (map[string]docker.Pin, error) {
	pins := make([]docker.Pin, len(bases))
	// No context of the group: a digest is shared with other services, which a failure here must not stop.
	var group errgroup.Group
	for i, base := range bases {
		ref := base.Ref
		b.mu.Lock()
		find, ok := b.known[ref]
		if !ok {
			find = sync.OnceValues(func() (docker.Pin, error) { return b.pin(ctx, ref) })
			b.known[ref] = find
		}
		b.mu.Unlock()
		group.Go(func() (err error) {
			pins[i], err = find()
			if unknown := (*fault.Error)(nil); errors.As(err, &unknown) {
				named := *unknown // the error is shared by all that build on the image
				named.Where = fmt.Sprintf("%s:%d", path, base.Line)
				return &named
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	found := make(map[string]docker.Pin, len(bases))
	for i, base := range bases {
		found[base.Ref] = pins[i]
	}
	return found, nil
}

func (b *baseDigests) pin(ctx context.Context, ref string) (docker.Pin, error) {
	pin, err := b.engine.Pin(ctx, ref, !b.offline)
	if err == nil && pin.Digest() == "" {
		err = &fault.Error{
			Kind: fault.Machine, What: "base image " + ref + " is not in the Docker Engine, and devenv is offline",
			Next: "Run the command without --offline, or `docker pull " + ref + "` first.",
		}
	}
	return pin, err
}

// What a service was last deployed from is kept, by service, so that the next change can be named. It decides nothing: without it a
// cause is only less precise.

func (p *Project) inputsFile(service string) string {
	return p.state.path(filepath.Join("inputs", service+".json"))
}

// remembered is what is known of a service's last deployment. digest.Since reads it as the Summary that it begins with.
type remembered struct {
	digest.Summary
	Ref string    `json:"ref"`
	At  time.Time `json:"deployedAt"`
}

// recall reads what is remembered of a service's last deployment, if anything is. Records of old have no time but that of their file.
func (p *Project) recall(service string) (remembered, bool) {
	file := p.inputsFile(service)
	data, err := os.ReadFile(file)
	if err != nil {
		return remembered{}, false
	}
	var d remembered
	if err := json.Unmarshal(data, &d); err != nil {
		return remembered{}, false
	}
	if info, err := os.Stat(file); err == nil && d.At.IsZero() {
		d.At = info.ModTime()
	}
	return d, true
}

// cause names what changed since the service was last deployed. It is known to be unchanged only if there is a record that says so.
func (p *Project) cause(service string, now digest.Summary) (cause string, unchanged bool) {
	data, err := os.ReadFile(p.inputsFile(service))
	if err != nil {
		return "", false
	}
	changes, err := digest.Since(data, now)
	if err != nil {
		return "", false
	}
	return digest.Cause(changes), len(changes) == 0
}

// remember records what of the given services is deployed now; no services means all.
func (p *Project) remember(images []image, services []string) {
	for _, i := range images {
		if i.known || len(services) > 0 && !slices.Contains(services, i.service.Name) {
			continue
		}
		data, err := json.Marshal(remembered{Summary: i.inputs, Ref: i.ref, At: time.Now().UTC().Truncate(time.Second)})
		if err == nil {
			err = writeFile(p.inputsFile(i.service.Name), data)
		}
		if err != nil {
			p.log.Warn("inputs not remembered; the next cause will be less precise", "service", i.service.Name, "error", err)
		}
	}
}

// fileCache is the cache of digests, which is read when it is first asked for. There is one for all commands of a Project: to read that of
// 50,000 files takes longer than to look for what changed in one service.
func (p *Project) fileCache() *digest.Cache {
	p.cacheOpened.Do(func() { p.cache = digest.OpenCache(p.state.path("files.cache")) })
	return p.cache
}

// builder is engine.Builder over the images of one command.
type builder struct {
	engine *docker.Engine
	images map[string]image // by reference
	cache  func() *digest.Cache
}

// Build implements engine.Builder.
func (b builder) Build(ctx context.Context, i plan.Image, report engine.Report) error {
	image := b.images[i.Ref]
	if err := image.equipped(); err != nil {
		return err
	}
	if err := b.engine.Build(ctx, image.build, report); err != nil {
		return err
	}
	err := b.unchanged(ctx, image)
	if err != nil { // it must not be found under that reference later, when the old files are back
		if removed := b.engine.Remove(context.WithoutCancel(ctx), []string{image.ref}); removed != nil {
			err = errors.Join(err, removed)
		}
	}
	return err
}

// Files implements stageBuilder.
func (b builder) Files(ctx context.Context, i image, of docker.Build, dir string, report engine.Report) (map[string]docker.File, error) {
	if err := i.equipped(); err != nil {
		return nil, err
	}
	files, err := b.engine.Files(ctx, of, dir, report)
	if err == nil {
		err = b.unchanged(ctx, i)
	}
	return files, err
}

// equipped makes sure that there is what a build needs beside files.
func (i image) equipped() error {
	if len(i.unset) == 0 {
		return nil
	}
	slices.Sort(i.unset)
	return &fault.Error{
		Kind: fault.Config, Where: i.service.Build.Pos.String(),
		What: fmt.Sprintf("build of service %s takes secrets from environment variables that are not set: %s", i.service.Name, strings.Join(i.unset, ", ")),
		Next: "Set them and run the command again.",
	}
}

// unchanged makes sure that what was built is what the reference says: no file was changed while it was being read.
func (b builder) unchanged(ctx context.Context, i image) error {
	root, file := i.build.Context, i.dockerfile
	now, err := digest.Walk(ctx, root, i.ignore, b.cache())
	if err = cmp.Or(ctx.Err(), err); err == nil {
		outrun := outrunBy(root, hot.Changes(i.context, now))
		if text, err := os.ReadFile(file); err != nil || !bytes.Equal(text, i.build.Dockerfile) {
			outrun.Paths = append(outrun.Paths, file)
		}
		if len(outrun.Paths) == 0 {
			return nil
		}
		err = outrun
	}
	return &fault.Error{
		Kind: fault.Build, What: "files of service " + i.service.Name + " were changed while its image was being built", Err: err,
		Next: "Run the command again; what was built is not used. A file that changes all the time belongs into the ignore file of the build context.",
	}
}

// outrunBy is the error for changes of a context that came while it was being read.
func outrunBy(root string, changes []hot.Change) *hot.OutrunError {
	outrun := &hot.OutrunError{}
	for _, c := range changes {
		outrun.Paths = append(outrun.Paths, filepath.Join(root, filepath.FromSlash(c.Path)))
	}
	return outrun
}
