package kind

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// Whatever of name, endpoint and UID does not match, every method refuses, says which it is, and does nothing.
func TestAnotherClusterIsRefused(t *testing.T) {
	rewrite := func(t *testing.T, path, old, now string) {
		t.Helper()
		data, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(data), old) {
			t.Fatalf("%s lacks %q: %v", path, old, err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(data), old, now)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name   string
		change func(t *testing.T, w *world, k *Clusters)
		says   []string
	}{
		{"deleted and made again under the same name", func(_ *testing.T, w *world, _ *Clusters) {
			w.each(func(n *node) { n.ID += "-other" })
			w.containers[0].Endpoint = "127.0.0.1:40007"
		}, []string{"its name matches", "devenv-x-control-plane is not the one", "https://127.0.0.1:40007", "https://127.0.0.1:40000"}},
		{"made again on the same port", func(_ *testing.T, w *world, _ *Clusters) {
			w.each(func(n *node) { n.ID += "-other" })
		}, []string{"its name matches", "is not the one that devenv created"}},
		{"another cluster in the same containers", func(_ *testing.T, w *world, _ *Clusters) {
			w.uids[testName] = "uid-2"
		}, []string{"name and API endpoint match", "its UID is uid-2", "uid-1"}},
		{"kubeconfig rewritten to another cluster", func(t *testing.T, _ *world, k *Clusters) {
			rewrite(t, k.Kubeconfig(), "127.0.0.1:40000", "127.0.0.1:40001")
		}, []string{"API endpoint does not match", "https://127.0.0.1:40001", "https://127.0.0.1:40000"}},
		{"identity of another environment", func(t *testing.T, _ *world, k *Clusters) {
			rewrite(t, k.identityFile(), testName, "devenv-y")
		}, []string{"name does not match", "devenv-y"}},
		{"identity with another UID", func(t *testing.T, _ *world, k *Clusters) {
			rewrite(t, k.identityFile(), "uid-1", "uid-7")
		}, []string{"UID"}},
		{"another authority", func(_ *testing.T, w *world, _ *Clusters) {
			w.refusal = x509.UnknownAuthorityError{}
		}, []string{"UID cannot be checked", "unknown authority"}},
		{"another authority for users", func(_ *testing.T, w *world, _ *Clusters) {
			w.refusal = &statusError{code: 401, text: "GET /api/v1/namespaces/kube-system: 401 Unauthorized"}
		}, []string{"UID cannot be checked", "401"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			k := w.clusters(t.TempDir(), testSpec(1))
			mustCreate(t, k)
			c := resolve(t, k)
			tt.change(t, w, k)
			before := w.names()
			w.calls = nil
			_, status := k.Status(t.Context())
			for name, err := range map[string]error{
				"status": status,
				"start":  k.Start(t.Context(), c, silent),
				"delete": k.Delete(t.Context()),
			} {
				requireKind(t, err, fault.Refused)
				for _, want := range tt.says {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%s: %q does not say %q", name, err, want)
					}
				}
			}
			if !slices.Equal(w.names(), before) {
				t.Errorf("%v are left of %v", w.names(), before)
			}
			for _, call := range w.calls {
				if !strings.HasPrefix(call, "docker ps ") && !strings.HasPrefix(call, "docker container inspect ") {
					t.Errorf("it ran %q", call)
				}
			}
		})
	}
}

// What cannot be asked does not keep anybody from deleting a cluster whose containers are ours.
func TestBrokenClusterIsDeletedByItsContainers(t *testing.T) {
	for name, change := range map[string]func(w *world, k *Clusters){
		"stopped":         func(w *world, _ *Clusters) { w.each(func(n *node) { n.State = "exited" }) },
		"deaf":            func(w *world, _ *Clusters) { w.deaf = true },
		"kubeconfig lost": func(_ *world, k *Clusters) { _ = os.Remove(k.Kubeconfig()) },
		"another port":    func(w *world, _ *Clusters) { w.containers[0].Endpoint = "127.0.0.1:40001" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			k := w.clusters(t.TempDir(), testSpec(0))
			mustCreate(t, k)
			change(w, k)
			if err := k.Delete(t.Context()); err != nil || len(w.names()) > 0 {
				t.Errorf("%v are left: %v", w.names(), err)
			}
		})
	}
}

func TestClusterThatSomebodyMakesMeanwhileIsLeftAlone(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	k := w.clusters(dir, testSpec(0))
	c := resolve(t, k)
	w.hook = func(call string) error {
		if strings.HasPrefix(call, "docker run ") { // the last thing before kind begins
			w.add(testName, "devenv-x-control-plane", 0)
		}
		return nil
	}
	requireKind(t, k.Create(t.Context(), c, silent), fault.Refused)
	if left := w.names(); len(left) != 1 {
		t.Errorf("%v are left", left)
	}
	if rest, _ := os.ReadDir(dir); len(rest) > 0 {
		t.Errorf("the state directory holds %v, and the next run would take the cluster for a leftover", rest)
	}
}

func TestNodesAreSpokenToByContainer(t *testing.T) {
	w := newWorld()
	k := w.clusters(t.TempDir(), testSpec(0))
	mustCreate(t, k)
	w.images["app:1"] = "sha256:5"
	ours := w.containers[0].ID
	w.calls = nil
	if _, err := k.NodeImages(t.Context(), []string{"devenv-x-control-plane"}, []string{"app:1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Deliver(t.Context(), plan.Image{Ref: "app:1"}, []string{"devenv-x-control-plane"}, silent); err != nil {
		t.Fatal(err)
	}
	if len(w.calls) != 4 {
		t.Fatalf("it ran %q", w.calls)
	}
	for _, call := range w.calls {
		if !strings.HasPrefix(call, "fetch ") && !strings.Contains(call, " "+ours+" ") {
			t.Errorf("it ran %q", call)
		}
	}
	_, err := k.Deliver(t.Context(), plan.Image{Ref: "app:1"}, []string{"devenv-y-control-plane"}, silent)
	requireKind(t, err, fault.Refused)
}

// Kind and the tools that it calls see nothing of what could lead them elsewhere.
func TestNothingInTheEnvironmentMisleadsKind(t *testing.T) {
	misleading := map[string]string{
		"KUBECONFIG": "/elsewhere/config", "KIND_CLUSTER_NAME": "other", "KIND_EXPERIMENTAL_PROVIDER": "podman",
		"KIND_EXPERIMENTAL_DOCKER_NETWORK": "other",
	}
	for name, value := range misleading {
		t.Setenv(name, value)
	}
	k := New(Options{Name: testName, StateDir: "/state", Engine: newWorld()})
	environ := k.docker.(client).environ
	want := map[string]string{
		"KUBECONFIG": filepath.Join("/state", "kubeconfig"), "KIND_CLUSTER_NAME": "", "KIND_EXPERIMENTAL_PROVIDER": "", "KIND_EXPERIMENTAL_DOCKER_NETWORK": "",
	}
	for name, value := range want {
		if !slices.Contains(environ, name+"="+value) {
			t.Errorf("docker commands get %q, not %s=%s", environ, name, value)
		}
	}
	if err := (library{environ: environ}).adopt(); err != nil {
		t.Fatal(err)
	}
	for name, value := range want {
		if got := os.Getenv(name); got != value {
			t.Errorf("kind sees %s=%q, want %q", name, got, value)
		}
	}
}
