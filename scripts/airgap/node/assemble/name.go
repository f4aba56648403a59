package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Names are the references under which a cluster looks for its images. kind and kubeadm decide them, each in its own
// release, so they are read from there and not repeated here.
type Names struct {
	Version            string // of Kubernetes, with its v
	APIServer          string
	ControllerManager  string
	Scheduler          string
	Proxy              string
	Etcd               string
	CoreDNS            string
	Pause              string
	PodNetwork         string
	StorageProvisioner string
	StorageHelper      string
	MetricsServer      string
}

// metricsServer is the reference in metrics-server's own manifest of that version.
const metricsServer = "registry.k8s.io/metrics-server/metrics-server:v0.9.0"

func (n Names) all() []string {
	return []string{
		n.APIServer, n.ControllerManager, n.Scheduler, n.Proxy, n.Etcd, n.CoreDNS, n.Pause, n.PodNetwork,
		n.StorageProvisioner, n.StorageHelper, n.MetricsServer,
	}
}

// readNames asks kubeadm for the control plane's images and kind's sources for the rest.
func readNames(ctx context.Context, kindDir, kubeadm string) (Names, error) {
	version, err := exec.CommandContext(ctx, kubeadm, "version", "-o", "short").Output()
	if err != nil {
		return Names{}, fmt.Errorf("kubeadm version: %w", err)
	}
	names := Names{Version: strings.TrimSpace(string(version)), MetricsServer: metricsServer}
	list, err := exec.CommandContext(ctx, kubeadm, "config", "images", "list", "--kubernetes-version", names.Version).Output()
	if err != nil {
		return Names{}, fmt.Errorf("kubeadm config images list: %w", err)
	}
	if err := names.fromKubeadm(string(list)); err != nil {
		return Names{}, err
	}
	sources := []struct {
		file, pattern string
		to            *string
	}{
		{"pkg/build/nodeimage/const_cni.go", `(?m)^const kindnetdImage = "([^"]+)"$`, &names.PodNetwork},
		{"pkg/build/nodeimage/const_storage.go", `(?m)^const storageProvisionerImage = "([^"]+)"$`, &names.StorageProvisioner},
		{"pkg/build/nodeimage/const_storage.go", `(?m)^const storageHelperImage = "([^"]+)"$`, &names.StorageHelper},
		{"images/base/files/etc/containerd/config.toml", `(?m)^\s*sandbox_image = "([^"]+)"$`, &names.Pause},
	}
	for _, source := range sources {
		text, err := os.ReadFile(filepath.Join(kindDir, source.file))
		if err != nil {
			return Names{}, err
		}
		match := regexp.MustCompile(source.pattern).FindSubmatch(text)
		if match == nil {
			return Names{}, fmt.Errorf("%s of kind has no line that matches %s: this kind is not the one that assemble knows", source.file, source.pattern)
		}
		*source.to = string(match[1])
	}
	return names, nil
}

// fromKubeadm takes the references out of kubeadm's list.
func (n *Names) fromKubeadm(list string) error {
	programs := map[string]*string{
		"kube-apiserver": &n.APIServer, "kube-controller-manager": &n.ControllerManager, "kube-scheduler": &n.Scheduler,
		"kube-proxy": &n.Proxy, "etcd": &n.Etcd, "coredns": &n.CoreDNS,
	}
	for _, reference := range strings.Fields(list) {
		repository, _, _ := strings.Cut(reference[strings.LastIndex(reference, "/")+1:], ":")
		if to, ok := programs[repository]; ok {
			*to = reference
		}
	}
	for program, to := range programs {
		if *to == "" {
			return fmt.Errorf("kubeadm's list of images has no %s:\n%s", program, list)
		}
	}
	return nil
}
