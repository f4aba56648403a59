package kind

import (
	"context"
	_ "embed"
	"encoding/hex"
	"strconv"
	"strings"
	"sync"

	"github.com/devenv-run/devenv/devenv/image"
)

//go:embed script/layers.sh
var scriptLayers string

// holdings asks the nodes, whose containers' IDs are in ids, all at once which of an image's layers are in their content stores. A node that does not answer is in failed
// instead. Layers of which a node has only a snapshot do not count: without their content an image is not complete.
func (k *Clusters) holdings(
	ctx context.Context, nodes []string, ids map[string]string, diffIDs []string,
) (held map[string]image.Holding, failed map[string]error) {
	held, failed = map[string]image.Holding{}, map[string]error{}
	var mu sync.Mutex
	var asked sync.WaitGroup
	for _, node := range nodes {
		asked.Go(func() {
			h := image.Holding{}
			var err error
			if len(diffIDs) > 0 {
				h, err = k.holding(ctx, node, ids[node], diffIDs)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[node] = err
				return
			}
			held[node] = h
		})
	}
	asked.Wait()
	return held, failed
}

// holding asks one node.
func (k *Clusters) holding(ctx context.Context, node, id string, diffIDs []string) (h image.Holding, err error) {
	if k.inside(ctx, node, k.wait.node, func(ctx context.Context, s *store) error {
		h, err = s.holding(ctx, diffIDs)
		return err
	}) {
		return h, nil
	}
	out, err := k.askNode(ctx, id, scriptLayers, diffIDs...)
	if err != nil {
		return nil, err
	}
	return parseHolding(string(out), diffIDs), nil
}

// parseHolding reads what layers.sh prints. A line that does not make sense is a layer that is not held. Where a layer is held more than once the one that
// is not compressed counts, so that nodes agree where they can.
func parseHolding(out string, diffIDs []string) image.Holding {
	const label = "containerd.io/uncompressed="
	wanted := map[string]bool{}
	for _, id := range diffIDs {
		wanted[id] = true
	}
	held := image.Holding{}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) != 4 {
			continue
		}
		l := image.Layer{Digest: fields[0]}
		size, err := strconv.ParseInt(fields[1], 10, 64)
		start, notHex := hex.DecodeString(fields[2])
		if err != nil || notHex != nil || size <= 0 {
			continue
		}
		l.Size, l.Format = size, image.FormatOf(start)
		for one := range strings.SplitSeq(fields[3], ",") {
			if id, ok := strings.CutPrefix(one, label); ok {
				l.DiffID = id
			}
			if digest, ok := strings.CutPrefix(one, labelPushed+"="); ok {
				l.Pushed = digest
			}
		}
		if (l.Format == image.Plain) != (l.Digest == l.DiffID) || !wanted[l.DiffID] {
			continue
		}
		if other, ok := held[l.DiffID]; !ok || other.Format != image.Plain {
			held[l.DiffID] = l
		}
	}
	return held
}
