package kube

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NodesReady says of every node of the cluster, by name, whether its kubelet reports it ready.
func (c *Cluster) NodesReady(ctx context.Context) (map[string]bool, error) {
	nodes, err := c.core.Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, unanswered(err, "the cluster's nodes could not be read")
	}
	ready := make(map[string]bool, len(nodes.Items))
	for _, n := range nodes.Items {
		ready[n.Name] = false
		for _, condition := range n.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				ready[n.Name] = condition.Status == corev1.ConditionTrue
			}
		}
	}
	return ready, nil
}
