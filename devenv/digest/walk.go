package digest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/devenv-run/devenv/devenv/fault"
)

// Walk reads the context below root. A nil ignore leaves nothing out; a nil cache hashes every file. Symbolic links are recorded, not
// followed, except for root itself. A socket counts as the empty file that BuildKit makes of it. A file that vanishes
// meanwhile was never there; one that cannot be read is a *fault.Error of kind Config, because no build could read it either.
func Walk(ctx context.Context, root string, ignore Ignore, cache *Cache) (Manifest, error) {
	full, err := filepath.Abs(root)
	if err == nil {
		// The cache goes by absolute paths: one spelling for one file.
		full, err = filepath.EvalSymlinks(full)
	}
	if err != nil {
		return nil, unreadable(root, err)
	}
	root = full
	if ignore == nil {
		ignore = everything{}
	}
	w := &walk{ctx: ctx, root: root, prefix: len(root) + 1, cache: cache, hashers: newHashers(ctx)}
	if root[len(root)-1] == filepath.Separator { // the root of a file system
		w.prefix = len(root)
	}
	err = w.dir(root, ignore, nil)
	results, hashErr := w.hashers.wait()
	if err := cmp.Or(ctx.Err(), err, hashErr); err != nil {
		return nil, err
	}
	w.settle(results)
	slices.SortFunc(w.entries, func(a, b Entry) int { return cmp.Compare(a.Path, b.Path) })
	return w.entries, nil
}

// walk is one reading of a context.
type walk struct {
	ctx     context.Context
	root    string
	prefix  int // of a full path, before the path in the context
	cache   *Cache
	hashers *hashers
	entries Manifest
	hits    []int32 // records of the cache that were of use
}

// parent is a directory that is left out itself, but becomes part of the context with the first thing in it that is not.
type parent struct {
	above *parent
	entry Entry
	added bool
}

func (w *walk) add(e Entry, in *parent) {
	for p := in; p != nil && !p.added; p = p.above {
		p.added = true
		w.entries = append(w.entries, p.entry)
	}
	w.entries = append(w.entries, e)
}

// dir reads one directory.
func (w *walk) dir(full string, ignore Ignore, in *parent) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	listing, err := readDir(full)
	switch {
	case gone(err) && full != w.root:
		return nil
	case errors.Is(err, fs.ErrPermission) && in != nil && !in.added:
		return nil // ignored anyway
	case err != nil:
		return unreadable(full, err)
	}
	separator := string(filepath.Separator)
	if len(full) == w.prefix { // the root of a file system
		separator = ""
	}
	for _, item := range listing {
		path := full + separator + item.Name()
		name := filepath.ToSlash(path[w.prefix:])
		ignored, inside := ignore.Match(name, item.IsDir())
		if ignored && (inside == nil || !item.IsDir()) {
			continue
		}
		if err := w.item(path, name, ignored, inside, in); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) item(path, name string, ignored bool, inside Ignore, in *parent) error {
	s, err := lstat(path)
	if gone(err) {
		return nil
	} else if err != nil {
		return unreadable(path, err)
	}
	e := Entry{Path: name, Kind: s.kind, Mode: s.mode}
	switch {
	case s.kind == Dir && ignored:
		return w.dir(path, inside, &parent{above: in, entry: e})
	case ignored:
		return nil // it was a directory when its parent was read
	case s.kind == Dir:
		w.add(e, in)
		if inside == nil {
			return nil
		}
		return w.dir(path, inside, in)
	case s.kind == Link:
		e.Mode = 0
		if e.Link, err = os.Readlink(path); gone(err) {
			return nil
		} else if err != nil {
			return unreadable(path, err)
		}
	case s.kind == Device:
		e.Link = s.device()
	case s.socket:
		e.Hash = sha256.Sum256(nil)
	case s.kind == File:
		e.Size = s.size
		if hash, record, ok := w.cache.lookup(path, &s); ok {
			e.Hash = hash
			w.hits = append(w.hits, record)
		} else {
			w.hashers.add(path, len(w.entries)+pending(in))
		}
	}
	w.add(e, in)
	return nil
}

// pending is how many directories will be added before the next entry.
func pending(in *parent) (n int) {
	for p := in; p != nil && !p.added; p = p.above {
		n++
	}
	return n
}

// settle puts the hashes into their entries, drops those whose file vanished, and teaches the cache.
func (w *walk) settle(results []result) {
	vanished := false
	for i := range results {
		r := &results[i]
		e := &w.entries[r.index]
		if r.gone {
			e.Path, vanished = "", true
			continue
		}
		e.Hash, e.Size = r.hash, r.size
	}
	w.cache.learn(w.hits, results)
	if vanished {
		w.entries = slices.DeleteFunc(w.entries, func(e Entry) bool { return e.Path == "" })
	}
}

func unreadable(path string, err error) error {
	next := "check that the build context exists"
	if errors.Is(err, fs.ErrPermission) {
		next = "make it readable, or name it in the context's .dockerignore"
	}
	return &fault.Error{Kind: fault.Config, What: "the build context cannot be read", Where: path, Err: err, Next: next}
}
