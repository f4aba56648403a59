package kube

import (
	"context"
	"slices"
	"sync"
)

// warnings hands the API server's warnings ("batch/v1beta1 CronJob is deprecated …") to whoever collects them for the
// request's context. Without a collector they are dropped; client-go would print them.
type warnings struct{}

type collectorKey struct{}

type collector struct {
	mu    sync.Mutex
	texts []string
}

// collecting gives a context whose requests' warnings the returned function lists, each once.
func collecting(ctx context.Context) (context.Context, func() []string) {
	k := &collector{}
	return context.WithValue(ctx, collectorKey{}, k), func() []string {
		k.mu.Lock()
		defer k.mu.Unlock()
		return slices.Clone(k.texts)
	}
}

// HandleWarningHeaderWithContext implements rest.WarningHandlerWithContext.
func (warnings) HandleWarningHeaderWithContext(ctx context.Context, code int, _, text string) {
	k, ok := ctx.Value(collectorKey{}).(*collector)
	if !ok || code != 299 || text == "" { // 299: the one code that Kubernetes uses for warnings to people
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.Contains(k.texts, text) {
		k.texts = append(k.texts, text)
	}
}
