package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
)

// answering is a server that answers with the version that its image has in its environment, and one that says why it ends for the version crash.
const answering = `
use IO::Socket::INET;
if ($ENV{VERSION} eq "crash") { print STDERR "cannot find the database\n"; exit 3 }
$SIG{TERM} = sub { exit 0 };
my $s = IO::Socket::INET->new(LocalPort => 8080, Listen => 64, ReuseAddr => 1) or die $!;
while (1) { my $c = $s->accept or next; sysread $c, my $request, 4096; print $c "HTTP/1.0 200 OK\r\n\r\n$ENV{VERSION}"; close $c }
`

const served = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: NS}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: main
        image: IMAGE
        imagePullPolicy: IfNotPresent
        command: [/usr/bin/perl, -e, SCRIPT]
        PROBE
---
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: NS}
spec: {selector: {app: NAME}, ports: [{port: 8080}]}
`

const probe = "readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}"

// servedBy deploys a server and waits until it is ready. It returns the Services that know its images.
func servedBy(t *testing.T, c *Cluster, ns, name string, replicas int, image, probe string) Services {
	t.Helper()
	script, err := json.Marshal(answering)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("NAME", name, "NS", ns, "REPLICAS", fmt.Sprint(replicas), "IMAGE", image, "SCRIPT", string(script), "PROBE", probe).Replace(served)
	for _, m := range strings.Split(text, "\n---\n") {
		o := declare(t, m)
		applyAll(t, c, o)
		if err := c.Await(t.Context(), "source", o, func(string) {}); err != nil {
			t.Fatal(err)
		}
	}
	return Services{name: {repositoryOf(image)}}
}

// versioned makes images that differ in the variable VERSION, and brings them to all nodes of the cluster, which are containers of this engine.
func versioned(t *testing.T, c *Cluster, repository string, versions ...string) {
	t.Helper()
	nodes, err := c.core.Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var refs []string
	for _, v := range versions {
		build := exec.Command("docker", "build", "-q", "-t", repository+":"+v, "-")
		build.Stdin = strings.NewReader("FROM " + testImage() + "\nENV VERSION=" + v + "\n")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		refs = append(refs, repository+":"+v)
	}
	archive := filepath.Join(t.TempDir(), "images.tar")
	if out, err := exec.Command("docker", append([]string{"save", "-o", archive}, refs...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, n := range nodes.Items {
		for _, command := range [][]string{
			{"cp", archive, n.Name + ":/root/images.tar"},
			{"exec", n.Name, "ctr", "--namespace=k8s.io", "images", "import", "--all-platforms", "/root/images.tar"},
		} {
			if out, err := exec.Command("docker", command...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
	}
}

// answers is what the program asker prints.
type answers struct {
	Requests, Failed int
	Errors           map[string]int
	Slowest          float64 `json:"slowestMs"`
	Bodies           map[string]int
}

// asking keeps asking a Service from a node, with a new connection for each request, until the function that it returns is called.
func asking(t *testing.T, c *Cluster, ns, service string) func() answers {
	t.Helper()
	s, err := c.core.Services(ns).Get(t.Context(), service, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := c.core.Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	node := nodes.Items[0].Name
	asker := filepath.Join(t.TempDir(), "asker")
	if out, err := exec.Command("env", "CGO_ENABLED=0", "go", "build", "-o", asker, "../e2e/asker").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	at := "/root/asker-" + ns
	if out, err := exec.Command("docker", "cp", asker, node+":"+at).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	command := []string{"exec", "-i", node, at, "-clients", "4", "-url", "http://" + s.Spec.ClusterIP + ":8080/"}
	// kube-proxy may not have heard of the last pod that became ready.
	until(t, service+" answers", func(context.Context) bool {
		brief := exec.Command("docker", append(command, "-for", "500ms")...)
		if _, err := brief.StdinPipe(); err != nil { // its end would end the asking
			t.Fatal(err)
		}
		out, err := brief.Output()
		var a answers
		return err == nil && json.Unmarshal(out, &a) == nil && a.Requests > 0 && a.Failed == 0
	})
	cmd := exec.Command("docker", command...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() answers {
		t.Helper()
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Fatalf("asker: %v\n%s", err, stderr.String())
		}
		var a answers
		if err := json.Unmarshal(out.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d requests, %d failed %v, slowest %.0f ms, answers %v", service, a.Requests, a.Failed, a.Errors, a.Slowest, a.Bodies)
		return a
	}
}

func podsOf(t *testing.T, c *Cluster, s Services) []Pod {
	t.Helper()
	pods, err := c.Pods(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return pods
}

// runs lists the distinct images of the service's containers.
func runsImages(pods []Pod) map[string]int {
	found := map[string]int{}
	for _, p := range pods {
		for _, k := range p.Containers {
			if k.Service != "" {
				found[k.Image]++
			}
		}
	}
	return found
}

func TestSwapRefusesNobody(t *testing.T) {
	c, ns := realCluster(t)
	const swaps = 10
	var versions []string
	for i := range swaps + 1 {
		versions = append(versions, fmt.Sprintf("v%d", i))
	}
	for name, probe := range map[string]string{"plain": "", "probed": probe} {
		t.Run(name, func(t *testing.T) {
			repository := "registry.example.com/" + ns + "/" + name
			versioned(t, c, repository, versions...)
			services := servedBy(t, c, ns, name, 2, repository+":v0", probe)
			began := podsOf(t, c, services)
			stop := asking(t, c, ns, name)
			for _, v := range versions[1:] {
				s := Swap{Service: name, Image: repository + ":" + v, Pods: podsOf(t, c, services)}
				if v != versions[swaps] {
					s.Mark = hot.Mark{Way: hot.Image, Image: s.Image, Since: time.Now()}
				}
				at := time.Now()
				if err := c.Swap(t.Context(), s, func(string) {}); err != nil {
					t.Fatal(err)
				}
				t.Logf("swap to %s: %.2f s", v, time.Since(at).Seconds())
				pods := podsOf(t, c, services)
				if got := runsImages(pods); got[s.Image] != 2 {
					t.Fatalf("the pods run %v", got)
				}
				for _, p := range pods {
					if _, marked := p.Hot[name]; marked != (v != versions[swaps]) {
						t.Errorf("at %s pod %s is marked as hot: %v", v, p.Name, marked)
					}
				}
			}
			a := stop()
			if a.Failed > 0 || a.Bodies["v0"] == 0 || a.Bodies[versions[swaps]] == 0 {
				t.Errorf("%d requests failed; answers %v", a.Failed, a.Bodies)
			}
			for i, p := range podsOf(t, c, services) {
				if p.UID != began[i].UID {
					t.Errorf("pod %s was made anew", p.Name)
				}
			}
		})
	}
}

func TestSwapBack(t *testing.T) {
	c, ns := realCluster(t)
	repository := "registry.example.com/" + ns + "/app"
	versioned(t, c, repository, "one", "crash")
	services := servedBy(t, c, ns, "app", 2, repository+":one", probe)
	stop := asking(t, c, ns, "app")
	swap := Swap{Service: "app", Image: repository + ":crash", Pods: podsOf(t, c, services), Mark: hot.Mark{Way: "image", Image: repository + ":crash", Since: time.Now()}}
	at := time.Now()
	err := c.Swap(t.Context(), swap, func(string) {})
	t.Logf("swapped back after %.2f s", time.Since(at).Seconds())
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Deploy || !strings.Contains(f.Detail, "cannot find the database") {
		t.Errorf("the error does not say why: %+v", f)
	}
	pods := podsOf(t, c, services)
	if got := runsImages(pods); got[repository+":one"] != 2 {
		t.Errorf("the pods run %v", got)
	}
	restarted := 0
	for _, p := range pods {
		if len(p.Hot) > 0 || !p.Ready {
			t.Errorf("pod %s: hot %v, ready %v", p.Name, p.Hot, p.Ready)
		}
		if p.Restarts > 0 {
			restarted++
		}
	}
	if restarted != 1 {
		t.Errorf("%d pods were touched", restarted)
	}
	until(t, "both pods answer again", func(context.Context) bool { return serving(t, c, ns, "app") == 2 })
	if a := stop(); a.Bodies["one"] == 0 || a.Failed > 0 {
		t.Errorf("the old version did not go on serving: %v", a)
	}
}

// serving counts the endpoints of a Service that are ready.
func serving(t *testing.T, c *Cluster, ns, name string) int {
	t.Helper()
	list, err := c.dynamic.Resource(endpointSlices).Namespace(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=" + name})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range list.Items {
		text, err := s.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		n += strings.Count(string(text), `"ready":true`)
	}
	return n
}
