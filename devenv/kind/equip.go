package kind

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
)

// Where nodes keep what equip brings.
const (
	mirrorDir = "/etc/containerd/certs.d"
	trustDir  = "/usr/local/share/ca-certificates"
)

// equip gives nodes the registry mirrors and certificates of the Spec, all nodes at once. Mirrors are read at every pull. Certificates
// need a new start of containerd, which reads the trusted ones once; pods do not notice. Both survive a restart of the node.
func (k *Clusters) equip(ctx context.Context, all []container, l *loaded, r engine.Report) error {
	files := nodeFiles(l)
	if len(files) == 0 {
		return nil
	}
	r("configuring registries and certificates in the nodes")
	archive := pack(files)
	script := "tar --extract --no-same-owner --directory=/"
	if len(l.certificates) > 0 {
		script += " && update-ca-certificates && systemctl restart containerd"
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range all {
		if !c.isNode() {
			continue
		}
		group.Go(func() error {
			_, err := k.docker.run(ctx, bytes.NewReader(archive), "exec", "--interactive", c.ID, "/bin/sh", "-c", script)
			if err != nil && ctx.Err() == nil && !isFault(err) {
				return &fault.Error{
					Kind: fault.Machine, What: "configuring registries and certificates in " + c.Name, Err: err,
					Next: "Check cluster.registryMirrors and cluster.caCertificates in devenv.yaml.",
				}
			}
			return err
		})
	}
	return group.Wait()
}

// nodeFiles are the files that nodes get, by path.
func nodeFiles(l *loaded) map[string][]byte {
	files := map[string][]byte{}
	for registry, mirrors := range l.RegistryMirrors {
		if registry == "*" {
			registry = "_default"
		}
		files[path.Join(mirrorDir, registry, "hosts.toml")] = []byte(hostsFile(mirrors))
	}
	for i, certificate := range l.certificates {
		files[fmt.Sprintf("%s/devenv-%d.crt", trustDir, i+1)] = certificate
	}
	return files
}

// hostsFile tells containerd which hosts to ask before the registry itself, in order.
func hostsFile(mirrors []string) string {
	var b strings.Builder
	for _, mirror := range mirrors {
		fmt.Fprintf(&b, "[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", strings.TrimSuffix(mirror, "/"))
		if u, err := url.Parse(mirror); err == nil && strings.Contains(u.Path+"/", "/v2/") {
			// The path is that of the registry's API; without this containerd would append /v2 to it.
			b.WriteString("  override_path = true\n")
		}
	}
	return b.String()
}

// pack makes a tar archive of files with absolute paths.
func pack(files map[string][]byte) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		// Writing to memory fails only for a header that cannot be encoded, and these can.
		_ = w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(name, "/"), Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg})
		_, _ = w.Write(files[name])
	}
	_ = w.Close()
	return b.Bytes()
}
