package kind

import (
	"fmt"
	"strconv"
	"strings"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

// configure builds the configuration that kind creates the cluster from. The user's kind configuration is the ground: its nodes stay,
// plain workers are added until there are as many as Workers, and every setting of devenv is laid over it. Of the patches, those that
// only make development quicker come before the user's, who may undo them; those without which this machine cannot run
// a node come after.
func (k *Clusters) configure(l *loaded, image, kubernetes string, h host) *v1alpha4.Cluster {
	c := l.config.cluster.DeepCopy()
	c.TypeMeta = v1alpha4.TypeMeta{APIVersion: configVersion, Kind: "Cluster"}
	c.Name = k.Name
	c.Nodes = layOut(c.Nodes, l.Workers)
	for i := range c.Nodes {
		c.Nodes[i].Image = image
	}
	absoluteMounts(c, k.Project)

	c.KubeadmConfigPatches = append(quicker(c), c.KubeadmConfigPatches...)
	if len(l.RegistryMirrors) > 0 {
		c.ContainerdConfigPatches = append(c.ContainerdConfigPatches,
			containerdPatch(2, "io.containerd.grpc.v1.cri", ".registry", `config_path = "`+mirrorDir+`"`),
			containerdPatch(3, "io.containerd.cri.v1.images", ".registry", `config_path = "`+mirrorDir+`"`))
	}
	if h.noSysResource {
		// The kubelet may not lower limits and scores that others raised, exactly as in a user namespace, so it is told that it is
		// in one; nor may containerd.
		if c.FeatureGates == nil {
			c.FeatureGates = map[string]bool{}
		}
		c.FeatureGates["KubeletInUserNamespace"] = true
		c.ContainerdConfigPatches = append(c.ContainerdConfigPatches,
			containerdPatch(2, "io.containerd.grpc.v1.cri", "", "restrict_oom_score_adj = true"),
			containerdPatch(3, "io.containerd.cri.v1.runtime", "", "restrict_oom_score_adj = true"))
	}
	if h.cgroupV1 && !olderThan(kubernetes, 1, 31) { // older kubelets do not know the field, and accept cgroup v1
		c.KubeadmConfigPatches = append(c.KubeadmConfigPatches, "kind: KubeletConfiguration\nfailCgroupV1: false\n")
	}
	return c
}

// layOut makes sure that there is a control plane and adds workers until there are as many as wanted.
func layOut(nodes []v1alpha4.Node, workers int) []v1alpha4.Node {
	for i := range nodes {
		if nodes[i].Role == "" {
			nodes[i].Role = v1alpha4.ControlPlaneRole
		}
	}
	count := roles(nodes)
	if count[v1alpha4.ControlPlaneRole] == 0 {
		nodes = append([]v1alpha4.Node{{Role: v1alpha4.ControlPlaneRole}}, nodes...)
	}
	for n := count[v1alpha4.WorkerRole]; n < workers; n++ {
		nodes = append(nodes, v1alpha4.Node{Role: v1alpha4.WorkerRole})
	}
	return nodes
}

// roles counts the nodes of each role.
func roles(nodes []v1alpha4.Node) map[v1alpha4.NodeRole]int {
	count := map[v1alpha4.NodeRole]int{}
	for _, n := range nodes {
		count[n.Role]++
	}
	return count
}

// namesOf are the names that kind gives to the nodes: <cluster>-control-plane, <cluster>-worker, <cluster>-worker2, … Control
// planes come first.
func namesOf(c *v1alpha4.Cluster) []string {
	var names []string
	for _, role := range []v1alpha4.NodeRole{v1alpha4.ControlPlaneRole, v1alpha4.WorkerRole} {
		n := 0
		for _, node := range c.Nodes {
			if node.Role != role {
				continue
			}
			name := c.Name + "-" + string(role)
			if n++; n > 1 {
				name += strconv.Itoa(n)
			}
			names = append(names, name)
		}
	}
	return names
}

// containerdPatch is a patch of containerd's configuration. The tables have other names in version 3 of it, and kind applies only
// patches whose version is the file's, so there is one for each.
func containerdPatch(version int, plugin, table, line string) string {
	return fmt.Sprintf("version = %d\n[plugins.%q%s]\n  %s\n", version, plugin, table, line)
}

// olderThan compares a Kubernetes version (v1.36.3) with a release. A version that is not known is not older.
func olderThan(version string, major, minor int) bool {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 2 {
		return false
	}
	x, err1 := strconv.Atoi(parts[0])
	y, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && (x < major || x == major && y < minor)
}
