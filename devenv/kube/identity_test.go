package kube

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// Nothing that changes something reaches a cluster with another UID, or one that was opened without any.
func TestNothingIsChangedInAnotherCluster(t *testing.T) {
	settings := declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: academy}}")
	for name, uid := range map[string]string{"another UID": "uid-of-another", "no UID": ""} {
		t.Run(name, func(t *testing.T) {
			s, known := serve(t)
			if err := known.ledger.update(t.Context(), func(v inventory) { v.Objects[settings.ID] = entry{Source: "s", Hash: "h"} }); err != nil {
				t.Fatal(err)
			}
			serveSettings(s)
			var changes atomic.Int64
			s.before = func(r *http.Request) *metav1.Status {
				if r.Method != http.MethodGet {
					changes.Add(1)
				}
				return nil
			}
			c := s.open(Options{Environment: "test", UID: uid})
			_, applied := c.Apply(t.Context(), "s", settings)
			_, _, down := c.DeleteAll(t.Context(), DownOptions{Data: true}, func(string) {})
			for what, err := range map[string]error{
				"apply":         applied,
				"run":           c.Run(t.Context(), "s", plan.Hook{Object: settings}, func(string) {}),
				"delete":        c.Delete(t.Context(), "s", settings.ID, false, func(string) {}),
				"delete all":    down,
				"mark deployed": c.MarkDeployed(t.Context(), "s"),
			} {
				if fault.Of(err) != fault.Refused {
					t.Errorf("%s: %v, want a refusal", what, err)
				}
			}
			if n := changes.Load(); n != 0 {
				t.Errorf("%d changing requests were sent", n)
			}
		})
	}
}

func TestWhatIsObservedOfAnotherClusterIsRefused(t *testing.T) {
	s, _ := serve(t)
	serveSettings(s)
	c := s.open(Options{Environment: "test", UID: "uid-of-another"})
	_, err := c.Observe(t.Context(), nil)
	if fault.Of(err) != fault.Refused || !strings.Contains(err.Error(), "uid-of-another") || !strings.Contains(err.Error(), serverUID) {
		t.Errorf("got %v", err)
	}
}

func TestTheUIDIsAskedForOnce(t *testing.T) {
	s, c := serve(t)
	var asked atomic.Int64
	s.before = func(r *http.Request) *metav1.Status {
		if r.URL.Path == "/api/v1/namespaces/kube-system" {
			asked.Add(1)
		}
		return nil
	}
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			if err := c.ledger.update(t.Context(), func(v inventory) { v.Objects[named(i)] = entry{} }); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestAServerOfAnotherAuthorityIsRefused(t *testing.T) {
	other := httptest.NewTLSServer(http.NotFoundHandler())
	defer other.Close()
	c, err := open(&rest.Config{Host: other.URL, QPS: -1}, Options{Environment: "test", UID: "u"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Verify(t.Context()); fault.Of(err) != fault.Refused {
		t.Errorf("got %v", err)
	}
}

// The kubeconfig that is named leads to the cluster, whatever the environment says.
func TestNothingInTheEnvironmentMisleads(t *testing.T) {
	s, _ := serve(t)
	wrong := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s went elsewhere", r.Method, r.URL)
	}))
	defer wrong.Close()
	dir := t.TempDir()
	write := func(name, server string) string {
		config := clientcmdapi.NewConfig()
		config.Clusters["c"] = &clientcmdapi.Cluster{Server: server}
		config.AuthInfos["u"] = &clientcmdapi.AuthInfo{}
		config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
		config.CurrentContext = "x"
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := clientcmd.WriteToFile(*config, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ours := write("ours", s.url)
	elsewhere := write(".kube/config", wrong.URL)
	host, port, _ := strings.Cut(strings.TrimPrefix(wrong.URL, "http://"), ":")
	for name, value := range map[string]string{
		"KUBECONFIG": elsewhere, "HOME": dir, "KUBERNETES_MASTER": wrong.URL, "KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port,
		"HTTP_PROXY": wrong.URL, "HTTPS_PROXY": wrong.URL, "ALL_PROXY": wrong.URL, "NO_PROXY": "", "HELM_KUBEAPISERVER": wrong.URL,
	} {
		t.Setenv(name, value)
	}
	c, err := Open(t.Context(), Options{Kubeconfig: ours, Environment: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.config.Proxy == nil {
		t.Error("proxies of the environment are not ruled out")
	}
	if uid, err := c.UID(t.Context()); err != nil || uid != serverUID {
		t.Errorf("got %q, %v", uid, err)
	}
}

// serveSettings has the server say that it serves ConfigMaps.
func serveSettings(s *server) {
	s.put("/api", map[string]any{"kind": "APIVersions", "versions": []any{"v1"}, "metadata": map[string]any{}})
	s.put("/apis", map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{}, "metadata": map[string]any{}})
	s.put("/api/v1", map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1", "metadata": map[string]any{}, "resources": []any{
		map[string]any{"name": "configmaps", "kind": "ConfigMap", "namespaced": true, "verbs": []any{"create", "delete", "get", "list", "patch", "update", "watch"}},
	}})
}
