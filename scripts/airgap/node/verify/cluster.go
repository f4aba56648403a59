package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	kind "sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/cluster/nodes"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"
)

// workloadImage is what the pods of the checks run.
const workloadImage = "docker.io/devenv/verify-workload:1"

// cluster is a running cluster.
type cluster struct {
	name       string
	folder     string // for the kubeconfig
	provider   *kind.Provider
	nodes      []nodes.Node
	controller nodes.Node
}

func createCluster(o options) (*cluster, error) {
	folder, err := os.MkdirTemp("", "verify-")
	if err != nil {
		return nil, err
	}
	c := &cluster{name: o.name, folder: folder, provider: kind.NewProvider(kind.ProviderWithDocker())}
	kubeconfig := filepath.Join(folder, "kubeconfig")
	if err := c.provider.Delete(o.name, kubeconfig); err != nil {
		return nil, err
	}
	config, err := clusterConfig(o)
	if err != nil {
		return nil, err
	}
	err = c.provider.Create(o.name,
		kind.CreateWithV1Alpha4Config(config), kind.CreateWithKubeconfigPath(kubeconfig), kind.CreateWithRetain(o.keep),
		kind.CreateWithWaitForReady(3*time.Minute), kind.CreateWithDisplayUsage(false), kind.CreateWithDisplaySalutation(false))
	if err != nil {
		return c, err
	}
	if c.nodes, err = c.provider.ListInternalNodes(o.name); err != nil {
		return c, err
	}
	controllers, err := nodeutils.ControlPlaneNodes(c.nodes)
	if err != nil {
		return c, err
	}
	c.controller = controllers[0]
	return c, nil
}

func (c *cluster) delete() error {
	return errors.Join(c.provider.Delete(c.name, filepath.Join(c.folder, "kubeconfig")), os.RemoveAll(c.folder))
}

// clusterConfig is a cluster with what this machine needs: one with cgroup v1 has a kubelet that accepts it, one that
// withholds a capability has a kubelet and a runtime that do without.
func clusterConfig(o options) (*v1alpha4.Cluster, error) {
	config := &v1alpha4.Cluster{Nodes: []v1alpha4.Node{{Role: v1alpha4.ControlPlaneRole, Image: o.image}}}
	v1alpha4.SetDefaultsCluster(config)
	for range o.workers {
		config.Nodes = append(config.Nodes, v1alpha4.Node{Role: v1alpha4.WorkerRole, Image: o.image})
	}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); errors.Is(err, fs.ErrNotExist) {
		config.KubeadmConfigPatches = append(config.KubeadmConfigPatches, "kind: KubeletConfiguration\nfailCgroupV1: false\n")
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, err
	}
	if withheld(string(status), 24) { // CAP_SYS_RESOURCE
		config.FeatureGates = map[string]bool{"KubeletInUserNamespace": true}
		config.ContainerdConfigPatches = []string{"[plugins.\"io.containerd.grpc.v1.cri\"]\nrestrict_oom_score_adj = true\n"}
	}
	return config, nil
}

// withheld reports whether the bounding set in the text of /proc/<pid>/status lacks a capability.
func withheld(status string, capability int) bool {
	for line := range strings.Lines(status) {
		if hex, found := strings.CutPrefix(line, "CapBnd:"); found {
			var bits uint64
			if _, err := fmt.Sscanf(strings.TrimSpace(hex), "%x", &bits); err == nil {
				return bits&(1<<capability) == 0
			}
		}
	}
	return false
}

// kubectl runs kubectl in the control plane's node and returns what it printed.
func (c *cluster) kubectl(input string, args ...string) (string, error) {
	return run(c.controller.Command("kubectl", append([]string{"--kubeconfig=/etc/kubernetes/admin.conf"}, args...)...).
		SetStdin(strings.NewReader(input)))
}

// buildWorkload makes the workload's image in the engine.
func buildWorkload(ctx context.Context) error {
	folder, err := os.MkdirTemp("", "workload-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(folder, "workload"), "./verify/workload")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, output)
	}
	script := `tar -C "$1" -c workload | docker import -c 'ENTRYPOINT ["/workload"]' - "$2"`
	if output, err := exec.CommandContext(ctx, "sh", "-c", script, "import", folder, workloadImage).CombinedOutput(); err != nil {
		return fmt.Errorf("docker import: %w: %s", err, output)
	}
	return nil
}

// loadWorkload copies the workload's image into every node, as kind load does.
func loadWorkload(ctx context.Context, c *cluster) error {
	archive, err := exec.CommandContext(ctx, "docker", "save", workloadImage).Output()
	if err != nil {
		return err
	}
	defer func() { _ = exec.Command("docker", "rmi", workloadImage).Run() }() // the nodes have it
	for _, node := range c.nodes {
		if err := nodeutils.LoadImageArchive(node, bytes.NewReader(archive)); err != nil {
			return fmt.Errorf("%s: %w", node, err)
		}
		if _, err := nodeutils.ImageID(node, workloadImage); err != nil {
			return fmt.Errorf("%s does not know the image that was loaded: %w", node, err)
		}
	}
	return nil
}
