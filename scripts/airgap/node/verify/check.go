package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	kindexec "sigs.k8s.io/kind/pkg/exec"
)

//go:embed workload.yaml
var workloadYAML string

//go:embed metrics.yaml
var metricsYAML string

// checks run in this order; later ones use what earlier ones set up.
var checks = []struct {
	name string
	run  func(context.Context, *cluster) error
}{
	{"pods of the system are ready", systemReady},
	{"an image is loaded into every node", loadWorkload},
	{"workloads start on every node", startWorkloads},
	{"pods reach pods of all nodes", podsReachPods},
	{"pods reach a Service by its name", podsReachService},
	{"ports of nodes lead to pods", portsOfNodes},
	{"names of the cluster resolve", namesResolve},
	{"a volume outlives its pod", volumeOutlivesPod},
	{"logs, exec and port-forward", streaming},
	{"metrics of nodes and pods", metrics},
	{"a restarted node comes back", nodeRestart},
	{"a stopped cluster comes back", clusterRestart},
}

func systemReady(ctx context.Context, c *cluster) error {
	for _, namespace := range []string{"kube-system", "local-path-storage"} {
		if out, err := c.kubectl("", "wait", "pods", "--all", "-n", namespace, "--for=condition=Ready", "--timeout=120s"); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
	}
	return nil
}

func startWorkloads(ctx context.Context, c *cluster) error {
	// The default service account is made soon after the cluster, but after.
	if err := eventually(ctx, time.Minute, func() error { _, err := c.kubectl("", "get", "serviceaccount", "default"); return err }); err != nil {
		return err
	}
	if _, err := c.kubectl(workloadYAML, "apply", "-f", "-"); err != nil {
		return err
	}
	if _, err := c.kubectl("", "rollout", "status", "daemonset/workload", "--timeout=120s"); err != nil {
		return err
	}
	_, err := c.kubectl("", "rollout", "status", "statefulset/keeper", "--timeout=120s")
	return err
}

// pod is a pod of the workload.
type pod struct{ name, ip, hostIP string }

func (c *cluster) pods() ([]pod, error) {
	text, err := c.kubectl("", "get", "pods", "-l", "app=workload", "-o", "json")
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
			Status   struct{ PodIP, HostIP string }
		}
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, err
	}
	var pods []pod
	for _, item := range list.Items {
		pods = append(pods, pod{item.Metadata.Name, item.Status.PodIP, item.Status.HostIP})
	}
	if len(pods) != len(c.nodes) {
		return nil, fmt.Errorf("%d pods on %d nodes", len(pods), len(c.nodes))
	}
	return pods, nil
}

// ask sends a request to a pod, from the control plane's node.
func (c *cluster) ask(address, path string, query url.Values) (string, error) {
	return run(c.controller.Command("curl", "-sS", "--fail-with-body", "--max-time", "10", "http://"+address+path+"?"+query.Encode()))
}

// fetch makes a pod ask another address.
func (c *cluster) fetch(from pod, to string) (string, error) {
	return c.ask(from.ip+":8080", "/fetch", url.Values{"url": {"http://" + to + "/whoami"}})
}

func podsReachPods(_ context.Context, c *cluster) error {
	pods, err := c.pods()
	if err != nil {
		return err
	}
	for _, from := range pods {
		for _, to := range pods {
			answer, err := c.fetch(from, to.ip+":8080")
			if err != nil {
				return fmt.Errorf("from %s to %s: %w", from.name, to.name, err)
			}
			if want := to.name + " " + from.ip; answer != want {
				return fmt.Errorf("from %s to %s: answer is %q, want %q: pods must see each other's own address", from.name, to.name, answer, want)
			}
		}
	}
	return nil
}

func podsReachService(ctx context.Context, c *cluster) error {
	pods, err := c.pods()
	if err != nil {
		return err
	}
	for _, from := range pods {
		seen := map[string]bool{}
		err := eventually(ctx, 30*time.Second, func() error {
			answer, err := c.fetch(from, "workload.default.svc.cluster.local")
			if err != nil {
				return err
			}
			seen[strings.Fields(answer)[0]] = true
			if len(seen) < len(pods) {
				return fmt.Errorf("only %d of %d pods answered", len(seen), len(pods))
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("from %s: %w", from.name, err)
		}
	}
	return nil
}

func portsOfNodes(_ context.Context, c *cluster) error {
	pods, err := c.pods()
	if err != nil {
		return err
	}
	for _, p := range pods {
		answer, err := c.ask(p.hostIP+":18080", "/whoami", nil)
		if err != nil {
			return fmt.Errorf("host port of %s: %w", p.hostIP, err)
		}
		if !strings.HasPrefix(answer, p.name+" ") {
			return fmt.Errorf("host port of %s: answer is %q, want that of %s", p.hostIP, answer, p.name)
		}
		if _, err := c.ask(p.hostIP+":30080", "/whoami", nil); err != nil {
			return fmt.Errorf("node port of %s: %w", p.hostIP, err)
		}
	}
	return nil
}

func namesResolve(_ context.Context, c *cluster) error {
	pods, err := c.pods()
	if err != nil {
		return err
	}
	for _, p := range pods {
		for _, name := range []string{"kubernetes", "workload.default", "workload.default.svc.cluster.local"} {
			if answer, err := c.ask(p.ip+":8080", "/lookup", url.Values{"name": {name}}); err != nil || answer == "" {
				return fmt.Errorf("%s in %s: %q, %v", name, p.name, answer, err)
			}
		}
	}
	return nil
}

func volumeOutlivesPod(ctx context.Context, c *cluster) error {
	address := func() (string, error) {
		ip, err := c.kubectl("", "get", "pod", "keeper-0", "-o", "jsonpath={.status.podIP}")
		return ip + ":8080", err
	}
	before, err := address()
	if err != nil {
		return err
	}
	if _, err := c.ask(before, "/write", url.Values{"text": {"kept"}}); err != nil {
		return err
	}
	if _, err := c.kubectl("", "delete", "pod", "keeper-0", "--wait=true"); err != nil {
		return err
	}
	if _, err := c.kubectl("", "rollout", "status", "statefulset/keeper", "--timeout=120s"); err != nil {
		return err
	}
	return eventually(ctx, 30*time.Second, func() error {
		after, err := address()
		if err != nil {
			return err
		}
		answer, err := c.ask(after, "/read", nil)
		if err == nil && answer != "kept" {
			err = fmt.Errorf("volume holds %q", answer)
		}
		return err
	})
}

func streaming(ctx context.Context, c *cluster) error {
	if out, err := c.kubectl("", "logs", "keeper-0"); err != nil || !strings.Contains(out, "serving") {
		return fmt.Errorf("logs: %q, %v", out, err)
	}
	if out, err := c.kubectl("", "exec", "keeper-0", "--", "/workload", "hello", "there"); err != nil || out != "hello there" {
		return fmt.Errorf("exec: %q, %v", out, err)
	}
	script := `kubectl --kubeconfig=/etc/kubernetes/admin.conf port-forward pod/keeper-0 28080:8080 >/dev/null 2>&1 & pid=$!
		for i in $(seq 50); do curl -sf http://127.0.0.1:28080/whoami && break; sleep 0.2; done; kill $pid`
	if out, err := run(c.controller.Command("bash", "-c", script)); err != nil || !strings.HasPrefix(out, "keeper-0 ") {
		return fmt.Errorf("port-forward: %q, %v", out, err)
	}
	return nil
}

func metrics(ctx context.Context, c *cluster) error {
	if _, err := c.kubectl(metricsYAML, "apply", "-f", "-"); err != nil {
		return err
	}
	if out, err := c.kubectl("", "rollout", "status", "-n", "kube-system", "deployment/metrics-server", "--timeout=180s"); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return eventually(ctx, 2*time.Minute, func() error {
		out, err := c.kubectl("", "top", "nodes", "--no-headers")
		if err != nil {
			return err
		}
		if got := len(strings.Split(out, "\n")); got != len(c.nodes) || strings.Contains(out, "<unknown>") {
			return fmt.Errorf("metrics of %d of %d nodes:\n%s", got, len(c.nodes), out)
		}
		out, err = c.kubectl("", "top", "pod", "keeper-0", "--no-headers")
		if err == nil && !strings.HasPrefix(out, "keeper-0 ") {
			err = fmt.Errorf("metrics of the pod: %q", out)
		}
		return err
	})
}

// nodeRestart restarts the last worker.
func nodeRestart(ctx context.Context, c *cluster) error {
	last := c.nodes[len(c.nodes)-1]
	for _, node := range c.nodes {
		if node.String() != c.controller.String() {
			last = node
		}
	}
	if err := kindexec.Command("docker", "restart", last.String()).Run(); err != nil {
		return err
	}
	return comesBack(ctx, c)
}

// clusterRestart stops all the nodes and starts them the other way round, so that they get each other's addresses.
func clusterRestart(ctx context.Context, c *cluster) error {
	var names []string
	for _, node := range c.nodes {
		names = append(names, node.String())
	}
	if err := kindexec.Command("docker", append([]string{"stop", "--time=30"}, names...)...).Run(); err != nil {
		return err
	}
	slices.Reverse(names)
	if err := kindexec.Command("docker", append([]string{"start"}, names...)...).Run(); err != nil {
		return err
	}
	return comesBack(ctx, c)
}

// comesBack waits until all the nodes and pods work again, and what a volume held is there.
func comesBack(ctx context.Context, c *cluster) error {
	return eventually(ctx, 3*time.Minute, func() error {
		for _, wait := range [][]string{
			{"wait", "node", "--all", "--for=condition=Ready", "--timeout=5s"},
			{"rollout", "status", "daemonset/workload", "--timeout=5s"},
			{"rollout", "status", "statefulset/keeper", "--timeout=5s"},
		} {
			if _, err := c.kubectl("", wait...); err != nil {
				return err
			}
		}
		ip, err := c.kubectl("", "get", "pod", "keeper-0", "-o", "jsonpath={.status.podIP}")
		if err != nil {
			return err
		}
		if answer, err := c.ask(ip+":8080", "/read", nil); err != nil || answer != "kept" {
			return fmt.Errorf("volume: %q, %v", answer, err)
		}
		return podsReachPods(ctx, c)
	})
}

// run runs a command in a node and returns what it printed; its error carries that too.
func run(command kindexec.Cmd) (string, error) {
	var out, complaint bytes.Buffer
	err := command.SetStdout(&out).SetStderr(&complaint).Run()
	text := strings.TrimSpace(out.String())
	if err != nil {
		err = fmt.Errorf("%s%s", text, strings.TrimSpace(complaint.String()))
	}
	return text, err
}

// eventually tries until it works, and returns the last error when the time is over.
func eventually(ctx context.Context, limit time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(500 * time.Millisecond):
		}
	}
}
