package hot

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/devenv-run/devenv/devenv/digest"
)

// Service is what decides about the changes of one service.
type Service struct {
	Root    string // its build context, absolute
	Sync    []Rule
	Compile bool // a build on this machine makes what a build of the image would make of files that only it reads
	// Use says what a build of the image makes of a path of the context, where the context is tree.
	Use func(path string, tree digest.Manifest) Use
	// Outputs says why what the image has of these paths, which only stages that it copies from read, is not just files that can be built by themselves;
	// empty: it is. nil: it never is.
	Outputs func(paths []string, tree digest.Manifest) (why string)
}

// Use is what a build of an image makes of a path of its context.
type Use struct {
	// Places are where the image has it, provably as it is in the context. None, and no Why: no instruction reads it.
	Places []Place
	// Why says why it may be in the image in other ways too; empty: Places are all.
	Why string
	// Final says of a Why that an instruction of the final stages reads the path, so that it is not only the input of a compilation.
	Final bool
}

// Place is where an image has a path of its context.
type Place struct {
	To    string
	Mode  *uint32 // in the place of the file's own; nil: that
	Owner *Owner  // nil: 0:0
	// Only says that nothing else puts anything there or below, so that the place is empty once the path is gone.
	Only bool
}

// Wanted is a file that containers are to have beside what is in their image.
type Wanted struct {
	File
	Path string // in the context
}

// Decision is the shortest way that is correct for a change.
type Decision struct {
	Way    Way      // None, Sync, Image or Full
	Since  []Change // what changed since the image that runs
	Reason string   // of Image and Full: why not a shorter way
	// Layer are, for Image, the files of the layer; Compile says that the outputs of the compilation belong to it, and Built are the paths of which the outputs of
	// the stages that read them do. With none of them, the image is the base itself.
	Layer   []File
	Compile bool
	Built   []string
	// Files are what containers of the image have to have written into them, in full: also what was written before.
	Files []Wanted
	// Contains is the context as the image has it: now, but for what Files brings.
	Contains digest.Manifest
}

// Decide says how a change gets into containers. base is the context of the image that was built last, image the context as the image that
// runs contains it (the same if nothing was put on top of base), now the context as it is. What a build takes beside its context has not changed.
//
// A path goes the Sync way if a rule covers it, and no way at all if no instruction of the Dockerfile reads it. If everything that changed since image
// does, that is the whole answer. Otherwise all that changed since base goes into one layer on base: what the Dockerfile copies, as it copies it;
// the outputs of the compilation, or else of the stages that are copied from; what is only synced is written once more. A path for which nothing of this is provably the same as a build
// makes the way Full.
func Decide(s Service, base, image, now digest.Manifest) Decision {
	d := Decision{Way: None, Since: Changes(image, now), Contains: image}
	var why string
	if d.Files, why = s.sync(d.Since, image, now); why == "" {
		if len(d.Files) > 0 {
			d.Way = Sync
		}
		return d
	}
	d.Reason, d.Files = why, nil
	if full := s.layer(&d, base, now); full != "" {
		return Decision{Way: Full, Since: d.Since, Reason: full}
	}
	d.Way = Image
	return d
}

// sync lists what is to be written for the changes, or says why that is not enough.
func (s Service) sync(changes []Change, before, now digest.Manifest) (files []Wanted, why string) {
	for _, c := range changes {
		wanted, why := s.wanted(c, before, now)
		if why != "" {
			return nil, why
		}
		if wanted != nil {
			files = append(files, wanted...)
			continue
		}
		if u := s.use(c.Path, before, now); len(u.Places) > 0 || u.Why != "" {
			return nil, c.Path + " is covered by no sync rule"
		}
	}
	return files, s.overlap(files, changes, before, now)
}

// wanted is a change as its rules have it; none if no rule covers it.
func (s Service) wanted(c Change, before, now digest.Manifest) (files []Wanted, why string) {
	for _, r := range governing(s.Sync, c.Path) {
		to, ok := r.target(c.Path, before, now)
		if !ok {
			return nil, r.From + " was a directory or became one"
		}
		f, why := s.file(c, to)
		if why != "" {
			return nil, why
		}
		for _, other := range s.Sync {
			if p, ok := other.source(to, now); ok && p != c.Path && Find(now, p) != nil && slices.Contains(governing(s.Sync, p), other) {
				return nil, fmt.Sprintf("%s and %s are both synced to %s", c.Path, p, to)
			}
		}
		files = append(files, Wanted{File: s.moded(f, c.Path, now), Path: c.Path})
	}
	return files, ""
}

// moded is a file with the mode that a build of the image gives it (COPY --chmod), where it is known to bring the path there.
func (s Service) moded(f File, path string, now digest.Manifest) File {
	if f.Gone || f.Kind == digest.Link || s.Use == nil {
		return f
	}
	for _, p := range s.Use(path, now).Places {
		if p.To == f.To && p.Mode != nil {
			f.Mode = *p.Mode
		}
	}
	return f
}

// file is what a change makes of a path of a container.
func (s Service) file(c Change, to string) (f File, why string) {
	if c.After == nil {
		return File{To: to, Gone: true}, ""
	}
	return s.entry(c.After, to)
}

// entry is an entry of the context at a path of a container.
func (s Service) entry(e *digest.Entry, to string) (f File, why string) {
	f = File{To: to, Kind: e.Kind, Mode: e.Mode, Link: e.Link}
	switch e.Kind {
	case digest.File:
		f.From, f.Hash = filepath.Join(s.Root, filepath.FromSlash(e.Path)), e.Hash
	case digest.Dir, digest.Link:
	default:
		return f, e.Path + " is neither file, directory nor link"
	}
	return f, ""
}

// use is Use where the trees before and after a change agree.
func (s Service) use(path string, before, now digest.Manifest) Use {
	u := s.Use(path, now)
	if reflect.DeepEqual(u, s.Use(path, before)) {
		return u
	}
	if u.Why == "" {
		u = Use{Why: "the Dockerfile copies it to another place than before", Final: true}
	}
	return u
}

// overlap says why files that go away may take others with them.
func (s Service) overlap(files []Wanted, changes []Change, before, now digest.Manifest) string {
	for _, dir := range vanished(changes) {
		for _, f := range files {
			if f.Path != dir {
				continue
			}
			for i := range now {
				for _, r := range governing(s.Sync, now[i].Path) {
					if to, ok := r.target(now[i].Path, before, now); !ok || below(to, f.To) {
						return fmt.Sprintf("%s is gone, and %s is below it in containers", dir, now[i].Path)
					}
				}
			}
		}
	}
	return ""
}

// vanished are the directories that are directories no more.
func vanished(changes []Change) []string {
	var dirs []string
	for _, c := range changes {
		if c.Before != nil && c.Before.Kind == digest.Dir && (c.After == nil || c.After.Kind != digest.Dir) {
			dirs = append(dirs, c.Path)
		}
	}
	return dirs
}
