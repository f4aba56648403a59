package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

var _ engine.Delivery = (*Clusters)(nil)

// Deliver sends the whole image from the engine to all the nodes at once: one export, one import a node. Each node checks afterwards
// that the image is complete and unpacked, and removes its reference if not. A node that fails does not keep the others from
// getting the image; the error names those that failed.
func (k *Clusters) Deliver(ctx context.Context, i plan.Image, nodes []string, r engine.Report) (string, error) {
	name, err := canonical(i.Ref)
	if err != nil {
		return "", err
	}
	if len(nodes) == 0 {
		return "", nil
	}
	ids, err := k.nodeIDs(nodes)
	if err != nil {
		return "", err
	}
	r(fmt.Sprintf("sending %s to %s", i.Short(), count(len(nodes), "node")))
	// An image is imported with all its platforms, as it is in the engine. An engine with a containerd store exports an index that
	// names platforms whose content it never had, and there only the node's own can be imported.
	sent, failed := k.send(ctx, i, name, nodes, ids, "--all-platforms")
	if again := lackContent(failed); len(again) > 0 && ctx.Err() == nil {
		r(fmt.Sprintf("sending %s again, for this platform only", i.Short()))
		more, stillFailed := k.send(ctx, i, name, again, ids)
		sent += more
		for _, node := range again {
			delete(failed, node)
		}
		for node, err := range stillFailed {
			failed[node] = err
		}
	}
	if err := k.deliveryFault(ctx, i, nodes, failed); err != nil {
		return "", err
	}
	return fmt.Sprintf("sent %s to %s", size(sent), count(len(nodes), "node")), nil
}

// send exports the image once and imports it in all the nodes, whose containers' IDs are in ids. It returns the number of bytes of the
// archive and the nodes that failed.
func (k *Clusters) send(
	ctx context.Context, i plan.Image, name string, nodes []string, ids map[string]string, flags ...string,
) (int64, map[string]error) {
	args := append([]string{name}, flags...)
	receivers := make([]receiver, len(nodes))
	for n, node := range nodes {
		receivers[n] = func(ctx context.Context, archive io.Reader) error {
			out, err := k.docker.run(ctx, archive, command(ids[node], scriptImport, args, true)...)
			if err == nil && strings.TrimSpace(string(out)) != name {
				err = fmt.Errorf("the node did not confirm the image, but said %q", lastLine(string(out)))
			}
			return err
		}
	}
	sent, errs := distribute(ctx, k.wait.load, func(ctx context.Context, w io.Writer) error {
		return k.Engine.Export(ctx, []string{i.Ref}, w)
	}, receivers)
	failed := map[string]error{}
	for n, err := range errs {
		if err != nil {
			failed[nodes[n]] = err
		}
	}
	return sent, failed
}

// lackContent are the nodes whose import failed because the archive names content that it does not hold.
func lackContent(failed map[string]error) []string {
	var nodes []string
	for node, err := range failed {
		if said(err, "not found") && !said(err, noContainer) {
			nodes = append(nodes, node)
		}
	}
	slices.Sort(nodes)
	return nodes
}

// deliveryFault makes one error of what the nodes failed with.
func (k *Clusters) deliveryFault(ctx context.Context, i plan.Image, nodes []string, failed map[string]error) error {
	what := "loading " + i.Short()
	if len(failed) > 0 && ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	var errs []error
	for _, node := range nodes {
		err := failed[node]
		if err == nil {
			continue
		}
		// An export that failed did so for all of the nodes.
		if export := (*exportError)(nil); errors.As(err, &export) {
			return k.engineFault(ctx, "exporting "+i.Short()+" from the engine", export.err)
		}
		f := k.nodeFault(ctx, what+" into "+node, node, err)
		if one := (*fault.Error)(nil); errors.As(f, &one) && one.Detail == "" {
			if failure := (*commandError)(nil); errors.As(err, &failure) {
				one.Detail = tail(failure.output, 10)
			}
		}
		errs = append(errs, f)
	}
	return errors.Join(errs...)
}

// size is a number of bytes as people read it: 8.1 MB.
func size(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, units := float64(n), []string{"kB", "MB", "GB", "TB"}
	for u := 0; ; u++ {
		value /= unit
		if value < 999.95 || u == len(units)-1 {
			return fmt.Sprintf("%.1f %s", value, units[u])
		}
	}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
