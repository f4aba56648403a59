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

// Deliver brings an image onto nodes: of its layers only those that a node lacks, which are taken out of the engine once and sent to all
// the nodes at once. Each node checks afterwards that the image is complete and unpacked, and removes its reference if not; then it gets the whole image. A node
// that fails does not keep the others from getting the image; the error names those that failed.
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
	r(fmt.Sprintf("sending %s to %s", i.Short(), plan.Count(len(nodes), "node")))
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("loading %s: %w", i.Short(), err)
	}
	described, err := k.Engine.Describe(ctx, i.Ref)
	if err != nil {
		return "", k.engineFault(ctx, "exporting "+i.Short()+" from the engine", err)
	}
	if k.Inside == nil {
		defer k.lent.borrow(k)()
	}
	d := &delivery{Clusters: k, image: i, name: name, ids: ids, layers: described.Layers, id: described.ID, bytes: described.Size, report: r}
	if err := d.bring(ctx, nodes); err != nil { // nodes may have been sent nothing, without any of them having failed
		return "", fmt.Errorf("loading %s: %w", i.Short(), err)
	}
	if err := k.deliveryFault(ctx, i, nodes, d.failed); err != nil {
		return "", err
	}
	return d.detail(len(nodes)), nil
}

// send imports an archive of the image with the given full reference in all the nodes at once, whose containers' IDs are in ids. It returns
// the number of bytes of the archive and the nodes that failed.
func (k *Clusters) send(
	ctx context.Context, name string, nodes []string, ids map[string]string, archive func(context.Context, io.Writer) error, flags ...string,
) (int64, map[string]error) {
	args := append([]string{name}, flags...)
	receivers := make([]receiver, len(nodes))
	for n, node := range nodes {
		receivers[n] = func(ctx context.Context, in io.Reader) error {
			out, err := k.docker.run(ctx, in, command(ids[node], scriptImport, args, true)...)
			if err == nil && strings.TrimSpace(string(out)) != name {
				err = fmt.Errorf("the node did not confirm the image, but said %q", lastLine(string(out)))
			}
			return err
		}
	}
	sent, errs := distribute(ctx, k.wait.load, archive, receivers)
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
