package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
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

// The kubelet puts off the start of a container of which it had others of the same image just before. Somebody who saves one broken version after
// the other has the old one back all the same.
func TestSwapBackAgainAndAgain(t *testing.T) {
	c, ns := realCluster(t)
	repository := "registry.example.com/" + ns + "/app"
	crashes := []string{"crash1", "crash2", "crash3"}
	versioned(t, c, repository, append(crashes, "one")...)
	services := servedBy(t, c, ns, "app", 1, repository+":one", "")
	for _, v := range crashes {
		began := time.Now()
		var pods []Pod
		until(t, "the old version runs", func(context.Context) bool {
			pods = slices.DeleteFunc(podsOf(t, c, services), func(p Pod) bool { return p.Phase == "Terminating" })
			return len(pods) == 1 && pods[0].Ready
		})
		t.Logf("ready after %.2f s", time.Since(began).Seconds())
		began = time.Now()
		err := c.Swap(t.Context(), Swap{Service: "app", Image: repository + ":" + v, Pods: pods, Mark: hot.Mark{Way: hot.Image, Since: began}}, func(string) {})
		t.Logf("back after %.2f s: %v", time.Since(began).Seconds(), err)
		if fault.Of(err) != fault.Deploy {
			t.Fatal(err)
		}
	}
}

// The only pod of a workload is missing while its container is replaced, and no longer.
func TestSwapAlone(t *testing.T) {
	c, ns := realCluster(t)
	repository := "registry.example.com/" + ns + "/app"
	versions := []string{"v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8"}
	versioned(t, c, repository, versions...)
	services := servedBy(t, c, ns, "app", 1, repository+":v0", "")
	for _, v := range versions[1:] {
		stop := asking(t, c, ns, "app")
		began := time.Now()
		if err := c.Swap(t.Context(), Swap{Service: "app", Image: repository + ":" + v, Pods: podsOf(t, c, services)}, func(string) {}); err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		a := stop()
		t.Logf("%s: %.2f s; refused for about %.2f s", v, took.Seconds(), float64(a.Failed)/4*0.006)
		if a.Bodies[v] == 0 {
			t.Errorf("%s never answered: %v", v, a.Bodies)
		}
	}
}

// What is hot is seen by Observe, and a restart settles it without leaving anything to do.
func TestHotIsObservedAndSettled(t *testing.T) {
	c, ns := realCluster(t)
	ctx := t.Context()
	o := declare(t, strings.NewReplacer("NS", ns, "IMAGE", testImage()).Replace(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NS}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: main, image: IMAGE, imagePullPolicy: IfNotPresent, command: [sleep, "3600"]}]}
`))
	source := applyAll(t, c, o)
	if err := c.Await(ctx, "source", o, func(string) {}); err != nil {
		t.Fatal(err)
	}
	services := Services{"web": {repositoryOf(testImage())}}
	pods := podsOf(t, c, services)
	for _, p := range pods {
		if err := c.MarkHot(ctx, p, "web", hot.Mark{Way: hot.Sync, Files: 3, Since: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	if seen := observed(t, c, source); seen.Hot[o.ID] != "2 pods hot: 3 files synced" || seen.Live[o.ID].Drift != "" {
		t.Errorf("hot: %q; %+v", seen.Hot[o.ID], seen.Live[o.ID])
	}
	if err := c.MarkHot(ctx, pods[0], "web", hot.Mark{}); err != nil {
		t.Fatal(err)
	}
	if seen := observed(t, c, source); seen.Hot[o.ID] != "1 pod hot: 3 files synced" {
		t.Errorf("hot: %q", seen.Hot[o.ID])
	}
	if err := c.Restart(ctx, "source", o, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if err := c.Await(ctx, "source", o, func(string) {}); err != nil {
		t.Fatal(err)
	}
	seen := observed(t, c, source)
	if live := seen.Live[o.ID]; len(seen.Hot) > 0 || live.Drift != "" || !live.Ready || live.Hash != o.Hash {
		t.Errorf("settled it is %+v, hot: %v", live, seen.Hot)
	}
}

func TestFollowPods(t *testing.T) {
	c, ns := realCluster(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	repository := repositoryOf(testImage())
	news := c.FollowPods(ctx, Services{"app": {repository}})
	expect := func(what string, holds func([]Pod) bool) {
		t.Helper()
		late := time.After(time.Minute)
		for {
			select {
			case pods, ok := <-news:
				if !ok {
					t.Fatalf("it ended before %s", what)
				}
				if holds(pods) {
					return
				}
			case <-late:
				t.Fatalf("it did not say that %s", what)
			}
		}
	}
	expect("there is none", func(pods []Pod) bool { return len(pods) == 0 })
	services := servedBy(t, c, ns, "app", 1, testImage(), "")
	expect("one is ready", func(pods []Pod) bool { return len(pods) == 1 && pods[0].Ready && pods[0].Namespace == ns })
	for range 3 { // what nobody takes is not queued up
		if err := c.MarkHot(ctx, podsOf(t, c, services)[0], "app", hot.Mark{Way: hot.Sync, Files: 1, Since: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	expect("it is hot", func(pods []Pod) bool { return len(pods) == 1 && pods[0].Hot["app"].Files == 1 })
	first := podsOf(t, c, services)[0]
	if err := c.core.Pods(ns).Delete(ctx, first.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	expect("another one is ready", func(pods []Pod) bool { return len(pods) == 1 && pods[0].Ready && pods[0].UID != first.UID })
	cancel()
	for range news { // it is closed
	}
}
