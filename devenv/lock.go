package devenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"github.com/devenv-run/devenv/devenv/docker"
	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/lock"
)

// Lock writes devenv.lock: everything that the project takes from elsewhere, in whichever profile, pinned by digest. It needs an engine and
// no cluster. With Options.Locked it writes nothing, and a lock that it would change is a fault.Mismatch.
func (p *Project) Lock(ctx context.Context) (Outcome, error) {
	engine, err := p.docker()
	if err != nil {
		return Outcome{}, err
	}
	if p.options.Locked {
		if err := p.verifyLock(ctx); err != nil {
			return Outcome{}, stopped(ctx, err)
		}
		return Outcome{Summary: lock.FileName + " matches"}, nil
	}
	file, before, err := p.readLock()
	if err != nil {
		p.notice("the old " + lock.FileName + " cannot be used and is written anew: " + err.Error())
	}
	if file == nil {
		file = &lock.File{}
	}
	found, err := p.usesOfAll(ctx, engine, nil)
	if err != nil {
		return Outcome{}, stopped(ctx, err)
	}
	unread, failed := p.pinAll(ctx, engine, found)
	if err := errors.Join(unread, failed, p.unpinned(found)); err != nil {
		return Outcome{}, stopped(ctx, err)
	}
	return p.writeLock(file, file.Update(found), before)
}

// verifyLock compares the lock with what `devenv lock` would pin, for commands that look at no cluster.
func (p *Project) verifyLock(ctx context.Context) error {
	file, _, err := p.readLock()
	if err != nil {
		return err
	}
	if file == nil {
		return lock.Missing(lock.FileName)
	}
	engine, err := p.docker()
	if err != nil {
		return err
	}
	found, err := p.usesOfAll(ctx, engine, nil)
	if err != nil {
		return err
	}
	unread, err := p.pinAll(ctx, engine, found)
	if err := errors.Join(ctx.Err(), unread); err != nil {
		return err
	}
	drifts := append(file.Compare(found), file.Outline(found)...)
	if len(drifts) > 0 {
		return lock.Mismatch(lock.FileName, drifts) // what could not be told is among them, with the reason
	}
	return err
}

// pinAll fills the pins of what the project uses, in whichever profile, as far as they can be had. For the errors see pinner.all.
func (p *Project) pinAll(ctx context.Context, engine *docker.Engine, found lock.Found) (unread, failed error) {
	pins := pinner{engine: engine, ask: !p.options.Offline, node: func(ctx context.Context) (map[string]string, error) {
		if len(found.NodeImages) == 0 {
			return nil, nil
		}
		return p.clusters(engine).Contents(ctx, found.NodeImages[0].Name)
	}}
	return pins.all(ctx, found)
}

// unpinned is an error for each image of which nothing is known because devenv is offline. Otherwise the error is that of who was asked.
func (p *Project) unpinned(found lock.Found) error {
	if !p.options.Offline {
		return nil
	}
	var errs []error
	for _, u := range slices.Concat(found.NodeImages, found.BaseImages, found.Images) {
		if u.Pin.ID == "" && len(u.Pin.Digests) == 0 && u.Unknown == unasked {
			errs = append(errs, &fault.Error{
				Kind: fault.Machine, What: "image " + u.Name + " is not in the Docker Engine, and devenv is offline", Where: u.Where,
				Next: "Run the command without --offline, or `docker pull " + u.Name + "` first.",
			})
		}
	}
	return errors.Join(errs...)
}

// writeLock replaces the lock if its text changes.
func (p *Project) writeLock(old, next *lock.File, before []byte) (Outcome, error) {
	text := next.Text()
	done := event.Locked{File: lock.FileName, Entries: next.Len(), Local: next.Locals(), Written: !bytes.Equal(before, text)}
	for _, c := range old.Changes(next) {
		done.Changes = append(done.Changes, event.LockChange{Entry: c.What, Before: c.Before, After: c.After})
	}
	if done.Written {
		if err := renameio.WriteFile(p.lockPath(), text, 0o644, renameio.WithTempDir(p.config.Dir)); err != nil {
			return Outcome{}, &fault.Error{
				Kind: fault.Machine, What: lock.FileName + " cannot be written", Where: lock.FileName, Err: err, Next: "Make the directory of devenv.yaml writable.",
			}
		}
	}
	p.sink.Emit(done)
	if done.Local > 0 {
		p.notice(fmt.Sprintf("%d of these by local image ID, because no registry's digest is known: another machine needs the very same images", done.Local))
	}
	summary := lock.FileName + " written, "
	if !done.Written {
		summary = lock.FileName + " is up to date, "
	}
	summary += entries(done.Entries)
	return Outcome{Summary: summary}, nil
}

func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// lockPath is where the lock lies: beside devenv.yaml, the first of several.
func (p *Project) lockPath() string { return filepath.Join(p.config.Dir, lock.FileName) }

// readLock reads the lock; the file is nil if there is none.
func (p *Project) readLock() (*lock.File, []byte, error) {
	data, err := os.ReadFile(p.lockPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, &fault.Error{Kind: fault.Config, What: "the lock cannot be read", Where: lock.FileName, Err: err, Next: "Make it readable, or remove it."}
	}
	file, err := lock.Parse(lock.FileName, data)
	return file, data, err
}
