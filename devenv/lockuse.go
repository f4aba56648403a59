package devenv

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/docker"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/lock"
	"github.com/devenv-run/devenv/devenv/plan"
	"github.com/devenv-run/devenv/devenv/render"
)

// This file finds out what a project takes from elsewhere, for devenv.lock.

// usesOfAll is what the project uses, with whichever profile, without pins. A default node image is named only if there is no
// file; otherwise the use stands for the one that the file has.
func (p *Project) usesOfAll(ctx context.Context, engine *docker.Engine, file *lock.File) (lock.Found, error) {
	variants, err := p.variants()
	if err != nil {
		return lock.Found{}, err
	}
	var all lock.Found
	var failed []error
	said := map[string]bool{} // profiles share most of their mistakes
	for _, v := range variants {
		found, err := v.uses(ctx, engine, file)
		for _, err := range fault.All(err) {
			if !said[err.Error()] {
				failed = append(failed, err)
			}
			said[err.Error()] = true
		}
		all.NodeImages = addUses(all.NodeImages, found.NodeImages)
		all.BaseImages = addUses(all.BaseImages, found.BaseImages)
		all.Images = addUses(all.Images, found.Images)
		all.Charts = append(all.Charts, found.Charts...)
		all.ChartLocks = append(all.ChartLocks, found.ChartLocks...)
	}
	return all, errors.Join(failed...)
}

// addUses adds uses of images to a list, each image once for each platform.
func addUses(list, more []lock.Use) []lock.Use {
	for _, u := range more {
		known := false
		for i := range list {
			if list[i].Name == u.Name && list[i].Platform == u.Platform {
				list[i].Default = list[i].Default || u.Default
				known = true
			}
		}
		if !known {
			list = append(list, u)
		}
	}
	return list
}

// variants are the project without a profile and with each of them, leaving out those that take the same things from elsewhere.
func (p *Project) variants() ([]*Project, error) {
	names := []string{""}
	for _, profile := range p.config.Profiles {
		names = append(names, profile.Name)
	}
	type inputs struct {
		node, kindConfig string
		addons           []string
		services         []config.Service
		deploy           []config.Deploy
		divergences      []config.Divergence
	}
	var variants []*Project
	var seen []inputs
	for _, name := range names {
		c := p.config
		if name != p.options.Profile {
			var err error
			if c, err = config.Load(p.options.File, config.Options{Over: p.options.Over, Profile: name}); err != nil {
				return nil, err
			}
		}
		in := inputs{c.Cluster.NodeImage, c.Cluster.KindConfig, c.Cluster.Addons, c.Services, c.Deploy, c.Divergences}
		known := false
		for _, other := range seen {
			known = known || reflect.DeepEqual(in, other)
		}
		if known {
			continue
		}
		seen = append(seen, in)
		variants = append(variants, &Project{
			options: p.options, config: c, name: p.name, state: p.state, sink: p.sink, log: p.log, secrets: p.secrets, docker: p.docker,
		})
	}
	return variants, nil
}

// uses is what the project uses with its profile.
func (p *Project) uses(ctx context.Context, engine *docker.Engine, file *lock.File) (lock.Found, error) {
	clusters := p.clusters(engine)
	if file != nil {
		clusters.Spec.Locked = file.DefaultNodeImage(engine.Platform())
	}
	var found lock.Found
	var errs []error
	ref, kubernetes, named, err := clusters.NodeImage(ctx)
	switch {
	case err != nil:
		errs = append(errs, err)
	case named || file == nil:
		found.NodeImages = []lock.Use{p.nodeUse(ref, named, engine.Platform())}
	default:
		found.NodeImages = []lock.Use{{Default: true, Platform: engine.Platform()}}
	}
	var images []image
	for _, s := range p.config.Services {
		// Of its own images a lock says nothing, so any reference will do to tell them from others.
		images = append(images, image{service: s, ref: s.Image + ":devenv-lock"})
		path, _, parsed, err := p.dockerfile(s, engine.Platform())
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, base := range parsed.Bases {
			found.BaseImages = addUses(found.BaseImages, []lock.Use{baseUse(path, base, engine.Platform())})
		}
	}
	input, err := p.renderInput(p.config, images, render.Capabilities{KubeVersion: kubernetes, Lookup: render.EmptyCluster}, nil)
	if err != nil {
		return found, err
	}
	rendered, err := render.Render(ctx, input)
	if err != nil {
		return found, errors.Join(append(errs, err)...)
	}
	p.allowObjects(rendered.Sources)
	found.Images = thirdParty(rendered, engine.Platform())
	if found.Charts, found.ChartLocks, err = charts(input); err != nil {
		errs = append(errs, err)
	}
	return found, errors.Join(errs...)
}

// nodeUse is the use of a node image that devenv.yaml names, or that is chosen where it names none.
func (p *Project) nodeUse(ref string, named bool, platform string) lock.Use {
	name, digest := lock.Split(ref)
	u := lock.Use{Name: name, Default: !named, Platform: platform}
	if named {
		u.Where = p.config.At("cluster.nodeImage").String()
	}
	if digest != "" {
		u.Pin.Digests = []string{digest}
	}
	return u
}

// thirdParty are the images of rendered pods that no service builds, each with an object that runs it.
func thirdParty(rendered *render.Result, platform string) []lock.Use {
	where := map[string]string{}
	note := func(o plan.Object) {
		for _, ref := range o.Images {
			if where[ref] == "" {
				where[ref] = o.ID.String()
			}
		}
	}
	for _, s := range rendered.Sources {
		for _, o := range s.Objects {
			note(o)
		}
		for _, h := range s.Hooks {
			note(h.Object)
		}
	}
	var uses []lock.Use
	for _, ref := range rendered.ThirdParty {
		uses = addUses(uses, []lock.Use{{Name: lock.Name(ref), Platform: platform, Where: where[ref]}})
	}
	return uses
}

// charts are what the charts of the sources depend on.
func charts(input render.Input) ([]lock.Chart, []lock.ChartLock, error) {
	var list []lock.Chart
	var locks []lock.ChartLock
	var failed []error
	seen := map[string]bool{}
	for _, s := range input.Sources {
		if s.Helm == nil || seen[s.Helm.Chart] {
			continue
		}
		chart := s.Helm.Chart
		seen[chart] = true
		v, err := render.Dependencies(input.Dir, s)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		name := filepath.ToSlash(filepath.Clean(chart))
		for _, d := range v.Dependencies {
			list = append(list, lock.Chart{Chart: name, Name: d.Name, Version: d.Version, Repository: d.Repository, Digest: d.Digest})
		}
		if v.Lock != "" {
			locks = append(locks, lock.ChartLock{Chart: name, Digest: v.Lock})
		}
	}
	return list, locks, errors.Join(failed...)
}

// unasked is why nothing is known of an image that only a registry could tell of.
const unasked = "not in the Docker Engine, and no registry was asked"

// pinner finds out what images stand for: those that the engine holds, then those that the node image brings along, then
// those that a registry has.
type pinner struct {
	engine *docker.Engine
	ask    bool // the registry too
	// node says what the node image brings along; it is asked only if the engine lacks an image that pods use.
	node func(context.Context) (map[string]string, error)
}

// all fills the pins of found in. An image of which nothing can be known keeps an empty pin and says why; failed joins those reasons. unread
// is why it cannot be told what the node image brings along: what a registry says of an image of pods may then not be what runs.
func (a pinner) all(ctx context.Context, found lock.Found) (unread, failed error) {
	var uses []*lock.Use
	for _, list := range [][]lock.Use{found.NodeImages, found.BaseImages, found.Images} {
		for i := range list {
			if u := &list[i]; u.Name != "" && u.Pin.ID == "" {
				uses = append(uses, u)
			}
		}
	}
	errs := make([]error, len(uses))
	// each asks about the images of which nothing is known yet.
	each := func(ask bool) {
		var group errgroup.Group
		group.SetLimit(8)
		for i, u := range uses {
			if errs[i] != nil || u.Pin.ID != "" || ask && len(u.Pin.Digests) > 0 {
				continue
			}
			group.Go(func() error {
				errs[i] = a.pin(ctx, u, ask)
				return nil
			})
		}
		_ = group.Wait() // what failed is in errs, in their order
	}
	each(false)
	unread = a.fromNode(ctx, found.Images)
	if a.ask {
		each(true)
	}
	return unread, errors.Join(errs...)
}

// fromNode pins images that the node image brings along. No registry is asked for them by any node, so what it would say does not matter.
func (a pinner) fromNode(ctx context.Context, images []lock.Use) error {
	missing := func(u lock.Use) bool { return u.Pin.ID == "" }
	if a.node == nil || !slices.ContainsFunc(images, missing) {
		return nil
	}
	contents, err := a.node(ctx)
	if err != nil {
		return err
	}
	for ref, digest := range contents {
		for i := range images {
			if u := &images[i]; missing(*u) && u.Name == lock.Name(ref) {
				u.Pin.ID = digest
			}
		}
	}
	return nil
}

// pin asks the engine, and through it the registry if ask is true.
func (a pinner) pin(ctx context.Context, u *lock.Use, ask bool) error {
	named := u.Pin.Digests // by a reference to a node image
	pin, err := a.engine.Pin(ctx, u.Name, ask && len(named) == 0)
	if err != nil {
		u.Unknown = strings.TrimPrefix(err.Error(), "resolving image "+u.Name+": ")
		if f := (*fault.Error)(nil); errors.As(err, &f) {
			located := *f
			located.Where = u.Where
			return &located
		}
		return err
	}
	if u.Pin = lock.Pin(pin); len(named) > 0 {
		u.Pin.Digests = named
	}
	if u.Unknown = ""; u.Pin.ID == "" && len(u.Pin.Digests) == 0 {
		u.Unknown = unasked
	}
	return nil
}
