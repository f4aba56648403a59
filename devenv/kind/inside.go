package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
)

// Inside holds connections into the nodes of a cluster, each opened when it is first needed and again when it broke: a docker exec for every
// operation would cost more than most of them. What the nodes lack to be entered that way is in errors that are hot.ErrNotInside. An Inside is
// safe for concurrent use.
type Inside struct {
	clusters *Clusters

	mu     sync.Mutex
	closed bool
	agents map[string]*agent // by the ID of the node's container
	stores map[string]*place
}

var _ hot.Inside = (*Inside)(nil)

// Enter prepares connections into the cluster's nodes. The caller closes them.
func (k *Clusters) Enter() *Inside {
	return &Inside{clusters: k, agents: map[string]*agent{}, stores: map[string]*place{}}
}

// Close ends the connections. It waits for what is being done over them.
func (i *Inside) Close() error {
	i.mu.Lock()
	i.closed = true
	i.mu.Unlock() // nothing is added any more
	var all sync.WaitGroup
	for _, a := range i.agents {
		all.Go(a.close)
	}
	for _, p := range i.stores {
		all.Go(p.close)
	}
	all.Wait()
	return nil
}

var errClosed = errors.New("the connections into the nodes are closed")

// connection is the one of its kind that leads into a node; begin makes it if there is none yet.
func connection[T any](i *Inside, node string, all *map[string]*T, begin func(id string) *T) (*T, error) {
	ids, err := i.clusters.nodeIDs([]string{node})
	if err != nil {
		return nil, err
	}
	id := ids[node]
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil, errClosed
	}
	c := (*all)[id]
	if c == nil {
		c = begin(id)
		(*all)[id] = c
	}
	return c, nil
}

// agent is the way to a node's containers.
func (i *Inside) agent(node string) (*agent, error) {
	return connection(i, node, &i.agents, func(id string) *agent {
		return newAgent(func(ctx context.Context) (stream, error) {
			return i.clusters.open(ctx, id, "perl", "-e", scriptInside)
		}, i.clusters.wait)
	})
}

// Write implements hot.Inside.
func (i *Inside) Write(ctx context.Context, c hot.Container, files []hot.File) error {
	what := "writing files into a container on " + c.Node
	for _, f := range files {
		if err := possible(f); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	a, err := i.agent(c.Node)
	if err != nil {
		return err
	}
	_, err = a.ask(ctx, func(t *talk) error {
		err := sendFiles(ctx, t, c.ID, files)
		if err := t.send('.'); err != nil {
			return err
		}
		return err
	})
	return i.fault(ctx, what, c.Node, err)
}

// Signal implements hot.Inside.
func (i *Inside) Signal(ctx context.Context, c hot.Container, signal string) error {
	name := strings.TrimPrefix(strings.ToUpper(signal), "SIG")
	a, err := i.agent(c.Node)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("sending %s to a container on %s", name, c.Node)
	_, err = a.ask(ctx, func(t *talk) error { return t.send('S', c.ID, name) })
	return i.fault(ctx, what, c.Node, err)
}

// Kinds implements hot.Inside.
func (i *Inside) Kinds(ctx context.Context, c hot.Container, paths []string) ([]digest.Kind, error) {
	what := "looking at files of a container on " + c.Node
	for _, p := range paths {
		if err := possible(hot.File{To: p, Gone: true}); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
	}
	a, err := i.agent(c.Node)
	if err != nil {
		return nil, err
	}
	letters, err := a.ask(ctx, func(t *talk) error { return t.send('Q', append([]string{c.ID}, paths...)...) })
	if err != nil {
		return nil, i.fault(ctx, what, c.Node, err)
	}
	if len(letters) != len(paths) {
		return nil, fmt.Errorf("%s: %d answers to %d questions", what, len(letters), len(paths))
	}
	kinds := make([]digest.Kind, len(paths))
	for n := range kinds {
		if letters[n] != '-' {
			kinds[n] = digest.Kind(letters[n]) // the letters are digest's
		}
	}
	return kinds, nil
}

// possible says what is wrong with a file that nobody could write.
func possible(f hot.File) error {
	if !path.IsAbs(f.To) || path.Clean(f.To) != f.To || f.To == "/" || strings.ContainsRune(f.To, 0) || strings.ContainsRune(f.Link, 0) {
		return fmt.Errorf("%q is not a path for a file", f.To)
	}
	switch {
	case f.Gone, f.Kind == digest.File, f.Kind == digest.Dir, f.Kind == digest.Link && f.Link != "":
		return nil
	}
	return fmt.Errorf("%s is neither a file nor a directory nor a link", f.To)
}

// sendFiles sends a request up to its last file. An error of this machine's is its own; the request then can be ended as any other.
func sendFiles(ctx context.Context, t *talk, id string, files []hot.File) error {
	if err := t.send('W', id); err != nil {
		return err
	}
	piece := make([]byte, pieceSize)
	for _, f := range files {
		mode := strconv.FormatUint(uint64(f.Mode&0o7777), 10)
		var err error
		switch {
		case f.Gone:
			err = t.send('R', f.To)
		case f.Kind == digest.Dir:
			err = t.send('D', f.To, mode)
		case f.Kind == digest.Link:
			err = t.send('L', f.To, mode, f.Link)
		default:
			err = sendFile(ctx, t, f, mode, piece)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func sendFile(ctx context.Context, t *talk, f hot.File, mode string, piece []byte) error {
	from, err := f.Open()
	if err != nil {
		return err // nothing of it was sent
	}
	defer func() { _ = from.Close() }() // it was only read
	if err := t.send('F', f.To, mode); err != nil {
		return err
	}
	for {
		n, err := from.Read(piece)
		if n > 0 {
			if err := t.sendData('C', piece[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return t.send('E')
		case err == nil:
			err = ctx.Err()
		}
		if err != nil {
			return errors.Join(err, t.send('A'))
		}
	}
}

// fault is what the caller of a method gets for an error.
func (i *Inside) fault(ctx context.Context, what, node string, err error) error {
	var file *fileError
	switch {
	case err == nil || isFault(err):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, ctx.Err())
	case errors.As(err, &file):
		f := &fault.Error{
			Kind: fault.Machine, What: what, Err: err,
			Next: "See that the container may write there: what is mounted read-only and what is mounted at all cannot be replaced.",
		}
		switch file.number {
		case fullDisk:
			f.What, f.Next = what+": the disk is full", nextDisk
		case readOnly:
			f.What, f.Next = what+": it is mounted read-only there", "Take the path out of `dev.sync`, or change what the volume is made from."
		}
		return f
	case errors.Is(err, hot.ErrGone), errors.Is(err, hot.ErrNotInside), hot.Outrun(err) != nil:
		return fmt.Errorf("%s: %w", what, err)
	}
	return i.clusters.nodeFault(ctx, what, node, err)
}
