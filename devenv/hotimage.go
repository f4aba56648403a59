package devenv

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/plan"
)

// top takes the Image way: one layer on the image that was built last, swapped into the pods. The error is a *fallback where a full build may do better.
func (h *hotpath) top(ctx context.Context, s *hotService, c change, d hot.Decision) (taken, error) {
	began := time.Now()
	files := d.Layer
	if d.Compile {
		made, err := h.project.compile(ctx, c.service)
		if err == nil {
			err = h.compiled(ctx, c)
		}
		if err != nil {
			return taken{}, err
		}
		files = slices.Concat(files, made)
	}
	compiled := time.Now()
	if len(files) > 0 {
		if err := h.clear(ctx, s, files); err != nil {
			return taken{}, err
		}
	}
	built := ""
	if len(d.Built) > 0 {
		made, remove, err := h.outputs(ctx, s, c, d.Built)
		if err != nil {
			return taken{}, err
		}
		defer remove()
		files = slices.Concat(files, made)
		compiled = time.Now()
		if built = plan.Count(len(made), "file"); len(made) == 1 {
			built = made[0].To
		}
		built = "built " + built + ", "
	}
	ref, layer, detail := s.base.ref, "", ""
	if len(files) > 0 || s.stale(ref) {
		var err error
		if ref, layer, detail, err = h.put(ctx, s, files); err != nil {
			return taken{}, err
		}
	}
	loaded := time.Now()
	before := s.aim
	s.aim = aim{way: hot.Image, image: ref, layer: layer, contains: d.Contains, wanted: d.Files, now: c.now.context, since: before.since}
	if err := h.exchange(ctx, s, before); err != nil {
		return taken{}, err
	}
	h.project.log.Debug("hot path: image", "service", s.name, "compile", compiled.Sub(began), "load", loaded.Sub(compiled), "swap", time.Since(loaded))
	if ref == before.image && len(d.Files) == 0 {
		return taken{way: string(hot.None), detail: "the image stays the same"}, nil
	}
	if detail != "" {
		detail = built + detail
	}
	return taken{way: string(hot.Image), detail: detail}, nil
}

// put gives the nodes the image that was built last with files on top, under a reference of its own. If the image that is to run is just that, it is kept. top is the
// digest of the layer.
func (h *hotpath) put(ctx context.Context, s *hotService, files []hot.File) (ref, top, detail string, err error) {
	layer, remove, err := h.layer(files)
	if hot.Outrun(err) != nil {
		return "", "", "", err
	}
	if err != nil {
		return "", "", "", &fallback{err}
	}
	defer remove()
	if len(files) > 0 && layer.DiffID == s.aim.layer {
		return s.aim.image, s.aim.layer, "", nil
	}
	sum := sha256.Sum256([]byte(fmt.Sprint(s.base.ref, " ", layer.DiffID, " ", time.Now().UnixNano())))
	ref = hotPrefix(s.base.service.Image) + hex.EncodeToString(sum[:])[:digestLength]
	if err := h.litters(s); err != nil {
		return "", "", "", &fallback{err}
	}
	detail, err = h.topper.Top(ctx, s.base.ref, ref, layer, h.nodeNames())
	switch {
	case ctx.Err() != nil:
		return "", "", "", ctx.Err()
	case errors.Is(err, hot.ErrNoSpace):
		return "", "", "", err
	case err != nil:
		return "", "", "", &fallback{err}
	}
	return ref, layer.DiffID, detail, nil
}

// clear makes sure that files of a layer get where they are meant to be. A layer knows no links: an entry below a directory that is a link in the
// image would take the place of the link, and of all that is behind it. So a container that runs is looked at.
func (h *hotpath) clear(ctx context.Context, s *hotService, files []hot.File) error {
	pods := h.podsOf(s.name)
	for _, p := range pods {
		for _, k := range p.Containers {
			if k.Service != s.name || k.Init || !k.Running {
				continue
			}
			return h.clearIn(ctx, hot.Container{Node: p.Node, ID: containerID(k)}, files)
		}
	}
	return &fallback{errors.New("no container of it runs that could be looked at")}
}

func (h *hotpath) clearIn(ctx context.Context, c hot.Container, files []hot.File) error {
	var paths []string
	seen := map[string]bool{}
	targets := map[string]hot.File{}
	for _, f := range files {
		targets[f.To] = f
		for p := f.To; p != "/" && !seen[p]; p = path.Dir(p) {
			seen[p] = true
			paths = append(paths, p)
		}
	}
	kinds, err := h.inside.Kinds(ctx, c, paths)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return &fallback{err}
	}
	for i, p := range paths {
		f, isTarget := targets[p]
		switch {
		case kinds[i] == 0:
		case !isTarget && kinds[i] != digest.Dir:
			return &fallback{fmt.Errorf("%s is no directory in the image, but a link or a file", p)}
		case isTarget && !f.Gone && kinds[i] != f.Kind && (kinds[i] == digest.Link || kinds[i] == digest.Dir && f.Kind == digest.File):
			return &fallback{fmt.Errorf("%s is a link or a directory in the image", p)}
		}
	}
	return nil
}
