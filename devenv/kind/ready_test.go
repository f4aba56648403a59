package kind

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// allPending is what is missing first.
func allPending(o observation, e expectation) string {
	if missing := nodesPending(o, e); missing != "" {
		return missing
	}
	return namesPending(o, e)
}

func TestPending(t *testing.T) {
	start := time.Date(2026, 11, 21, 12, 0, 0, 500_000_000, time.UTC)
	all := []container{
		{Name: "x-control-plane", Role: controlPlane, Started: start},
		{Name: "x-worker", Role: worker, Started: start},
		{Name: "x-external-load-balancer", Role: loadBalancer, Started: start},
	}
	tests := []struct {
		name   string
		change func(o *observation, e *expectation)
		want   string
	}{
		{"all well", func(*observation, *expectation) {}, ""},
		{"nothing yet", func(o *observation, _ *expectation) { *o = observation{} }, "0 of 2 nodes ready"},
		{"a node is not ready", func(o *observation, _ *expectation) { o.nodes[1] = testNode("x-worker", "False", start.Add(time.Hour)) }, "1 of 2 nodes ready"},
		{"a node was ready before it was stopped", func(o *observation, _ *expectation) { o.nodes[1] = testNode("x-worker", "True", start.Add(-time.Hour)) }, "1 of 2 nodes ready"},
		{"a heartbeat has no fractions of a second", func(o *observation, _ *expectation) {
			o.nodes[1] = testNode("x-worker", "True", start.Truncate(time.Second))
		}, ""},
		{"somebody else's node", func(o *observation, _ *expectation) { o.nodes = append(o.nodes, testNode("y", "False", start)) }, ""},
		{"the pod network starts", func(o *observation, _ *expectation) {
			o.pods[3] = testPod("kindnet-b", "kindnet", "x-worker", "DaemonSet", false, start.Add(time.Second))
		}, "waiting for kindnet-b"},
		{"a pod's container is the one from before", func(o *observation, _ *expectation) {
			o.pods[3] = testPod("kindnet-b", "kindnet", "x-worker", "DaemonSet", true, start.Add(-time.Hour))
		}, "waiting for kindnet-b"},
		{"the pod network crashes", func(o *observation, _ *expectation) {
			crash := struct {
				Reason string `json:"reason"`
			}{"CrashLoopBackOff"}
			o.pods[3].Status.Containers[0].State.Running, o.pods[3].Status.Containers[0].State.Waiting = nil, &crash
		}, "waiting for kindnet-x-worker (CrashLoopBackOff)"},
		{"kube-proxy has no pod on a node yet", func(o *observation, _ *expectation) { o.pods = append(o.pods[:2:2], o.pods[3:]...) }, "waiting for kube-proxy on every node"},
		{"no kube-proxy is wanted", func(o *observation, e *expectation) {
			o.pods = append(o.pods[:2:2], o.pods[3:]...)
			e.proxy = false
		}, ""},
		{"no name server", func(o *observation, _ *expectation) { o.pods = o.pods[:4] }, "waiting for the cluster's name server"},
		{"one of two name servers", func(o *observation, _ *expectation) {
			o.pods = append(o.pods, testPod("coredns-2", "kube-dns", "x-worker", "ReplicaSet", false, start))
		}, ""},
		{"the pod network is the user's", func(o *observation, e *expectation) {
			*o = observation{}
			e.network = false
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o, e := healthy(all), expect(all, &loaded{})
			tt.change(&o, &e)
			if got := allPending(o, e); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestRESTServer reads answers of a real API server, recorded.
func TestRESTServer(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answers := map[string]string{
			"/readyz":                             "ok",
			"/version":                            `{"major":"1","minor":"36","gitVersion":"v1.36.3"}`,
			"/api/v1/namespaces/kube-system":      `{"kind":"Namespace","metadata":{"name":"kube-system","uid":"7f0c"}}`,
			"/api/v1/nodes":                       `{"items":[{"metadata":{"name":"x"},"status":{"conditions":[{"type":"Ready","status":"True","lastHeartbeatTime":"2026-11-21T12:00:00Z"}]}}]}`,
			"/api/v1/namespaces/kube-system/pods": `{"items":[{"metadata":{"name":"kube-proxy-a","labels":{"k8s-app":"kube-proxy"},"ownerReferences":[{"kind":"DaemonSet"}]},"spec":{"nodeName":"x"},"status":{"conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[{"state":{"running":{"startedAt":"2026-11-21T12:00:01Z"}}}]}}]}`,
		}
		if r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		if answer, ok := answers[r.URL.Path]; ok {
			_, _ = w.Write([]byte(answer))
			return
		}
		http.NotFound(w, r)
	}))
	defer server.Close()
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	data, err := relabel(adminConf, "kind-devenv-x", server.URL)
	if err != nil {
		t.Fatal(err)
	}
	trusted := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	data = bytes.Replace(data, []byte("server:"), []byte("certificate-authority-data: "+trusted+"\n    server:"), 1)
	api, err := connect(data)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if err := api.answers(ctx); err != nil {
		t.Error(err)
	}
	if uid, err := api.uid(ctx); err != nil || uid != "7f0c" {
		t.Errorf("uid %q, %v", uid, err)
	}
	if version, err := api.version(ctx); err != nil || version != "v1.36.3" {
		t.Errorf("version %q, %v", version, err)
	}
	o, err := api.observe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	if got := allPending(o, expectation{since: map[string]time.Time{"x": at}, network: true, proxy: true}); got != "waiting for the cluster's name server" {
		t.Errorf("pending: %q", got)
	}
	if err := api.(restServer).get(ctx, "/nowhere", nil); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %v", err)
	}
	api.(restServer).client.CloseIdleConnections()
}

func TestParseContainers(t *testing.T) {
	out, err := os.ReadFile("testdata/inspect.json")
	if err != nil {
		t.Fatal(err)
	}
	all, err := parseContainers(out)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, c := range all {
		b.WriteString(strings.Join([]string{c.ID[:6], c.Name, c.Role, c.State, c.Created.Format(time.RFC3339), c.Started.Format(time.RFC3339), c.IP, c.Endpoint}, " | ") + "\n")
	}
	golden(t, "inspect.golden", b.String())
}

func TestPlain(t *testing.T) {
	for line, want := range map[string]string{
		" • Ensuring node image (kindest/node:v1.37.0) 🖼️  ...\n": "ensuring node image (kindest/node:v1.37.0)",
		" • Preparing nodes 📦 📦 📦   ...\n":                        "preparing nodes",
		" ✓ Preparing nodes 📦 📦 📦 \n":                             "",
		" ✗ Starting control-plane 🕹️\n":                          "",
		"Creating cluster \"devenv-x\" ...\n":                     "creating cluster \"devenv-x\"",
		"CNI is there":                                            "CNI is there",
		"":                                                        "",
	} {
		if got := plain(line); got != want {
			t.Errorf("plain(%q) = %q, want %q", line, got, want)
		}
	}
}
