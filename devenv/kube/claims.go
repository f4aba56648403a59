package kube

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/devenv-run/devenv/devenv/plan"
)

// Claims lists the persistent volume claims of the whole cluster: what is lost with it.
func (c *Cluster) Claims(ctx context.Context) ([]plan.ID, error) {
	claims, err := c.core.PersistentVolumeClaims(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, unanswered(err, "the cluster's persistent volume claims could not be read")
	}
	ids := make([]plan.ID, len(claims.Items))
	for i, claim := range claims.Items {
		ids[i] = plan.ID{Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name}
	}
	return ids, nil
}
