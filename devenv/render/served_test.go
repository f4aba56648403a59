package render

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/devenv-run/devenv/devenv/fault"
)

// capable is a cluster that serves these kinds, each "group/version/Kind".
func capable(kinds ...string) Capabilities {
	return Capabilities{KubeVersion: "v1.36.3", APIVersions: kinds, Namespaced: func(group, kind string) (namespaced, known bool) {
		return true, slices.ContainsFunc(kinds, func(k string) bool {
			parts := strings.Split(k, "/")
			return parts[len(parts)-1] == kind && (len(parts) == 2 && group == "" || len(parts) == 3 && parts[0] == group)
		})
	}}
}

func TestKindsThatTheClusterDoesNotServe(t *testing.T) {
	cluster := capable("v1/ConfigMap", "apps/v1/Deployment", "networking.k8s.io/v1/Ingress", "v1/Namespace")
	tests := []struct{ name, manifest, what, next string }{
		{"served", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}", "", ""},
		{"no such kind", "{apiVersion: apps/v1, kind: Deploymnt, metadata: {name: a}}",
			"a.yaml:1: Deploymnt/app/a: Kubernetes v1.36.3 has no kind Deploymnt in apps/v1", "Correct its apiVersion and kind."},
		{"a version that is gone", "{apiVersion: apps/v1beta1, kind: Deployment, metadata: {name: a}}",
			"a.yaml:1: Deployment/app/a: Kubernetes v1.36.3 has no kind Deployment in apps/v1beta1", "The cluster serves Deployment as apps/v1."},
		{"a group that it left", "{apiVersion: extensions/v1beta1, kind: Ingress, metadata: {name: a}}",
			"a.yaml:1: Ingress/app/a: Kubernetes v1.36.3 has no kind Ingress in extensions/v1beta1", "The cluster serves Ingress as networking.k8s.io/v1."},
		{"what a controller may yet define", "{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}}", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(tt.manifest), 0o644); err != nil {
				t.Fatal(err)
			}
			in := Input{Dir: dir, Sources: []Source{{Name: "app", Namespace: "app", Manifests: []string{"a.yaml"}}}, Capabilities: cluster}
			_, err := Render(t.Context(), in)
			if tt.what == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			all := fault.All(err)
			if len(all) != 1 || fault.Of(err) != fault.Config || all[0].Error() != tt.what || all[0].(*fault.Error).Next != tt.next {
				t.Errorf("got %+v", all)
			}
			// Without a cluster nobody can tell.
			in.Capabilities = Capabilities{}
			if _, err := Render(t.Context(), in); err != nil {
				t.Error(err)
			}
		})
	}
}
