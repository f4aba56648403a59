package devenv

import (
	"slices"

	"github.com/devenv-run/devenv/devenv/kube"
)

// learn finds out when the kubelets go their rounds, so that the first swap can avoid one. It counts only where a pod has others beside it. Nodes in
// learned are not looked at again.
func (h *hotpath) learn(pods []kube.Pod, learned map[string]bool) {
	for _, p := range pods {
		beside := slices.ContainsFunc(pods, func(q kube.Pod) bool { return q.Owner == p.Owner && q.UID != p.UID })
		if !p.Ready || !beside || learned[p.Node] {
			continue
		}
		learned[p.Node] = true
		h.work.Go(func() {
			if err := h.pods.LearnRound(h.ctx, p); err != nil && h.ctx.Err() == nil {
				h.project.log.Debug("hot path: when the kubelet of "+p.Node+" reports", "error", err)
			}
		})
	}
}
