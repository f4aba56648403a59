package measure

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// nodeConfig is what a node of the stand-in image needs on a host with cgroup v1 and without CAP_SYS_RESOURCE; on others it does no harm.
const nodeConfig = `kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
featureGates: {KubeletInUserNamespace: true}
containerdConfigPatches:
- |
  [plugins."io.containerd.grpc.v1.cri"]
    restrict_oom_score_adj = true
kubeadmConfigPatches:
- |
  kind: KubeletConfiguration
  failCgroupV1: false
`

// Kind is a cluster as kind makes it, without devenv: what it is compared with.
type Kind struct {
	Name    string
	Image   string // of the nodes; empty: kind's default
	Workers int    // beside the control plane
	Dir     string // holds the program, its configuration and the kubeconfig
}

// Kubeconfig is the path of the cluster's kubeconfig.
func (k Kind) Kubeconfig() string { return filepath.Join(k.Dir, "kubeconfig") }

// Build makes the program kind, of the version that devenv contains. The working directory has to be in devenv's module.
func (k Kind) Build(ctx context.Context) error {
	_, err := Run(ctx, "", "go", "build", "-o", k.program(), "sigs.k8s.io/kind")
	return err
}

func (k Kind) program() string { return filepath.Join(k.Dir, "kind") }

// Create makes the cluster, and returns when its nodes are ready.
func (k Kind) Create(ctx context.Context) error {
	file := filepath.Join(k.Dir, "kind.yaml")
	config := nodeConfig + "nodes:\n- role: control-plane\n" + strings.Repeat("- role: worker\n", k.Workers)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	args := []string{"create", "cluster", "--name", k.Name, "--config", file, "--kubeconfig", k.Kubeconfig(), "--wait", "5m"}
	if k.Image != "" {
		args = append(args, "--image", k.Image)
	}
	_, err := Run(ctx, "", k.program(), args...)
	return err
}

// Settle returns when everything in the cluster runs. A node that is removed while its runtime starts pods may not end: on cgroup v1 runc freezes
// what it sets up.
func (k Kind) Settle(ctx context.Context) error {
	_, err := Run(ctx, "", "docker", "exec", k.Name+"-control-plane", "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf",
		"wait", "--namespace", "kube-system", "--for", "condition=Ready", "pods", "--all", "--timeout", "3m")
	return err
}

// Delete removes the cluster, also after ctx has ended.
func (k Kind) Delete(ctx context.Context) error {
	_, err := Run(context.WithoutCancel(ctx), "", k.program(), "delete", "cluster", "--name", k.Name, "--kubeconfig", k.Kubeconfig())
	if err != nil {
		return fmt.Errorf("the cluster %s may still be there: %w", k.Name, err)
	}
	return nil
}
