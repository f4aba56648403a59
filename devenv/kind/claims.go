package kind

import "sync"

// claims say which layers are on their way into nodes, so that images which are delivered at the same time do not both bring what they share.
// The zero value has none.
type claims struct {
	mu    sync.Mutex
	taken map[string]bool
	freed chan struct{} // closed when some are given up
}

// take claims the layers, or says with a channel when it is worth trying again.
func (c *claims) take(layers []string) (release func(), busy <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken == nil {
		c.taken, c.freed = map[string]bool{}, make(chan struct{})
	}
	for _, l := range layers {
		if c.taken[l] {
			return nil, c.freed
		}
	}
	for _, l := range layers {
		c.taken[l] = true
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, l := range layers {
			delete(c.taken, l)
		}
		close(c.freed)
		c.freed = make(chan struct{})
	}, nil
}
