package kind

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"github.com/devenv-run/devenv/devenv/image"
)

// early sends layers to nodes while the engine still gives them out, which it does slowly where it compresses them. It may fail in any way: what a node did not get
// like this it is sent when all has come.
type early struct {
	*delivery
	ctx    context.Context
	nodes  []string
	under  sync.WaitGroup
	mu     sync.Mutex
	over   bool
	leases []func() // end them
}

// toLacking sends early to the nodes that lack one of the wanted layers.
func (d *delivery) toLacking(ctx context.Context, held map[string]image.Holding, wanted []string) *early {
	e := &early{delivery: d, ctx: ctx}
	for _, node := range keys(held) {
		if len(held[node].Lacks(wanted)) > 0 {
			e.nodes = append(e.nodes, node)
		}
	}
	return e
}

// begin is image.Want.Early.
func (e *early) begin() image.Early {
	from, to := io.Pipe()
	l := &earlyLayer{to: to}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over { // somebody who did not hear that nobody wants it any more
		_ = from.Close()
		return l
	}
	receivers := make([]receiver, len(e.nodes))
	for n, node := range e.nodes {
		receivers[n] = func(ctx context.Context, in io.Reader) error { return e.receive(ctx, node, in, l) }
	}
	e.under.Go(func() {
		_, _ = distribute(e.ctx, e.wait.load, func(_ context.Context, w io.Writer) error {
			_, err := io.Copy(w, from)
			return err
		}, receivers) // what a node did not get it is sent again
		_ = from.CloseWithError(errNobody)
	})
	return l
}

// receive brings one layer into a node's content store.
func (e *early) receive(ctx context.Context, node string, comes io.Reader, l *earlyLayer) error {
	s, err := e.store(ctx, node)
	if err != nil {
		return err
	}
	leased, release, err := s.lease(in(ctx))
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.leases = append(e.leases, release)
	e.mu.Unlock()
	return s.upload(leased, comes, func() (string, map[string]string) { return l.is.Digest, labelsOf(l.is) })
}

// finish waits until the nodes have what came.
func (e *early) finish() {
	e.mu.Lock()
	e.over = true
	e.mu.Unlock()
	e.under.Wait()
}

// end gives up what nothing refers to by now.
func (e *early) end() {
	var all sync.WaitGroup
	for _, release := range e.leases {
		all.Go(release)
	}
	all.Wait()
}

// earlyLayer is a layer that comes.
type earlyLayer struct {
	to   *io.PipeWriter
	gone atomic.Bool // nobody takes it any more
	is   image.Layer // set before its end
}

// Write implements image.Early.
func (l *earlyLayer) Write(p []byte) (int, error) {
	if !l.gone.Load() {
		if _, err := l.to.Write(p); err != nil {
			l.gone.Store(true)
		}
	}
	return len(p), nil
}

// Done implements image.Early.
func (l *earlyLayer) Done(is image.Layer, err error) {
	l.is = is
	_ = l.to.CloseWithError(err) // it never fails; nil is the end
}
