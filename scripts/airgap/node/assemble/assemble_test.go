package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

var testNames = Names{
	Version: "v1.2.3", APIServer: "r.io/kube-apiserver:v1.2.3", ControllerManager: "r.io/kube-controller-manager:v1.2.3",
	Scheduler: "r.io/kube-scheduler:v1.2.3", Proxy: "r.io/kube-proxy:v1.2.3", Etcd: "r.io/etcd:3", CoreDNS: "r.io/coredns/coredns:v1",
	Pause: "r.io/pause:3", PodNetwork: "docker.io/net:1", StorageProvisioner: "docker.io/store:1", StorageHelper: "docker.io/helper:1",
	MetricsServer: "r.io/metrics:1",
}

// partsFolder makes small parts.
func partsFolder(t *testing.T) string {
	t.Helper()
	parts := t.TempDir()
	for _, part := range []string{partKubernetes, partEtcd, partCoreDNS, partProvisioner, partMetricsServer, partPodNetwork, partPause, partUserland + "/usr/sbin/iptables"} {
		file := filepath.Join(parts, part)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("program "+part), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("usr/sbin", filepath.Join(parts, partUserland, "sbin")); err != nil {
		t.Fatal(err)
	}
	// The build script leaves links to where the parts are kept.
	real := filepath.Join(t.TempDir(), "userland")
	if err := errors.Join(os.Rename(filepath.Join(parts, partUserland), real), os.Symlink(real, filepath.Join(parts, partUserland))); err != nil {
		t.Fatal(err)
	}
	return parts
}

func TestServerArchive(t *testing.T) {
	output := filepath.Join(t.TempDir(), "server.tar.gz")
	if err := writeServerArchive(t.Context(), output, partsFolder(t), testNames); err != nil {
		t.Fatal(err)
	}
	packed, err := os.Open(output)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	plain, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	files, _ := untar(t, plain)
	if got := string(files["kubernetes/version"]); got != "v1.2.3" {
		t.Errorf("version is %q", got)
	}
	if got := string(files["kubernetes/server/bin/kubelet"]); !strings.Contains(got, "exec -a kubelet /usr/local/bin/kubernetes \"$@\"") {
		t.Errorf("kubelet is %q", got)
	}
	var names []string
	for _, program := range programs {
		names = append(names, checkLayout(t, files["kubernetes/server/bin/"+program+".tar"])...)
	}
	slices.Sort(names)
	want := testNames.all()
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("images are %v, want %v", names, want)
	}
	if writeServerArchive(cancelled(), output, partsFolder(t), testNames) == nil {
		t.Error("goes on after the end of its context")
	}
}

// checkLayout checks everything that an OCI layout promises, and returns the names of its images.
func checkLayout(t *testing.T, archive []byte) []string {
	t.Helper()
	files, order := untar(t, bytes.NewReader(archive))
	if order[0] != "repositories" {
		t.Errorf("first file is %s: kind takes the names from the first it knows", order[0])
	}
	var repositories map[string]map[string]string
	decodeJSON(t, files["repositories"], &repositories)
	blob := func(d descriptor) []byte {
		content, ok := files["blobs/"+strings.Replace(d.Digest, ":", "/", 1)]
		if !ok || digest(content) != d.Digest || int64(len(content)) != d.Size {
			t.Fatalf("blob %v is missing or not what its descriptor says", d)
		}
		return content
	}
	var index struct{ Manifests []descriptor }
	decodeJSON(t, files["index.json"], &index)
	var names []string
	for _, entry := range index.Manifests {
		name := entry.Annotations["io.containerd.image.name"]
		names = append(names, name)
		colon := strings.LastIndex(name, ":")
		if repositories[name[:colon]][name[colon+1:]] == "" {
			t.Errorf("%s is not in repositories, so kind would pull it", name)
		}
		var manifest struct {
			Config descriptor
			Layers []descriptor
		}
		decodeJSON(t, blob(entry), &manifest)
		var config struct {
			OS     string
			RootFS struct {
				DiffIDs []string `json:"diff_ids"`
			} `json:"rootfs"`
		}
		decodeJSON(t, blob(manifest.Config), &config)
		if config.OS != "linux" || len(config.RootFS.DiffIDs) != len(manifest.Layers) {
			t.Errorf("%s: configuration is %+v", name, config)
		}
		for i, layer := range manifest.Layers {
			decompressor, err := zstd.NewReader(bytes.NewReader(blob(layer)))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(decompressor)
			decompressor.Close()
			if err != nil || digest(plain) != config.RootFS.DiffIDs[i] {
				t.Errorf("%s: layer %d is not what the configuration says (%v)", name, i, err)
			}
		}
	}
	return names
}

func TestImagesOfTheControlPlaneShareTheirLayers(t *testing.T) {
	images, err := buildImages(partsFolder(t), testNames)
	if err != nil {
		t.Fatal(err)
	}
	layers := map[string]string{}
	for _, image := range images {
		var digests []string
		for _, layer := range image.Layers {
			digests = append(digests, layer.Digest)
		}
		layers[image.Name] = strings.Join(digests, " ")
	}
	for _, name := range []string{testNames.ControllerManager, testNames.Scheduler, testNames.Proxy} {
		if layers[name] != layers[testNames.APIServer] {
			t.Errorf("%s has layers of its own", name)
		}
	}
	for _, name := range []string{testNames.PodNetwork, testNames.StorageHelper} {
		if !strings.HasPrefix(layers[testNames.Proxy], strings.Fields(layers[name])[0]) {
			t.Errorf("%s does not begin with the layer of kube-proxy", name)
		}
	}
	if _, err := buildImages(t.TempDir(), testNames); err == nil {
		t.Error("without parts: no error")
	}
}

func TestTreeEntries(t *testing.T) {
	entries, err := treeEntries(filepath.Join(partsFolder(t), partUserland))
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, entry := range entries {
		paths = append(paths, entry.Path+">"+entry.Link)
	}
	if want := []string{"/sbin>usr/sbin", "/usr>", "/usr/sbin>", "/usr/sbin/iptables>"}; !slices.Equal(paths, want) {
		t.Errorf("got %v, want %v", paths, want)
	}
	if _, err := treeEntries(t.TempDir()); err == nil {
		t.Error("an empty folder: no error")
	}
}

func TestPackLayer(t *testing.T) {
	source := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(source, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	entries := []Entry{
		{Path: "/usr/bin/program", Source: source, Mode: 0o755},
		{Path: "/bin", Link: "usr/bin"},
		{Path: "/etc/empty", Content: []byte{}, Mode: 0o644},
		{Path: "/tmp", Mode: 0o777 | os.ModeSticky},
	}
	layer, err := packLayer(entries)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(entries)
	again, err := packLayer(entries)
	if err != nil {
		t.Fatal(err)
	}
	if layer.Digest != again.Digest {
		t.Error("the same entries give different bytes")
	}
	plain, err := zstd.NewReader(bytes.NewReader(layer.Blob))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	var lines []string
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%c %04o %s %s %d", header.Typeflag, header.Mode, header.Name, header.Linkname, header.Size))
	}
	want := []string{
		"2 0777 bin usr/bin 0", "5 0755 etc/  0", "0 0644 etc/empty  0", "5 1777 tmp/  0", "5 0755 usr/  0", "5 0755 usr/bin/  0",
		"0 0755 usr/bin/program  7",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if _, err := packLayer([]Entry{{Path: "/x", Source: "/nowhere"}}); err == nil || !strings.Contains(err.Error(), "/x") {
		t.Errorf("a missing source: error %v", err)
	}
}

func TestReadNames(t *testing.T) {
	const list = "registry.k8s.io/kube-apiserver:v1.2.3\nregistry.k8s.io/kube-controller-manager:v1.2.3\nregistry.k8s.io/kube-scheduler:v1.2.3\n" +
		"registry.k8s.io/kube-proxy:v1.2.3\nregistry.k8s.io/coredns/coredns:v1.14.2\nregistry.k8s.io/pause:3.10.2\nregistry.k8s.io/etcd:3.6.8-0\n"
	folder := t.TempDir()
	kubeadm := filepath.Join(folder, "kubeadm")
	script := "#!/bin/sh\nif [ $1 = version ]; then echo v1.2.3; else printf '" + strings.ReplaceAll(list, "\n", `\n`) + "'; fi\n"
	files := map[string]string{
		"pkg/build/nodeimage/const_cni.go":             "package nodeimage\n\nconst kindnetdImage = \"docker.io/kindest/kindnetd:v1\"\n",
		"pkg/build/nodeimage/const_storage.go":         "const storageProvisionerImage = \"docker.io/store:v1\"\nconst storageHelperImage = \"docker.io/helper:v1\"\n",
		"images/base/files/etc/containerd/config.toml": "[plugins]\n  # fixed\n  sandbox_image = \"registry.k8s.io/pause:3.10\"\n",
	}
	write := func(name, text string, mode os.FileMode) {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write(kubeadm, script, 0o755)
	for name, text := range files {
		write(filepath.Join(folder, name), text, 0o644)
	}
	names, err := readNames(t.Context(), folder, kubeadm)
	if err != nil {
		t.Fatal(err)
	}
	want := "registry.k8s.io/kube-apiserver:v1.2.3 registry.k8s.io/kube-controller-manager:v1.2.3 registry.k8s.io/kube-scheduler:v1.2.3 " +
		"registry.k8s.io/kube-proxy:v1.2.3 registry.k8s.io/etcd:3.6.8-0 registry.k8s.io/coredns/coredns:v1.14.2 registry.k8s.io/pause:3.10 " +
		"docker.io/kindest/kindnetd:v1 docker.io/store:v1 docker.io/helper:v1 " + metricsServer
	if got := strings.Join(names.all(), " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	write(filepath.Join(folder, "pkg/build/nodeimage/const_cni.go"), "package nodeimage\n", 0o644)
	if _, err := readNames(t.Context(), folder, kubeadm); err == nil || !strings.Contains(err.Error(), "const_cni.go") {
		t.Errorf("another kind: error %v", err)
	}
	if err := (&Names{}).fromKubeadm("registry.k8s.io/etcd:3"); err == nil {
		t.Error("an incomplete list: no error")
	}
}

func TestRunRefuses(t *testing.T) {
	for _, line := range []string{"", "bake", "names -no-such-flag"} {
		if err := run(t.Context(), strings.Fields(line), io.Discard); err == nil {
			t.Errorf("%q: no error", line)
		}
	}
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// untar returns the files of an archive, and their names in its order.
func untar(t *testing.T, from io.Reader) (map[string][]byte, []string) {
	t.Helper()
	files := map[string][]byte{}
	var order []string
	for archive := tar.NewReader(from); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, order
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := files[header.Name]; twice {
			t.Errorf("%s is there twice", header.Name)
		}
		if files[header.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
		order = append(order, header.Name)
	}
}

func decodeJSON(t *testing.T, text []byte, to any) {
	t.Helper()
	if err := json.Unmarshal(text, to); err != nil {
		t.Fatal(err)
	}
}
