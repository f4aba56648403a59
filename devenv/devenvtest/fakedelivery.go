package devenvtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// Delivery is an engine.Delivery in memory. Its zero value holds nothing and delivers what it does not know. Each layer has 1 MB.
type Delivery struct {
	mu      sync.Mutex
	held    map[string]map[string]bool // node → reference
	content map[string]map[string]bool // node → layer
	layers  map[string][]string        // reference → its layers; nil: one of its own
	lacks   map[string]bool            // references that the engine does not hold
	fails   map[string]error           // node → failure
	// Delay is how long a delivery takes.
	Delay time.Duration
	// Midway, if it is set, is called in the midst of every delivery.
	Midway func()
}

var _ engine.Delivery = (*Delivery)(nil)

// Deliver implements engine.Delivery.
func (d *Delivery) Deliver(ctx context.Context, i plan.Image, nodes []string, r engine.Report) (string, error) {
	r("sending " + i.Short())
	select {
	case <-time.After(d.Delay):
	case <-ctx.Done():
	}
	if d.Midway != nil {
		d.Midway()
	}
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("loading %s: %w", i.Short(), err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lacks[i.Ref] {
		return "", &fault.Error{Kind: fault.Machine, What: "exporting " + i.Ref, Err: errors.New("no such image"), Next: "Build it."}
	}
	if d.held == nil {
		d.held, d.content = map[string]map[string]bool{}, map[string]map[string]bool{}
	}
	var errs []error
	var sent, there []int
	for _, node := range nodes {
		if err := d.fails[node]; err != nil {
			errs = append(errs, &fault.Error{Kind: fault.Machine, What: "loading " + i.Short() + " into " + node, Err: err, Next: "Mend the node."})
			continue
		}
		if d.held[node] == nil {
			d.held[node], d.content[node] = map[string]bool{}, map[string]bool{}
		}
		lacked := 0
		for _, l := range d.layersOf(i.Ref) {
			if !d.content[node][l] {
				d.content[node][l] = true
				lacked++
			}
		}
		sent, there = append(sent, lacked), append(there, len(d.layersOf(i.Ref))-lacked)
		d.held[node][i.Ref] = true
	}
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	detail := fmt.Sprintf("sent %d.0 MB to %s", slices.Max(sent), plan.Count(len(nodes), "node"))
	if least := slices.Min(sent); least < slices.Max(sent) {
		detail = fmt.Sprintf("sent %d.0 MB to %d.0 MB to %s", least, slices.Max(sent), plan.Count(len(nodes), "node"))
	}
	if most := slices.Max(there); most > 0 {
		detail += fmt.Sprintf(", %d.0 MB were there", most)
	}
	return detail, nil
}

// layersOf needs the lock.
func (d *Delivery) layersOf(ref string) []string {
	if l := d.layers[ref]; l != nil {
		return l
	}
	return []string{"all of " + ref}
}

// Derive gives an image the layers of another and one of its own.
func (d *Delivery) Derive(ref, from string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.layers == nil {
		d.layers = map[string][]string{}
	}
	d.layers[ref] = append(slices.Clone(d.layersOf(from)), "what is new in "+ref)
}

// Lose removes the lowest layer of an image from a node.
func (d *Delivery) Lose(node, ref string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.content[node], d.layersOf(ref)[0])
}

// Held reports whether the node holds the image.
func (d *Delivery) Held(node, ref string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.held[node][ref]
}

// Lack makes the engine not hold an image.
func (d *Delivery) Lack(ref string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lacks == nil {
		d.lacks = map[string]bool{}
	}
	d.lacks[ref] = true
}

// Fail makes a node fail with err; nil mends it.
func (d *Delivery) Fail(node string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fails == nil {
		d.fails = map[string]error{}
	}
	d.fails[node] = err
}
