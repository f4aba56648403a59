package devenvtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/hot"
)

// Inside is a hot.Inside in memory. A container runs once Run was called.
type Inside struct {
	mu    sync.Mutex
	files map[hot.Container]map[string]hot.File // From is the content
	heard map[hot.Container][]string
	// Fail, if it is set, is asked before every write.
	Fail func(c hot.Container, files []hot.File) error
}

var _ hot.Inside = (*Inside)(nil)

// Run starts a container without any files.
func (i *Inside) Run(c hot.Container) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.files == nil {
		i.files, i.heard = map[hot.Container]map[string]hot.File{}, map[hot.Container][]string{}
	}
	i.files[c] = map[string]hot.File{"/": {To: "/", Kind: digest.Dir, Mode: 0o755}}
}

// Stop ends a container.
func (i *Inside) Stop(c hot.Container) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.files, c)
}

// Look says what a path of the container is, with the content of a file in From.
func (i *Inside) Look(c hot.Container, to string) hot.File {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.files[c][to]
}

// Heard are the signals that a container got.
func (i *Inside) Heard(c hot.Container) []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.heard[c])
}

// Write implements hot.Inside.
func (i *Inside) Write(ctx context.Context, c hot.Container, files []hot.File) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if i.Fail != nil {
		if err := i.Fail(c, files); err != nil {
			return err
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	held := i.files[c]
	if held == nil {
		return fmt.Errorf("writing: %w", hot.ErrGone)
	}
	for _, f := range files {
		if !path.IsAbs(f.To) || path.Clean(f.To) != f.To || f.To == "/" || strings.ContainsRune(f.To, 0) {
			return fmt.Errorf("%q is not a path for a file", f.To)
		}
		if err := put(held, f); err != nil {
			return err
		}
	}
	return nil
}

func put(held map[string]hot.File, f hot.File) error {
	if f.Kind == digest.File && !f.Gone {
		from, err := f.Open()
		if err != nil {
			return err
		}
		data, err := io.ReadAll(from)
		if err = errors.Join(err, from.Close()); err != nil {
			return err
		}
		f.From = string(data)
	}
	up, err := directory(held, path.Dir(f.To), !f.Gone)
	if err != nil || up == "" {
		return err
	}
	f.To = path.Join(up, path.Base(f.To))
	old := held[f.To]
	if f.Gone || old.Kind == digest.Dir && f.Kind != digest.Dir {
		for to := range held {
			if to == f.To || strings.HasPrefix(to, f.To+"/") {
				delete(held, to)
			}
		}
	}
	if !f.Gone {
		held[f.To] = f
	}
	return nil
}

// directory is where a path leads, and empty if nowhere and it is not to be made.
func directory(held map[string]hot.File, to string, missing bool) (string, error) {
	if to == "/" {
		return to, nil
	}
	up, err := directory(held, path.Dir(to), missing)
	if err != nil || up == "" {
		return "", err
	}
	to = path.Join(up, path.Base(to))
	switch f := held[to]; {
	case f.Kind == digest.Dir:
		return to, nil
	case f.Kind == digest.Link && path.IsAbs(f.Link):
		return directory(held, path.Clean(f.Link), missing)
	case f.Kind == digest.Link:
		return directory(held, path.Join(up, f.Link), missing)
	case !missing:
		return "", nil
	case f.Kind == digest.File:
		return "", fmt.Errorf("%s: not a directory", to)
	}
	held[to] = hot.File{To: to, Kind: digest.Dir, Mode: 0o755}
	return to, nil
}

// Signal implements hot.Inside.
func (i *Inside) Signal(ctx context.Context, c hot.Container, signal string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.files[c] == nil {
		return fmt.Errorf("sending %s: %w", signal, hot.ErrGone)
	}
	name := strings.TrimPrefix(signal, "SIG")
	if !slices.Contains([]string{"HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "WINCH"}, name) {
		return errors.New("there is no signal " + name)
	}
	i.heard[c] = append(i.heard[c], name)
	return ctx.Err()
}

// Kinds implements hot.Inside.
func (i *Inside) Kinds(ctx context.Context, c hot.Container, paths []string) ([]digest.Kind, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	held := i.files[c]
	if held == nil {
		return nil, fmt.Errorf("looking: %w", hot.ErrGone)
	}
	kinds := make([]digest.Kind, len(paths))
	for n, to := range paths {
		kinds[n] = held[to].Kind
		for up := path.Dir(to); up != "/"; up = path.Dir(up) {
			if held[up].Kind == digest.Link {
				kinds[n] = digest.Link
			}
		}
	}
	return kinds, ctx.Err()
}
