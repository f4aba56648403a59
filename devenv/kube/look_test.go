package kube

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/plan"
)

func TestServices(t *testing.T) {
	s := Services{
		"grades": {"registry.example.com:5000/academy/grades:devenv-1", "registry.example.com:5000/academy/grades"},
		"web":    {"web:2"},
	}
	for image, want := range map[string]string{
		"registry.example.com:5000/academy/grades:devenv-1":          "grades",
		"registry.example.com:5000/academy/grades:devenv-0":          "grades",
		"registry.example.com:5000/academy/grades@sha256:0123456789": "grades",
		"registry.example.com:5000/academy/grades-db:devenv-1":       "",
		"web:2": "web",
		"web:1": "",
		"":      "",
	} {
		if got := s.Of(image); got != want {
			t.Errorf("%s: %q, want %q", image, got, want)
		}
	}
}

func TestDescribe(t *testing.T) {
	p := parsePod(t, `
metadata: {name: web-7d9f-abc, namespace: academy, uid: u, labels: {pod-template-hash: 7d9f}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-7d9f, controller: true}]}
spec: {nodeName: node, initContainers: [{name: first, image: "busybox:1"}], containers: [{name: nginx, image: "web-nginx:1"}, {name: php, image: "web:2"}]}
status:
  phase: Running
  podIP: 10.0.0.1
  conditions: [{type: Ready, status: "False"}]
  initContainerStatuses: [{name: first, ready: true, state: {terminated: {exitCode: 0, reason: Completed}}}]
  containerStatuses: [{name: nginx, ready: true, state: {running: {}}}, {name: php, restartCount: 2, state: {waiting: {reason: CrashLoopBackOff}}}]
`)
	got := describe(p, Services{"web": {"web:2", "web-nginx:1"}, "other": {"x"}})
	if !slices.Equal(got.Services, []string{"web"}) || got.Phase != "CrashLoopBackOff" || got.Ready || got.Restarts != 2 || got.Node != "node" ||
		got.Owner != (plan.ID{Group: "apps", Kind: "Deployment", Namespace: "academy", Name: "web"}) {
		t.Errorf("got %+v", got)
	}
	var states []string
	for _, k := range got.Containers {
		states = append(states, k.Name+" "+k.Service+" "+k.State)
	}
	if want := []string{"first  terminated: Completed", "nginx web running", "php web waiting: CrashLoopBackOff"}; !slices.Equal(states, want) {
		t.Errorf("containers %q", states)
	}
	for manifest, want := range map[string]string{
		`{status: {phase: Pending}}`:                              "Pending",
		`{status: {phase: Succeeded}}`:                            "Completed",
		`{status: {phase: Failed, reason: Evicted}}`:              "Evicted",
		`{metadata: {deletionTimestamp: "2026-01-01T12:00:00Z"}}`: "Terminating",
	} {
		if got := phase(parsePod(t, manifest)); got != want {
			t.Errorf("%s: %s", manifest, got)
		}
	}
}

// said collects log lines as they come.
type said struct {
	mu    sync.Mutex
	lines []event.LogLine
}

func (s *said) Emit(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, e.(event.LogLine))
}

func (s *said) texts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, l := range s.lines {
		all = append(all, l.Text)
	}
	return all
}

func TestLogsFollowThroughRestartsAndNewPods(t *testing.T) {
	c, ns := realCluster(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	script := "echo start of $(date +%s%N); trap 'echo end; exit 0' TERM; while :; do sleep 0.2; done"
	o := declare(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: "+ns+"}, spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: "+sleeper(script, "")+"}}}")
	applyAll(t, c, o)
	if err := c.Await(ctx, "source", o, func(string) {}); err != nil {
		t.Fatal(err)
	}
	services := Services{"web": {repositoryOf(testImage())}}
	var once said
	if err := c.Logs(ctx, LogOptions{Services: services, Tail: 1}, &once); err != nil {
		t.Fatal(err)
	}
	if len(once.lines) != 1 || once.lines[0].Service != "web" || once.lines[0].Container != "main" || once.lines[0].At.IsZero() || !strings.HasPrefix(once.lines[0].Text, "start of ") {
		t.Fatalf("read once: %+v", once.lines)
	}

	var all said
	ended := make(chan error, 1)
	go func() { ended <- c.Logs(ctx, LogOptions{Services: services, Follow: true}, &all) }()
	starts := func(n int) func(context.Context) bool {
		return func(context.Context) bool {
			found := 0
			for _, l := range all.texts() {
				if strings.HasPrefix(l, "start of ") {
					found++
				}
			}
			return found == n
		}
	}
	until(t, "the first start is read", starts(1))

	pods, err := c.Pods(ctx, services)
	if err != nil || len(pods) != 1 {
		t.Fatalf("%v %v", pods, err)
	}
	if err := c.core.Pods(ns).Delete(ctx, pods[0].Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the new pod's start is read", starts(2))
	if !slices.Contains(all.texts(), "end") {
		t.Errorf("what the old pod wrote at its end is lost: %q", all.texts())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("following ended with %v", err)
	}
	if texts := all.texts(); len(texts) != 3 {
		t.Errorf("lines are doubled or lost: %q", texts)
	}
}

func TestLogsFollowAContainerThatRestarts(t *testing.T) {
	c, ns := realCluster(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := declare(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: "+ns+"}, spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: "+
		sleeper("echo run; sleep 1; echo over; exit 1", "")+"}}}")
	applyAll(t, c, o)
	var all said
	ended := make(chan error, 1)
	go func() {
		ended <- c.Logs(ctx, LogOptions{Services: Services{"web": {repositoryOf(testImage())}}, Follow: true}, &all)
	}()
	until(t, "three runs are read", func(context.Context) bool { return len(all.texts()) >= 6 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := strings.Join(all.texts()[:6], " "); got != "run over run over run over" {
		t.Errorf("read %q", got)
	}
}

func TestForwardSurvivesThePod(t *testing.T) {
	c, ns := realCluster(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server := `exec perl -MSocket -e 'socket(S,PF_INET,SOCK_STREAM,0);setsockopt(S,SOL_SOCKET,SO_REUSEADDR,1);bind(S,sockaddr_in(8080,INADDR_ANY));listen(S,9);$n=$ENV{HOSTNAME};while(accept(C,S)){$l=<C>;syswrite(C,qq($n $l));close C}'`
	spec := "{terminationGracePeriodSeconds: 1, containers: [{name: main, image: \"" + testImage() + "\", command: [/bin/sh, -c, " + fmt.Sprintf("%q", server) +
		"], ports: [{name: http, containerPort: 8080}], readinessProbe: {tcpSocket: {port: http}, periodSeconds: 1}}]}"
	objects := []plan.Object{
		declare(t, "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: "+ns+"}, spec: {selector: {app: web}, ports: [{name: web, port: 80, targetPort: http}]}}"),
		declare(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: "+ns+"}, spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: "+spec+"}}}"),
	}
	applyAll(t, c, objects...)
	if err := c.Await(ctx, "source", objects[1], func(string) {}); err != nil {
		t.Fatal(err)
	}
	services := Services{"web": {repositoryOf(testImage())}}
	workloads, err := c.Workloads(ctx, services)
	if err != nil || len(workloads) != 1 || workloads[0].Ready != 1 || workloads[0].Desired != 1 || !workloads[0].Current || workloads[0].Services[0] != "web" {
		t.Errorf("workloads %+v, %v", workloads, err)
	}

	var group sync.WaitGroup
	ask := map[string]func() (string, error){}
	for name, target := range map[string]Target{
		"by name":   {Namespace: ns, Service: "web", Port: "web"},
		"by number": {Namespace: ns, Service: "web", Port: "80"},
		"by image":  {Pods: services, Port: "8080"},
	} {
		l, err := Listen(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		group.Go(func() {
			if err := c.Forward(ctx, l, target, func(text string) { t.Logf("%s: %s", name, text) }); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		ask[name] = func() (string, error) {
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				return "", err
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(40 * time.Second)); err != nil {
				return "", err
			}
			if _, err := fmt.Fprintln(conn, "hello"); err != nil {
				return "", err
			}
			return bufio.NewReader(conn).ReadString('\n')
		}
	}
	first := map[string]string{}
	for name, f := range ask {
		for range 5 {
			answer, err := f()
			if err != nil || !strings.HasSuffix(answer, " hello\n") {
				t.Errorf("%s: %q, %v", name, answer, err)
			}
			first[name] = answer
		}
	}
	pods, err := c.core.Pods(ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.core.Pods(ns).Delete(ctx, pods.Items[0].Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, f := range ask {
		until(t, name+" reaches the new pod", func(context.Context) bool {
			answer, err := f()
			return err == nil && strings.HasSuffix(answer, " hello\n") && answer != first[name]
		})
	}
	cancel()
	group.Wait()

	events, err := c.Events(t.Context())
	if err != nil || !slices.ContainsFunc(events, func(e Event) bool { return e.Reason == "ScalingReplicaSet" && e.Object.Name == "web" && !e.Warning }) {
		t.Errorf("events %+v, %v", events, err)
	}
}

func TestForwardToWhatIsNotThere(t *testing.T) {
	c, ns := realCluster(t)
	l, err := Listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	err = c.Forward(t.Context(), l, Target{Namespace: ns, Service: "absent", Port: "80"}, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("got %v", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("the port is still open")
	}
}

func TestListenOnATakenPort(t *testing.T) {
	l, err := Listen(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Listen(t.Context(), l.Addr().(*net.TCPAddr).Port); err == nil || !strings.Contains(err.Error(), "is not free") {
		t.Errorf("got %v", err)
	}
}

func TestContainerPort(t *testing.T) {
	p := parsePod(t, `{metadata: {name: web}, spec: {containers: [{name: main, ports: [{name: http, containerPort: 8080}]}]}}`)
	for port, want := range map[string]int{"http": 8080, "9090": 9090, "absent": 0} {
		got, err := containerPort(p, intstr.Parse(port))
		if got != want || (err != nil) != (want == 0) {
			t.Errorf("%s: %d, %v", port, got, err)
		}
	}
}
