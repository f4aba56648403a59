package kind

import (
	"context"
	"slices"
	"sync"
)

// claims say which layers are on their way into nodes, so that images which are delivered at the same time do not both bring what they share.
// The zero value has none.
//
// Somebody who holds claims may wait only for claims that were taken before its own. So nobody waits for somebody who waits for it: take may leave
// something to others, whose claims are older, once; after that it has to be all, which is taken only when it can be had.
type claims struct {
	mu    sync.Mutex
	taken map[string]bool
	freed chan struct{} // closed when some are given up
}

// take claims those of the layers that nobody has claimed. The others come with other images.
func (c *claims) take(layers []string) (mine, others []string, release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begin()
	for _, l := range layers {
		if c.taken[l] {
			others = append(others, l)
		} else {
			mine = append(mine, l)
		}
	}
	return mine, others, c.claim(mine)
}

// takeAll claims the layers if nobody has claimed any of them; else release is nil.
func (c *claims) takeAll(layers []string) (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begin(); c.any(layers) {
		return nil
	}
	return c.claim(layers)
}

// wait waits until none of the layers is claimed.
func (c *claims) wait(ctx context.Context, layers []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.begin(); c.any(layers); {
		if err := c.change(ctx); err != nil {
			return err
		}
	}
	return nil
}

// What follows needs the lock.

func (c *claims) begin() {
	if c.taken == nil {
		c.taken, c.freed = map[string]bool{}, make(chan struct{})
	}
}

func (c *claims) any(layers []string) bool {
	return slices.ContainsFunc(layers, func(l string) bool { return c.taken[l] })
}

// change waits, without the lock, until some claims are given up.
func (c *claims) change(ctx context.Context) error {
	freed := c.freed
	c.mu.Unlock()
	defer c.mu.Lock()
	select {
	case <-freed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *claims) claim(layers []string) (release func()) {
	for _, l := range layers {
		c.taken[l] = true
	}
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, l := range layers {
			delete(c.taken, l)
		}
		close(c.freed)
		c.freed = make(chan struct{})
	})
}
