package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// retryAfter is how long to wait before the next try after a failure.
const retryAfter = 2 * time.Second

// cluster tells of nodes. list returns all of them and the version of that state; watch calls changed for every later
// change until the connection ends, which is an error or nil at the server's choice.
type cluster interface {
	list(ctx context.Context) (nodes []Node, version string, err error)
	watch(ctx context.Context, version string, changed func(Node, bool)) error
}

// follow calls apply with all the nodes whenever one of them changed, and every interval. It ends only with the context:
// what fails is logged and tried again.
func follow(ctx context.Context, api cluster, interval time.Duration, apply func([]Node) error) error {
	for ctx.Err() == nil {
		if err := followOnce(ctx, api, interval, apply); err != nil && ctx.Err() == nil {
			level := slog.LevelWarn
			if errors.Is(err, errNotReady) {
				level = slog.LevelInfo
			}
			slog.Log(ctx, level, "will try again", "cause", err)
			select {
			case <-time.After(retryAfter):
			case <-ctx.Done():
			}
		}
	}
	return nil
}

// followOnce lists the nodes, applies them, and applies again after each change, until the watch has lasted an interval.
func followOnce(ctx context.Context, api cluster, interval time.Duration, apply func([]Node) error) error {
	list, version, err := api.list(ctx)
	if err != nil {
		return err
	}
	nodes := map[string]Node{}
	for _, node := range list {
		nodes[node.Name] = node
	}
	if err := apply(list); err != nil && !errors.Is(err, errNotReady) {
		return err
	}
	watching, stop := context.WithTimeout(ctx, interval)
	defer stop()
	var failed error
	err = api.watch(watching, version, func(node Node, gone bool) {
		if before, known := nodes[node.Name]; known && !gone && sameNode(before, node) {
			return // a status that says nothing of the network
		}
		if nodes[node.Name] = node; gone {
			delete(nodes, node.Name)
		}
		current := slices.SortedFunc(maps.Values(nodes), func(a, b Node) int {
			if a.Name < b.Name {
				return -1
			}
			return 1
		})
		if err := apply(current); err != nil && !errors.Is(err, errNotReady) {
			failed = err
			stop()
		}
	})
	if failed != nil {
		return failed
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

func sameNode(a, b Node) bool {
	return a.Name == b.Name && slices.Equal(a.Addresses, b.Addresses) && slices.Equal(a.PodCIDRs, b.PodCIDRs)
}
