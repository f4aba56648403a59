package kube

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A node sends connections to where its kube-proxy last said. How long that takes after a change of EndpointSlices depends on how busy the node is: 50
// ms mostly, and a few times that. Nothing says which change kube-proxy has followed, but its answer about its health says when it wrote rules last, and
// what time it was then; the API server passes questions on to it.

const (
	proxyHealth = ":10256/proxy/healthz" // kube-proxy's healthzBindAddress, of a node
	// proxyAsk is the pause between two questions.
	proxyAsk = 20 * time.Millisecond
)

// proxied waits until the kube-proxy of each of the nodes has written rules after since, and says whether they have before until. One that cannot
// be asked, or does not say, counts as one that has.
func (c *Cluster) proxied(ctx context.Context, nodes []string, since, until time.Time) bool {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	var late atomic.Bool
	var all sync.WaitGroup
	for _, node := range nodes {
		all.Go(func() {
			for {
				asked := time.Now()
				ago, says := c.rulesWritten(ctx, node)
				if !says || asked.Add(-ago).After(since) {
					return
				}
				if sleep(ctx, proxyAsk) != nil {
					late.Store(true)
					return
				}
			}
		})
	}
	all.Wait()
	return !late.Load()
}

// rulesWritten asks a node's kube-proxy how long ago it wrote rules; false if it does not say.
func (c *Cluster) rulesWritten(ctx context.Context, node string) (ago time.Duration, says bool) {
	answer, err := c.core.RESTClient().Get().AbsPath("/api/v1/nodes/" + node + proxyHealth).DoRaw(ctx)
	if err != nil {
		return 0, false
	}
	var health struct {
		CurrentTime time.Time
		Status      map[string]struct{ LastUpdated time.Time } // by IP family
	}
	if json.Unmarshal(answer, &health) != nil {
		return 0, false
	}
	var last time.Time
	for _, family := range health.Status {
		last = later(last, family.LastUpdated)
	}
	return health.CurrentTime.Sub(last), !last.IsZero()
}

// nodeNames are the cluster's nodes; none if they cannot be read.
func (c *Cluster) nodeNames(ctx context.Context) []string {
	nodes, err := c.core.Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil
	}
	var names []string
	for i := range nodes.Items {
		names = append(names, nodes.Items[i].Name)
	}
	return names
}
