package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"runtime"
)

// nodePrograms are the programs of Kubernetes that the node itself runs. kind copies each into the image; as the base
// image holds the binary, what it copies is a call by the right name.
var nodePrograms = []string{"kubeadm", "kubelet", "kubectl"}

// writeServerArchive writes what a Kubernetes release calls kubernetes-server-linux-<architecture>.tar.gz, as far as kind
// reads it. kube-apiserver.tar carries, besides its own image, all those that are in no archive of a release and that
// kind would pull.
func writeServerArchive(ctx context.Context, output, parts string, names Names) (err error) {
	images, err := buildImages(parts, names)
	if err != nil {
		return err
	}
	byName := map[string]Image{}
	var rest []Image
	own := map[string]string{
		names.ControllerManager: "kube-controller-manager", names.Scheduler: "kube-scheduler", names.Proxy: "kube-proxy",
	}
	for _, image := range images {
		byName[image.Name] = image
		if own[image.Name] == "" {
			rest = append(rest, image)
		}
	}
	file, err := os.Create(output)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := file.Close(); err == nil {
			err = closeErr
		}
	}()
	compressor, err := gzip.NewWriterLevel(file, gzip.BestSpeed) // the blobs are compressed already
	if err != nil {
		return err
	}
	archive := tar.NewWriter(compressor)
	if err := writeFile(archive, "kubernetes/version", 0o644, []byte(names.Version)); err != nil {
		return err
	}
	for _, program := range nodePrograms {
		script := fmt.Sprintf("#!/bin/bash\nexec -a %s /usr/local/bin/kubernetes \"$@\"\n", program)
		if err := writeFile(archive, "kubernetes/server/bin/"+program, 0o755, []byte(script)); err != nil {
			return err
		}
	}
	archives := map[string][]Image{"kube-apiserver": rest}
	for name, program := range own {
		archives[program] = []Image{byName[name]}
	}
	for _, program := range programs {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var packed bytes.Buffer
		if err := writeArchive(&packed, runtime.GOARCH, archives[program]); err != nil {
			return fmt.Errorf("%s: %w", program, err)
		}
		if err := writeFile(archive, "kubernetes/server/bin/"+program+".tar", 0o644, packed.Bytes()); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return compressor.Close()
}
