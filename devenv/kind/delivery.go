package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/image"
	"github.com/devenv-run/devenv/devenv/plan"
)

// delivery is one image on its way.
type delivery struct {
	*Clusters
	image  plan.Image
	name   string            // its reference, in full
	ids    map[string]string // of the nodes' containers, by node
	layers []string          // diff IDs, the lowest first
	id     string            // of the image
	bytes  int64             // in all of them, roughly
	report engine.Report

	failed map[string]error // by node
	sent   []int64          // bytes, for each node that was sent something
	spared int64            // bytes that the node which was sent most had already
}

// claim asks the nodes what they hold, and claims the layers that some of them lack. It waits while another delivery brings one of those.
func (d *delivery) claim(ctx context.Context, nodes []string) (held map[string]image.Holding, release func(), err error) {
	for {
		held, d.failed = d.holdings(ctx, nodes, d.ids, d.layers)
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		release, busy := d.loading.take(d.lacking(held))
		if release != nil {
			return held, release, nil
		}
		d.report("waiting for layers of " + d.image.Short() + " that come with another image")
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// lacking are the layers that at least one of the nodes lacks, the lowest first.
func (d *delivery) lacking(held map[string]image.Holding) []string {
	var lacking []string
	for _, h := range held {
		lacking = append(lacking, h.Lacks(d.layers)...)
	}
	var ordered []string
	for _, id := range d.layers {
		if slices.Contains(lacking, id) && !slices.Contains(ordered, id) {
			ordered = append(ordered, id)
		}
	}
	return ordered
}

// run sends the image to the nodes that answered, which hold what held says.
func (d *delivery) run(ctx context.Context, held map[string]image.Holding) {
	whole := keys(held)
	if slices.ContainsFunc(whole, func(node string) bool { return len(held[node]) > 0 }) {
		whole = d.sendLayers(ctx, held)
		if len(whole) > 0 && ctx.Err() == nil {
			d.report("sending all of " + d.image.Short())
		}
	}
	if len(whole) > 0 && ctx.Err() == nil {
		d.sendWhole(ctx, whole)
	}
}

// sendLayers sends each node what it lacks. It returns the nodes for which that did not work and that are to get everything.
func (d *delivery) sendLayers(ctx context.Context, held map[string]image.Holding) (rest []string) {
	spool, err := d.spool()
	if err != nil {
		return keys(held)
	}
	defer func() { _ = spool.Close() }() // what it leaves goes with the next one, see spool
	w := d.want(held)
	w.Spool = spool
	parts, err := d.Engine.Fetch(ctx, w)
	if err != nil {
		return keys(held) // exporting everything says what is wrong with the engine, if anything is
	}
	var all errgroup.Group
	groups, left := d.group(parts, held)
	failures := make([]map[string]error, len(groups))
	for n, g := range groups {
		all.Go(func() error {
			failures[n] = d.sendGroup(ctx, g)
			return nil
		})
	}
	_ = all.Wait() // none returns an error
	rest = left
	for n, g := range groups {
		sent, spared := g.image.Sizes()
		for _, node := range g.nodes {
			err := failures[n][node]
			switch {
			case err == nil:
				d.count(sent, spared)
			case hopeless(err) || ctx.Err() != nil:
				d.failed[node] = err
			default:
				rest = append(rest, node)
			}
		}
	}
	slices.Sort(rest)
	return rest
}

// sendGroup sends nodes the same layers: over connections into them, and to those where that does not work as an archive.
func (d *delivery) sendGroup(ctx context.Context, g group) map[string]error {
	var mu sync.Mutex
	var rest []string
	var all sync.WaitGroup
	for _, node := range g.nodes {
		all.Go(func() {
			if !d.inside(ctx, node, d.wait.load.finish, func(ctx context.Context, s *store) error { return s.add(ctx, d.name, g.image) }) {
				mu.Lock()
				defer mu.Unlock()
				rest = append(rest, node)
			}
		})
	}
	all.Wait()
	if len(rest) == 0 || ctx.Err() != nil {
		return nil
	}
	_, failed := d.send(ctx, d.name, rest, d.ids, func(_ context.Context, w io.Writer) error {
		return image.WriteLayout(w, d.name, g.image)
	}, "--all-platforms")
	return failed
}

// want is what has to come out of the engine so that nodes which hold what held says can have the image.
func (d *delivery) want(held map[string]image.Holding) image.Want {
	w := image.Want{Ref: d.image.Ref, ID: d.id, Layers: d.layers, Wanted: d.lacking(held), Held: map[string]string{}, Size: d.bytes, Bytes: d.bytes}
	there := map[string]int64{}
	for _, h := range held {
		for id, l := range h {
			if w.Wants(id) {
				continue
			}
			w.Held[l.Digest] = id
			if l.Pushed != "" {
				w.Held[l.Pushed] = id
			}
			there[id] = max(there[id], l.Expanded())
		}
	}
	for _, n := range there {
		w.Bytes -= n
	}
	w.Bytes = max(w.Bytes, 0)
	return w
}

// group is nodes that get the same archive.
type group struct {
	nodes []string
	image *image.Image
}

// group puts together the nodes that hold the same layers. For those in rest something is missing.
func (d *delivery) group(parts *image.Image, held map[string]image.Holding) (groups []group, rest []string) {
	for _, node := range keys(held) {
		i, ok := parts.For(held[node])
		if !ok {
			rest = append(rest, node)
			continue
		}
		n := slices.IndexFunc(groups, func(g group) bool { return slices.Equal(g.image.Layers, i.Layers) })
		if n < 0 {
			groups = append(groups, group{image: i})
			n = len(groups) - 1
		}
		groups[n].nodes = append(groups[n].nodes, node)
	}
	return groups, rest
}

// hopeless says whether a node failed with what it would fail with again.
func hopeless(err error) bool {
	return said(err, noSpace, noContainer, notRunning, isPaused) || errors.Is(err, errSlow) || errors.Is(err, errEndure)
}

// sendWhole sends everything to the nodes.
func (d *delivery) sendWhole(ctx context.Context, nodes []string) {
	export := func(ctx context.Context, w io.Writer) error { return d.Engine.Export(ctx, []string{d.image.Ref}, w) }
	// An image is imported with all its platforms, as it is in the engine. An engine with a containerd store exports an index that
	// names platforms whose content it never had, and there only the node's own can be imported.
	sent, failed := d.send(ctx, d.name, nodes, d.ids, export, "--all-platforms")
	if again := lackContent(failed); len(again) > 0 && ctx.Err() == nil {
		d.report(fmt.Sprintf("sending %s again, for this platform only", d.image.Short()))
		more, stillFailed := d.send(ctx, d.name, again, d.ids, export)
		sent = max(sent, more)
		for _, node := range again {
			delete(failed, node)
		}
		for node, err := range stillFailed {
			failed[node] = err
		}
	}
	for _, node := range nodes {
		if err := failed[node]; err != nil {
			d.failed[node] = err
		} else {
			d.count(sent, 0)
		}
	}
}

// count notes what a node was sent and spared.
func (d *delivery) count(sent, spared int64) {
	if len(d.sent) == 0 || sent > slices.Max(d.sent) {
		d.spared = spared
	}
	d.sent = append(d.sent, sent)
}

// detail is what became of the delivery, in a few words.
func (d *delivery) detail(nodes int) string {
	amount := size(slices.Max(d.sent))
	if least := slices.Min(d.sent); size(least) != amount {
		amount = size(least) + " to " + amount
	}
	text := fmt.Sprintf("sent %s to %s", amount, plan.Count(nodes, "node"))
	if d.spared > 0 {
		text += ", " + size(d.spared) + " were there"
	}
	return text
}

// spoolAge is after which time what lies in the directory for layers on their way was left by a devenv that was killed.
const spoolAge = time.Hour

// spool makes room for layers on their way, and removes what others left there.
func (d *delivery) spool() (*image.Spool, error) {
	parent := filepath.Join(d.StateDir, "load")
	old, err := os.ReadDir(parent)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range old {
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > spoolAge {
			_ = os.RemoveAll(filepath.Join(parent, entry.Name())) // the next delivery tries again
		}
	}
	return image.NewSpool(parent)
}

func keys(held map[string]image.Holding) []string {
	var names []string
	for name := range held {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
