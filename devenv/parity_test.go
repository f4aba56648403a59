package devenv

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
)

// Parity with a cluster: what servers add is ignored, what is missing or changed is found, what may not be read is said; hooks,
// add-ons and namespaces that nobody declares are not asked for.
func TestParityWithACluster(t *testing.T) {
	answers := map[string]string{
		"/api":          `{"kind":"APIVersions","versions":["v1"]}`,
		"/apis":         `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"apps","versions":[{"groupVersion":"apps/v1","version":"v1"}],"preferredVersion":{"groupVersion":"apps/v1","version":"v1"}}]}`,
		"/api/v1":       `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"configmaps","kind":"ConfigMap","namespaced":true,"verbs":["get"]},{"name":"secrets","kind":"Secret","namespaced":true,"verbs":["get"]}]}`,
		"/apis/apps/v1": `{"kind":"APIResourceList","groupVersion":"apps/v1","resources":[{"name":"deployments","kind":"Deployment","namespaced":true,"verbs":["get"]}]}`,
		"/apis/apps/v1/namespaces/shop/deployments/web": `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"shop","uid":"1"},
			"spec":{"replicas":3,"progressDeadlineSeconds":600,"template":{"spec":{"dnsPolicy":"ClusterFirst","containers":[{"name":"web","image":"registry.example.com/web:build-9","imagePullPolicy":"IfNotPresent","resources":{"limits":{"cpu":"1"}}}]}}}}`,
		"/api/v1/namespaces/shop/configmaps/changed": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"changed","namespace":"shop"},"data":{"a":"by hand","more":"x"}}`,
		"/api/v1/namespaces/shop/secrets/keys":       `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"keys","namespace":"shop"},"data":{"a":"c2FtZS12YWx1ZQ=="}}`,
	}
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		text, ok := answers[r.URL.Path]
		switch {
		case ok:
			fmt.Fprint(w, text)
		case r.URL.Path == "/api/v1/namespaces/shop/secrets/hidden":
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"not for you"}`)
		case r.URL.Path == "/api/v1/namespaces/shop/configmaps/gone":
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
		default:
			asked = append(asked, r.URL.Path)
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(server.Close)

	dir := t.TempDir()
	for name, text := range map[string]string{
		"kubeconfig": fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: a, cluster: {server: %q}}]\nusers: [{name: u, user: {}}]\ncontexts: [{name: production, context: {cluster: a, user: u}}]\n", server.URL),
		"Dockerfile": "FROM scratch\n",
		"devenv.yaml": `apiVersion: devenv/v1
name: shop
cluster: {addons: [metrics-server]}
services: {web: {image: registry.example.com/web, build: {context: .}}}
deploy: [{name: shop, namespace: shop, helm: {chart: chart}}]
divergences: [{target: {name: web}, patch: {spec: {replicas: 1}}, reason: one is enough}]
`,
		"chart/Chart.yaml": "apiVersion: v2\nname: shop\nversion: 1.0.0\n",
		"chart/templates/all.yaml": `
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 3, template: {spec: {containers: [{name: web, image: "registry.example.com/web:1", resources: {limits: {cpu: 1000m}}}]}}}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: changed}, data: {a: declared}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: gone}}
---
{apiVersion: v1, kind: Secret, metadata: {name: keys}, stringData: {a: same-value}}
---
{apiVersion: v1, kind: Secret, metadata: {name: hidden}, stringData: {a: b}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: hook, annotations: {helm.sh/hook: pre-install}}}
`,
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("KUBECONFIG", filepath.Join(dir, "kubeconfig"))
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(dir, "no-engine.sock"))

	var answer event.Parity
	p, err := Open(t.Context(), Options{File: filepath.Join(dir, "devenv.yaml"), Sink: event.SinkFunc(func(e event.Event) {
		if found, ok := e.(event.Parity); ok {
			answer = found
		}
	})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	err = p.Parity(t.Context(), ParityOptions{Strict: true, Context: "production"})
	if fault.Of(err) != fault.Mismatch {
		t.Errorf("error is %v", err)
	}
	var got []string
	for _, o := range answer.Objects {
		for _, c := range o.Changes {
			got = append(got, fmt.Sprintf("%s %s %s: %v → %v", o.ID, c.Class, c.Path, c.Old, c.New))
		}
	}
	want := []string{
		"ConfigMap/shop/changed undeclared data.a: by hand → declared",
		"ConfigMap/shop/gone undeclared : <nil> → <nil>",
		"Deployment/shop/web automatic spec.template.spec.containers[web].image: registry.example.com/web:build-9 → registry.example.com/web:devenv-<digest>",
		"Deployment/shop/web declared spec.replicas: 3 → 1",
	}
	slices.Sort(got)
	// The pull policy that the server defaulted is what devenv sets.
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(answer.NotCompared) != 1 || answer.NotCompared[0].ID.Name != "hidden" || answer.Against != "context production" {
		t.Errorf("%+v", answer)
	}
	if len(asked) > 0 {
		t.Errorf("it asked for %v", asked)
	}
}
