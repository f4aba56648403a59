package devenvtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/image"
	"github.com/devenv-run/devenv/devenv/plan"
)

// Topper is a hot.Topper in memory. Its zero value has nodes that hold nothing.
type Topper struct {
	mu   sync.Mutex
	held map[string]map[string][]string // node → reference → archives of the layers, the lowest first
	lost map[string]map[string]bool     // node → reference
	// Fail, if it is set, is asked first.
	Fail func(base, ref string) error
}

var _ hot.Topper = (*Topper)(nil)

// Hold makes a node hold an image of some layers.
func (o *Topper) Hold(node, ref string, layers ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.held == nil {
		o.held, o.lost = map[string]map[string][]string{}, map[string]map[string]bool{}
	}
	if o.held[node] == nil {
		o.held[node], o.lost[node] = map[string][]string{}, map[string]bool{}
	}
	o.held[node][ref] = layers
}

// Lose makes an image on a node incomplete.
func (o *Topper) Lose(node, ref string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lost[node][ref] = true
}

// Layers are the archives of the layers of an image on a node, the lowest first, and whether the node knows it.
func (o *Topper) Layers(node, ref string) ([]string, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	layers, ok := o.held[node][ref]
	return layers, ok
}

// Drop implements hot.Topper.
func (o *Topper) Drop(ctx context.Context, nodes, prefixes []string, used func(ctx context.Context) ([]string, error)) (dropped int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var keep []string
	asked := false
	for _, node := range nodes {
		for ref := range o.held[node] {
			if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(ref, p) }) {
				continue
			}
			if !asked {
				asked = true
				if keep, err = used(ctx); err != nil {
					return dropped, err
				}
			}
			if !slices.Contains(keep, ref) {
				delete(o.held[node], ref)
				dropped++
			}
		}
	}
	return dropped, ctx.Err()
}

// Top implements hot.Topper.
func (o *Topper) Top(ctx context.Context, base, ref string, layer hot.Layer, nodes []string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if o.Fail != nil {
		if err := o.Fail(base, ref); err != nil {
			return "", err
		}
	}
	data, err := os.ReadFile(layer.File)
	if err != nil {
		return "", err
	}
	if image.Digest(data) != layer.DiffID {
		return "", errors.New("the layer is another one")
	}
	var errs []error
	for _, node := range nodes {
		below, ok := o.Layers(node, base)
		o.mu.Lock()
		lost := o.lost[node][base]
		o.mu.Unlock()
		if !ok || lost {
			errs = append(errs, fmt.Errorf("node %s does not hold all of %s", node, base))
			continue
		}
		o.Hold(node, ref, append(slices.Clone(below), string(data))...)
	}
	return fmt.Sprintf("sent %d B to %s", layer.Size, plan.Count(len(nodes), "node")), errors.Join(errs...)
}
