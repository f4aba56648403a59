package docker

import (
	"context"
	"slices"
	"strings"
)

// Info is what matters of an engine for running a cluster in it.
type Info struct {
	Version         string // of the engine: "20.10.24"
	OperatingSystem string // as the engine calls it: "Debian GNU/Linux 12 (bookworm)", "Docker Desktop"
	Kernel          string
	CgroupVersion   string // "1" or "2"
	CgroupDriver    string // "systemd" or "cgroupfs"
	Rootless        bool   // the engine runs without root
	UserNamespace   bool   // containers' root is another user on the host (userns-remap)
	ContainerdStore bool   // images are in containerd's store, not in the engine's classic one
	StorageDriver   string // "overlay2", "overlayfs"
	Root            string // the directory on the engine's host that holds everything
	Name            string // of the engine's host
	CPUs            int
	Memory          int64    // bytes that the engine's host (or virtual machine) has
	Warnings        []string // what the engine says is wrong with its host
}

// Info asks the engine about itself and its host.
func (e *Engine) Info(ctx context.Context) (Info, error) {
	i, err := e.api.Info(ctx)
	if err != nil {
		return Info{}, e.fault(ctx, "asking the Docker Engine about itself", err)
	}
	return Info{
		Version:         i.ServerVersion,
		OperatingSystem: i.OperatingSystem,
		Kernel:          i.KernelVersion,
		CgroupVersion:   i.CgroupVersion,
		CgroupDriver:    i.CgroupDriver,
		Rootless:        hasSecurityOption(i.SecurityOptions, "rootless"),
		UserNamespace:   hasSecurityOption(i.SecurityOptions, "userns"),
		ContainerdStore: slices.Contains(i.DriverStatus, [2]string{"driver-type", "io.containerd.snapshotter.v1"}),
		StorageDriver:   i.Driver,
		Root:            i.DockerRootDir,
		Name:            i.Name,
		CPUs:            i.NCPU,
		Memory:          i.MemTotal,
		Warnings:        i.Warnings,
	}, nil
}

// hasSecurityOption looks for an option among values such as "name=seccomp,profile=default".
func hasSecurityOption(options []string, name string) bool {
	return slices.ContainsFunc(options, func(o string) bool {
		return slices.Contains(strings.Split(o, ","), "name="+name)
	})
}
