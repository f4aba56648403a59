package kind

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"github.com/devenv-run/devenv/devenv/fault"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (-update writes it):\n%s", path, got)
	}
}

func TestConfiguration(t *testing.T) {
	tests := []struct {
		name       string
		spec       Spec
		kubernetes string
		host       host
	}{
		{name: "one node", kubernetes: "v1.37.0"},
		{name: "three nodes", spec: Spec{Workers: 2}},
		{name: "poor host", spec: Spec{Workers: 1}, kubernetes: "v1.36.3", host: host{cgroupV1: true, noSysResource: true}},
		{name: "old kubelet", kubernetes: "v1.30.8", host: host{cgroupV1: true}},
		{name: "mirrors", spec: Spec{RegistryMirrors: map[string][]string{"docker.io": {"https://mirror.example.com"}}}},
		{name: "two control planes", spec: Spec{KindConfig: "testdata/two.yaml"}},
		{name: "own configuration", spec: Spec{Workers: 2, KindConfig: "testdata/kind.yaml"}, host: host{cgroupV1: true, noSysResource: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := tt.spec.load()
			if err != nil {
				t.Fatal(err)
			}
			k := New(Options{Name: testName, Project: "/project", Engine: newWorld()})
			c := k.configure(l, testImage, tt.kubernetes, tt.host)
			out, err := yaml.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			names := "# nodes: " + strings.Join(namesOf(c), " ") + "\n"
			golden(t, strings.ReplaceAll(tt.name, " ", "-")+".golden.yaml", names+string(out))

			var again v1alpha4.Cluster
			if err := yaml.Unmarshal(out, &again); err != nil {
				t.Errorf("kind cannot read it: %v", err)
			}
		})
	}
}

func TestNodeNamesAreKinds(t *testing.T) {
	c := &v1alpha4.Cluster{Name: "c", Nodes: []v1alpha4.Node{
		{Role: v1alpha4.WorkerRole}, {Role: v1alpha4.ControlPlaneRole}, {Role: v1alpha4.WorkerRole}, {Role: v1alpha4.ControlPlaneRole},
	}}
	if got, want := namesOf(c), []string{"c-control-plane", "c-control-plane2", "c-worker", "c-worker2"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestKindConfigErrorsSayWhere(t *testing.T) {
	const head = "apiVersion: kind.x-k8s.io/v1alpha4\nkind: Cluster\n"
	tests := []struct {
		name, text, where, says string
	}{
		{"unknown key", head + "nodes:\n- role: worker\n  extraPorts: []\n", ":5", "extraPorts"},
		{"wrong type", head + "nodes: 3\n", ":3", "cannot unmarshal"},
		{"not YAML", head + "nodes: [\n", ":3", "did not find"},
		{"no version", "kind: Cluster\n", "", "apiVersion"},
		{"other kind", "apiVersion: kind.x-k8s.io/v1alpha4\nkind: Pod\n", "", "Pod"},
		{"unknown role", head + "nodes:\n- role: boss\n", "", "boss"},
		{"two images", head + "nodes:\n- image: a\n- image: b\n", "", "different images"},
		{"empty", "", "", "apiVersion"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kind.yaml")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Spec{KindConfig: path}.load()
			requireKind(t, err, fault.Config)
			if f := (*fault.Error)(nil); !errors.As(err, &f) || f.Where != path+tt.where || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestSpecErrorsComeAllAtOnce(t *testing.T) {
	dir := t.TempDir()
	empty, key := filepath.Join(dir, "empty.pem"), filepath.Join(dir, "key.pem")
	for path, text := range map[string]string{empty: "", key: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Spec{
		CACertificates:  []string{empty, key, filepath.Join(dir, "absent.pem")},
		RegistryMirrors: map[string][]string{"docker.io": {"mirror.example.com", "https://ok.example.com"}},
		KindConfig:      filepath.Join(dir, "absent.yaml"),
	}.load()
	requireKind(t, err, fault.Config)
	if got := len(fault.All(err)); got != 5 {
		t.Errorf("%d errors, want 5: %v", got, err)
	}
}

func TestOlderThan(t *testing.T) {
	for version, want := range map[string]bool{"v1.30.8": true, "v1.31.0": false, "v1.37.0": false, "v0.99.0": true, "v2.0.0": false, "": false, "main": false, "v1": false} {
		if got := olderThan(version, 1, 31); got != want {
			t.Errorf("olderThan(%q, 1, 31) = %v", version, got)
		}
	}
}

func TestParseProbe(t *testing.T) {
	tests := []struct {
		name, out string
		want      probed
	}{
		{"usual", "CapBnd:\t000001ffffffffff\ncgroup cgroup2fs\nkubernetes v1.37.0\n", probed{kubernetes: "v1.37.0"}},
		{"poor", "CapBnd:\t000001fffeffffff\ncgroup tmpfs\nkubernetes v1.36.3\n", probed{host{cgroupV1: true, noSysResource: true}, "v1.36.3"}},
		{"no node image", "CapBnd:\t000001ffffffffff\ncgroup cgroup2fs\nkubernetes \n", probed{}},
		{"silent", "", probed{}},
		{"garbled", "CapBnd:\tx\ncgroups\n", probed{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseProbe(tt.out); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestNodeFiles(t *testing.T) {
	files := nodeFiles(&loaded{
		Spec: Spec{RegistryMirrors: map[string][]string{
			"docker.io": {"https://mirror.example.com/", "http://127.0.0.1:5000/v2/hub"},
			"*":         {"https://all.example.com"},
		}},
		certificates: [][]byte{[]byte("PEM")},
	})
	var b strings.Builder
	for _, name := range []string{"/etc/containerd/certs.d/_default/hosts.toml", "/etc/containerd/certs.d/docker.io/hosts.toml", "/usr/local/share/ca-certificates/devenv-1.crt"} {
		b.WriteString("== " + name + "\n" + string(files[name]) + "\n")
	}
	if len(files) != 3 {
		t.Errorf("%d files, want 3", len(files))
	}
	golden(t, "node-files.golden", b.String())
}

func TestTagVersion(t *testing.T) {
	for ref, want := range map[string]string{
		"kindest/node:v1.37.0@sha256:abc": "v1.37.0", "devenv/node:v1.36.3": "v1.36.3", "example.com:5000/node": "", "node:latest": "", "n:v1.36.3-mine": "v1.36.3",
	} {
		if got := tagVersion(ref); got != want {
			t.Errorf("tagVersion(%q) = %q, want %q", ref, got, want)
		}
	}
}
