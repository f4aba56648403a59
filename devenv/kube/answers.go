package kube

import "context"

// Answers says whether the API server is ready to serve now: nil, or why not. It asks once.
func (c *Cluster) Answers(ctx context.Context) error {
	if err := c.core.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error(); err != nil {
		return unanswered(err, "the cluster's API server does not answer")
	}
	return nil
}
