package main

import (
	"fmt"
	"io/fs"
	"path/filepath"
)

// The parts that the images are made of, as scripts/airgap/node/build leaves them under the parts folder.
const (
	partKubernetes    = "kubernetes/kubernetes"
	partEtcd          = "etcd/etcd"
	partCoreDNS       = "coredns/coredns"
	partProvisioner   = "local-path-provisioner/local-path-provisioner"
	partMetricsServer = "metrics-server/metrics-server"
	partPodNetwork    = "tools/podnet"
	partPause         = "tools/pause"
	partUserland      = "userland" // iptables, nft, conntrack, sh, rm, mkdir and the libraries that they need
)

// programs of Kubernetes that run in pods, all of them links to one binary.
var programs = []string{"kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler"}

var environment = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

// buildImages packs all the images of a node.
//
// The four of Kubernetes have the same two layers, so that a node keeps and unpacks them once. The pod network program and
// the storage helper share the first of them.
func buildImages(parts string, names Names) ([]Image, error) {
	userland, err := treeEntries(filepath.Join(parts, partUserland))
	if err != nil {
		return nil, err
	}
	kubernetes := []Entry{binary(parts, partKubernetes, "/usr/local/bin/kubernetes")}
	for _, program := range programs {
		kubernetes = append(kubernetes, Entry{Path: "/usr/local/bin/" + program, Link: "kubernetes"})
	}
	layers := map[string]Layer{}
	for name, entries := range map[string][]Entry{
		"userland":       append(userland, accounts()...),
		"kubernetes":     kubernetes,
		"accounts":       accounts(),
		"etcd":           {binary(parts, partEtcd, "/usr/local/bin/etcd")},
		"coredns":        {binary(parts, partCoreDNS, "/coredns")},
		"provisioner":    {binary(parts, partProvisioner, "/usr/local/bin/local-path-provisioner")},
		"metrics-server": {binary(parts, partMetricsServer, "/metrics-server")},
		"pod-network":    {binary(parts, partPodNetwork, "/bin/kindnetd")},
		"pause":          {binary(parts, partPause, "/pause")},
	} {
		layer, err := packLayer(entries)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", name, err)
		}
		layers[name] = layer
	}
	image := func(name, user string, entrypoint string, layerNames ...string) Image {
		i := Image{Name: name, Config: Config{User: user, Env: environment, WorkingDir: "/"}}
		if entrypoint != "" {
			i.Config.Entrypoint = []string{entrypoint}
		}
		for _, layer := range layerNames {
			i.Layers = append(i.Layers, layers[layer])
		}
		return i
	}
	return []Image{
		image(names.APIServer, "", "", "userland", "kubernetes"),
		image(names.ControllerManager, "", "", "userland", "kubernetes"),
		image(names.Scheduler, "", "", "userland", "kubernetes"),
		image(names.Proxy, "", "", "userland", "kubernetes"),
		image(names.Etcd, "", "", "accounts", "etcd"),
		image(names.CoreDNS, "65532:65532", "/coredns", "accounts", "coredns"),
		image(names.Pause, "65535:65535", "/pause", "pause"),
		image(names.PodNetwork, "", "/bin/kindnetd", "userland", "pod-network"),
		image(names.StorageProvisioner, "", "/usr/local/bin/local-path-provisioner", "accounts", "provisioner"),
		image(names.StorageHelper, "", "", "userland"),
		image(names.MetricsServer, "65534", "/metrics-server", "accounts", "metrics-server"),
	}, nil
}

func binary(parts, part, path string) Entry {
	return Entry{Path: path, Source: filepath.Join(parts, part), Mode: 0o755}
}

// accounts are the users that images name, and a folder for temporary files.
func accounts() []Entry {
	return []Entry{
		{Path: "/etc/passwd", Mode: 0o644, Content: []byte("root:x:0:0:root:/root:/sbin/nologin\n" +
			"nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n")},
		{Path: "/etc/group", Mode: 0o644, Content: []byte("root:x:0:\nnogroup:x:65534:\nnonroot:x:65532:\n")},
		{Path: "/etc/nsswitch.conf", Mode: 0o644, Content: []byte("hosts: files dns\n")},
		{Path: "/tmp", Mode: 0o777 | fs.ModeSticky},
	}
}
