package kind_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/kind"
	"github.com/devenv-run/devenv/templates"
)

// TestRealMetricsServer applies the add-on and waits for what an autoscaler asks for: the usage of a pod on each node.
func TestRealMetricsServer(t *testing.T) {
	r := newReal(t, kind.Spec{Workers: 1})
	r.create(t)
	if err := r.AwaitNames(t.Context(), progress(t)); err != nil {
		t.Fatal(err)
	}
	manifest, err := templates.Addon("metrics-server")
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	cmd := exec.CommandContext(t.Context(), "docker", "exec", "--interactive", r.Name+"-control-plane",
		"kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "apply", "--server-side", "--filename=-")
	cmd.Stdin = strings.NewReader(string(manifest))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, what := range []string{"deployment/metrics-server", "apiservice/v1beta1.metrics.k8s.io"} {
		if out, err := r.kubectl(t.Context(), "wait", what, "--namespace=kube-system", "--for=condition=Available", "--timeout=90s", "--request-timeout=100s"); err != nil {
			state, _ := r.kubectl(t.Context(), "describe", "pod", "--namespace=kube-system", "--selector=k8s-app=metrics-server")
			logs, _ := r.kubectl(t.Context(), "logs", "--namespace=kube-system", "deployment/metrics-server")
			t.Fatal(err, out, state, logs)
		}
		t.Logf("%s is available after %s", what, time.Since(begin).Round(100*time.Millisecond))
	}
	eventually(t, "usage of the pods of both nodes", 90*time.Second, func() bool {
		out, err := r.kubectl(t.Context(), "get", "--raw", "/apis/metrics.k8s.io/v1beta1/namespaces/kube-system/pods")
		return err == nil && strings.Count(out, `"name":"kube-proxy-`) == 2
	})
	t.Logf("usage is known after %s", time.Since(begin).Round(100*time.Millisecond))
}
