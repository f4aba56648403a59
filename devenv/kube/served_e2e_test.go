package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// answering is a server that answers with the version that its image has in its environment, and one that says why it ends for the versions crash….
const answering = `
use IO::Socket::INET;
if ($ENV{VERSION} =~ /crash/) { print STDERR "cannot find the database\n"; exit 3 }
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
	t.Cleanup(func() {
		if out, err := exec.Command("docker", append([]string{"rmi"}, refs...)...).CombinedOutput(); err != nil {
			t.Logf("clean up: %v\n%s", err, out)
		}
	})
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
