package kind

import (
	"context"
	"sync"
	"time"
)

// place is where the store of a node is, opened when it is needed and again when it broke.
type place struct {
	open func(ctx context.Context) (*store, error)
	mu   sync.Mutex
	now  *store // nil: none
}

// store opens the node's store if need be.
func (p *place) store(ctx context.Context) (s *store, fresh bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil && !p.now.broken(nil) {
		return p.now, false, nil
	}
	if p.now != nil {
		p.now.close()
		p.now = nil
	}
	s, err = p.open(ctx)
	if err == nil {
		p.now = s
	}
	return s, true, err
}

// drop closes a store that broke, unless somebody did.
func (p *place) drop(s *store) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == s {
		p.now.close()
		p.now = nil
	}
}

func (p *place) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil {
		p.now.close()
		p.now = nil
	}
}

// with does something with a node's store; twice if the connection turns out to have broken since it was last used.
func (i *Inside) with(ctx context.Context, node string, do func(s *store) error) error {
	p, err := i.place(node)
	if err != nil {
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		s, fresh, err := p.store(ctx)
		if err != nil {
			return err
		}
		err = do(s)
		if err == nil || ctx.Err() != nil || !s.broken(err) {
			return err
		}
		p.drop(s)
		if fresh {
			return err
		}
	}
}

// place is the way to a node's containerd.
func (i *Inside) place(node string) (*place, error) {
	return connection(i, node, &i.stores, func(id string) *place {
		return &place{open: func(ctx context.Context) (*store, error) {
			s, err := i.clusters.open(ctx, id, "perl", "-e", scriptRelay)
			if err != nil {
				return nil, err
			}
			opened, err := dial(s, i.clusters.wait.node, i.clusters.wait.load)
			if err != nil {
				_ = s.Close() // it never fails
			}
			return opened, err
		}}
	})
}

// inside does something over a connection into a node, if there are any, and reports whether it worked. Where it did not there is another way, which says
// what is wrong if that is not only the connection.
func (k *Clusters) inside(ctx context.Context, node string, within time.Duration, do func(ctx context.Context, s *store) error) bool {
	in := k.connections()
	if in == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return in.with(ctx, node, func(s *store) error { return do(ctx, s) }) == nil
}

// connections are those into the nodes; nil: there are none.
func (k *Clusters) connections() *Inside {
	if k.Inside != nil {
		return k.Inside
	}
	return k.lent.now()
}

// store is the store of a node, for what cannot be done a second time.
func (k *Clusters) store(ctx context.Context, node string) (*store, error) {
	in := k.connections()
	if in == nil {
		return nil, errClosed
	}
	p, err := in.place(node)
	if err != nil {
		return nil, err
	}
	s, _, err := p.store(ctx)
	return s, err
}

// lending are connections for as long as somebody needs them. The zero value has none.
type lending struct {
	mu    sync.Mutex
	in    *Inside
	users int
}

// borrow opens connections, or takes part in those that are open. The last one to give them back closes them.
func (l *lending) borrow(k *Clusters) (giveBack func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users == 0 {
		l.in = k.Enter()
	}
	l.users++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.users--; l.users == 0 {
			_ = l.in.Close() // it never fails
			l.in = nil
		}
	}
}

func (l *lending) now() *Inside {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.in
}
