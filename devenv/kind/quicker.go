package kind

import (
	"fmt"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

// quicker are patches of kubeadm's configuration that nobody needs, but by which a cluster is made, started again or rolled out in less time.
func quicker(c *v1alpha4.Cluster) []string {
	patches := []string{proxySync(c.Networking.KubeProxyMode), smallKeys}
	if roles(c.Nodes)[v1alpha4.ControlPlaneRole] == 1 {
		patches = append(patches, noElection)
	}
	return patches
}

// proxySync makes kube-proxy follow changed endpoints within a tenth of a second instead of a whole one. In a rolling update that
// shortens both the update and the time in which connections to pods that are gone are refused.
func proxySync(mode v1alpha4.ProxyMode) string {
	if mode == "" {
		mode = v1alpha4.IPTablesProxyMode
	}
	return fmt.Sprintf("kind: KubeProxyConfiguration\n%s:\n  minSyncPeriod: 100ms\n", mode)
}

// smallKeys has kubeadm make keys on the curve P-256 instead of sixteen RSA keys of 2048 bits, which take longer to find than most other things of a cluster's
// start. It names the version that knows the field: kind ignores a patch of another version than the one that it writes for the node's Kubernetes.
const smallKeys = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nencryptionAlgorithm: ECDSA-P256\n"

// noElection has the only controller manager and the only scheduler begin at once. Else they wait at each start for the lease to run out that the same ones held before
// the cluster was stopped, 15 s, and renew it every two seconds for as long as they run. Without a version kind takes it for every Kubernetes.
const noElection = `kind: ClusterConfiguration
controllerManager:
  extraArgs: {leader-elect: "false"}
scheduler:
  extraArgs: {leader-elect: "false"}
`
