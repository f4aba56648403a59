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

	early  []*early
	failed map[string]error // by node
	sent   []int64          // bytes, for each node that was sent something
	spared int64            // bytes that the node which was sent most had already
}

// bring gets the layers that nodes lack out of the engine and gives the nodes the image. Layers that come with another image at the same time it leaves to that: it
// gets its own meanwhile, which the engine can give out together with those, and goes on when they are there.
func (d *delivery) bring(ctx context.Context, nodes []string) error {
	held, err := d.ask(ctx, nodes)
	if err != nil {
		return err
	}
	mine, others, release := d.loading.take(d.lacking(held))
	defer func() { release() }()
	defer func() {
		for _, e := range d.early {
			e.end()
		}
	}()
	spool, err := d.spool()
	if err != nil {
		d.sendWhole(ctx, keys(held))
		return ctx.Err()
	}
	defer func() { _ = spool.Close() }() // what it leaves goes with the next one, see spool
	parts := d.fetch(ctx, held, mine, spool)
	if len(others) > 0 {
		d.report("waiting for layers of " + d.image.Short() + " that come with another image")
		if err := d.loading.wait(ctx, others); err != nil {
			return err
		}
		if held, err = d.ask(ctx, nodes); err != nil {
			return err
		}
		if lacking := d.lacking(held); parts != nil && !parts.Has(lacking) { // it failed, or these are other nodes
			release()
			if held, release, err = d.claim(ctx, nodes); err != nil {
				return err
			}
			parts = d.fetch(ctx, held, d.lacking(held), spool)
		}
	}
	d.run(ctx, held, parts)
	return ctx.Err()
}

// ask asks the nodes what they hold. Those that do not answer have failed.
func (d *delivery) ask(ctx context.Context, nodes []string) (held map[string]image.Holding, err error) {
	held, d.failed = d.holdings(ctx, nodes, d.ids, d.layers)
	return held, ctx.Err()
}

// claim asks the nodes what they hold, and claims the layers that some of them lack. It waits while another delivery brings one of those.
func (d *delivery) claim(ctx context.Context, nodes []string) (held map[string]image.Holding, release func(), err error) {
	nothing := func() {}
	for {
		held, err := d.ask(ctx, nodes)
		if err != nil {
			return nil, nothing, err
		}
		lacking := d.lacking(held)
		if release := d.loading.takeAll(lacking); release != nil {
			return held, release, nil
		}
		if err := d.loading.wait(ctx, lacking); err != nil {
			return nil, nothing, err
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

// fetch gets the image's configuration and some layers out of the engine, for nodes that hold what held says. It is nil if that did not work: exporting everything says what is
// wrong with the engine, if anything is.
func (d *delivery) fetch(ctx context.Context, held map[string]image.Holding, wanted []string, spool *image.Spool) *image.Image {
	if len(held) == 0 || len(d.layers) == 0 {
		return nil
	}
	w := d.want(held, wanted)
	w.Spool = spool
	if early := d.toLacking(ctx, held, wanted); len(early.nodes) > 0 {
		w.Early = early.begin
		d.early = append(d.early, early)
		defer early.finish()
	}
	parts, err := d.Engine.Fetch(ctx, w)
	if err != nil {
		return nil
	}
	return parts
}

// run sends the image to the nodes that answered, which hold what held says, and gives everything to those for which its parts are not enough.
func (d *delivery) run(ctx context.Context, held map[string]image.Holding, parts *image.Image) {
	whole := keys(held)
	if parts != nil {
		if whole = d.sendLayers(ctx, held, parts); len(whole) > 0 && ctx.Err() == nil {
			d.report("sending all of " + d.image.Short())
		}
	}
	if len(whole) > 0 && ctx.Err() == nil {
		d.sendWhole(ctx, whole)
	}
}

// sendLayers sends each node what it lacks. It returns the nodes for which that did not work and that are to get everything.
func (d *delivery) sendLayers(ctx context.Context, held map[string]image.Holding, parts *image.Image) (rest []string) {
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

// want is what has to come out of the engine so that nodes which hold what held says get the wanted layers.
func (d *delivery) want(held map[string]image.Holding, wanted []string) image.Want {
	w := image.Want{Ref: d.image.Ref, ID: d.id, Layers: d.layers, Wanted: wanted, Held: map[string]string{}, Size: d.bytes, Bytes: d.bytes}
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
	if w.Bytes = max(w.Bytes, 0); len(wanted) == 0 {
		w.Bytes = 0
	}
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
