package devenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/docker"
	"github.com/devenv-run/devenv/devenv/dockerfile"
	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/hot"
)

// What a multi-stage Dockerfile compiles need not become an image to get into pods. Where all that the target takes of the stages that read what changed is
// plain files (dockerfile.Copies.Outputs), BuildKit builds these stages and one that has only the files, the files are sent here, and they become a layer on the
// image that was built last, as the outputs of a compilation on this machine do. The directories that they are in are in that image, as COPY made them: it is from the same Dockerfile.

// stageBuilder builds stages of an image for their files.
type stageBuilder interface {
	// Files is docker.Engine.Files of b, which is i's build with another target. Files that change meanwhile are an *hot.OutrunError.
	Files(ctx context.Context, i image, b docker.Build, dir string, report engine.Report) (map[string]docker.File, error)
}

var _ stageBuilder = builder{}

// outputs is what is known of the outputs of a service's stages.
type outputs struct {
	base, newest made              // of the image that was built last, and of the newest build
	odd          map[string]string // by output: what it is that is no file
	// learn are those of which it has to be known what the image that is built next has.
	learn []dockerfile.Output
}

// made are outputs as they were built for an image: without it where they are not known.
type made struct {
	ref   string
	files map[string]docker.File // by place
}

// of are those of an image.
func (o *outputs) of(ref string) map[string]docker.File {
	for _, m := range []made{o.newest, o.base} {
		if m.ref == ref {
			return m.files
		}
	}
	return nil
}

// add notes what was built for an image, where that of base was built last.
func (o *outputs) add(base string, m made) {
	o.base, o.newest = made{base, o.of(base)}, m
	if m.ref == base {
		o.base = m
	}
}

// takes lists what an image takes of the stages that read these paths of its context; why says why that is not all that changes with them.
func (i image) takes(paths []string) (all []dockerfile.Output, why string) {
	copies, err := dockerfile.ReadCopies(i.build.Dockerfile, i.build.Target, i.build.Args)
	if err != nil {
		return nil, err.Error()
	}
	return copies.Outputs(paths, treeOf(i.context, linksOf()))
}

// identity names an output of an image, whatever is in it.
func (i image) identity(o dockerfile.Output) string {
	return fmt.Sprint(i.inputs.Dockerfile, " ", i.build.Target, " ", o.Stage, " ", o.From)
}

// notPlain says why an output is not built by itself.
func notPlain(o dockerfile.Output, is string) error {
	return &fallback{fmt.Errorf("%s, which line %d copies, is %s", o.From, o.Line, is)}
}

// outputs builds what the image takes of the stages that read these paths, and returns of it what the image that was built last has not, as far as that is known. remove
// takes the files away. The error is a *fallback where a build of the image may do better.
func (h *hotpath) outputs(ctx context.Context, s *hotService, c change, paths []string) (files []hot.File, remove func(), err error) {
	all, why := c.now.takes(paths)
	if why != "" {
		return nil, nil, &fallback{errors.New(why)}
	}
	base := s.outputs.of(s.base.ref)
	for _, o := range all {
		if is := s.outputs.odd[c.now.identity(o)]; is != "" {
			return nil, nil, notPlain(o, is)
		}
		if _, known := base[o.To]; o.Into && !known {
			s.outputs.learn = all
			return nil, nil, &fallback{fmt.Errorf("the image that runs does not tell whether %s, which line %d copies, was a file", o.From, o.Line)}
		}
		files = append(files, hot.File{To: o.To, Kind: digest.File})
	}
	if err := h.clear(ctx, s, files); err != nil {
		return nil, nil, err
	}
	now, remove, err := h.extract(ctx, s, c.now, all)
	if err != nil {
		return nil, nil, err
	}
	newest := s.outputs.newest.files
	files = files[:0]
	for _, o := range all {
		f := now[o.To]
		if alike(base[o.To], f) {
			continue
		}
		if old := newest[o.To]; alike(old, f) { // BuildKit would find the COPY in its cache, and what it made then has that time
			if err := os.Chtimes(f.Path, old.Time, old.Time); err == nil {
				f.Time = old.Time
				now[o.To] = f
			}
		}
		files = append(files, hot.File{To: o.To, From: f.Path, Kind: digest.File, Mode: f.Mode, Owner: &hot.Owner{UID: f.UID, GID: f.GID}})
	}
	s.outputs.add(s.base.ref, made{c.now.ref, now})
	return files, remove, nil
}

// alike says whether two outputs are the same to a build.
func alike(a, b docker.File) bool {
	a.Path, b.Path, a.Time, b.Time = "", "", time.Time{}, time.Time{}
	return a == b
}

// extract builds outputs of an image; the result is by their places, and without their paths once remove was called. Errors are as those of outputs.
func (h *hotpath) extract(ctx context.Context, s *hotService, i image, all []dockerfile.Output) (files map[string]docker.File, remove func(), err error) {
	e, err := dockerfile.ExtractOutputs(i.build.Dockerfile, all)
	if err != nil {
		return nil, nil, &fallback{err}
	}
	b := i.build
	b.Dockerfile, b.Target, b.Added, b.Labels = e.Dockerfile, e.Target, e.Line, nil
	dir, err := h.layerDir()
	if err != nil {
		return nil, nil, &fallback{err}
	}
	remove = func() { _ = os.RemoveAll(dir) } // sweepLayers does otherwise
	report := func(text string) { h.project.log.Debug("hot path", "service", s.name, "progress", text) }
	received, err := h.stages.Files(ctx, i, b, dir, report)
	if err != nil {
		remove()
		for n, o := range all {
			if name, is, odd := docker.NotPlain(err); odd && name == e.Name(n) && ctx.Err() == nil {
				if s.outputs.odd == nil {
					s.outputs.odd = map[string]string{}
				}
				s.outputs.odd[i.identity(o)] = is
				return nil, nil, notPlain(o, is)
			}
		}
		if errors.Is(err, docker.ErrAdded) && ctx.Err() == nil {
			err = &fallback{err}
		}
		return nil, nil, err
	}
	files = map[string]docker.File{}
	for n, o := range all {
		f, there := received[e.Name(n)]
		if !there {
			remove()
			return nil, nil, &fallback{fmt.Errorf("%s was not built", o.From)}
		}
		files[o.To] = f
	}
	return files, remove, nil
}

// learnOutputs finds out what an image that was just built has of the outputs that have to be known next time. BuildKit has all of it in its cache.
func (h *hotpath) learnOutputs(ctx context.Context, s *hotService, i image) {
	all := s.outputs.learn
	s.outputs.learn = nil
	if len(all) == 0 {
		return
	}
	files, remove, err := h.extract(ctx, s, i, all)
	if err != nil {
		h.project.log.Debug("hot path: what the image has of its stages", "service", s.name, "error", err)
		return
	}
	remove()
	s.outputs.add(i.ref, made{i.ref, files})
}
