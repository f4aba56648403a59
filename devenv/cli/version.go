package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/devenv-run/devenv/devenv/event"
)

// version is what the binary knows of itself: the Go toolchain records modules and, in a checkout, the commit.
func version() event.Version {
	v := event.Version{Version: "unknown", Commit: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Commit = s.Value
		}
	}
	for _, m := range info.Deps {
		switch m.Path {
		case "sigs.k8s.io/kind":
			v.Kind = m.Version
		case "helm.sh/helm/v4":
			v.Helm = m.Version
		case "k8s.io/client-go":
			v.Kubernetes = m.Version
		}
	}
	return v
}
