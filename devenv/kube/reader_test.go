package kube

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// production answers GET requests as an API server with a few objects, and remembers what it was asked.
type production struct {
	mu    sync.Mutex
	asked []string
}

func (p *production) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.URL.Path)
	p.mu.Unlock()
	answers := map[string]string{
		"/api":                 `{"kind":"APIVersions","versions":["v1"]}`,
		"/apis":                `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"example.com","versions":[{"groupVersion":"example.com/v1","version":"v1"}],"preferredVersion":{"groupVersion":"example.com/v1","version":"v1"}}]}`,
		"/api/v1":              `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"configmaps","kind":"ConfigMap","namespaced":true,"verbs":["get"]},{"name":"secrets","kind":"Secret","namespaced":true,"verbs":["get"]},{"name":"namespaces","kind":"Namespace","verbs":["get"]}]}`,
		"/apis/example.com/v1": `{"kind":"APIResourceList","groupVersion":"example.com/v1","resources":[{"name":"widgets","kind":"Widget","namespaced":true,"verbs":["get"]}]}`,
		"/api/v1/namespaces/shop/configmaps/settings":    `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"shop","uid":"u"},"data":{"a":"b"}}`,
		"/api/v1/namespaces/shop":                        `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}`,
		"/apis/example.com/v1/namespaces/team/widgets/w": `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","namespace":"team"},"spec":{"size":12345678901234567}}`,
	}
	w.Header().Set("Content-Type", "application/json")
	switch text, ok := answers[r.URL.Path]; {
	case r.Method != http.MethodGet:
		w.WriteHeader(http.StatusTeapot)
	case strings.HasSuffix(r.URL.Path, "/secrets/database"):
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"secrets \"database\" is forbidden"}`)
	case ok:
		fmt.Fprint(w, text)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
	}
}

func inProduction(apiVersion, kind, namespace, name string) plan.Object {
	group, _, found := strings.Cut(apiVersion, "/")
	if !found {
		group = ""
	}
	return plan.Object{
		ID:   plan.ID{Group: group, Kind: kind, Namespace: namespace, Name: name},
		JSON: fmt.Appendf(nil, `{"apiVersion":%q,"kind":%q,"metadata":{"name":%q}}`, apiVersion, kind, name),
	}
}

func TestReaderReadsWhatItIsAskedFor(t *testing.T) {
	p := &production{}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	r, err := openReader(&rest.Config{Host: server.URL}, "production", "team")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	found, err := r.Read(t.Context(), []plan.Object{
		inProduction("v1", "ConfigMap", "shop", "settings"), inProduction("v1", "ConfigMap", "shop", "gone"), inProduction("v1", "Secret", "shop", "database"),
		inProduction("v1", "Namespace", "", "shop"), inProduction("example.com/v1", "Widget", "", "w"), inProduction("other.example.com/v1", "Gadget", "", "g"),
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range found.Objects {
		names = append(names, o.ID.String())
	}
	if got := strings.Join(names, " "); got != "ConfigMap/shop/settings Namespace/shop Widget/w" {
		t.Errorf("found %s", got)
	}
	if !strings.Contains(string(found.Objects[2].JSON), "12345678901234567") {
		t.Errorf("a number lost its digits: %s", found.Objects[2].JSON)
	}
	if why := found.Unread[plan.ID{Kind: "Secret", Namespace: "shop", Name: "database"}]; !strings.Contains(why, "forbidden") || len(found.Unread) != 1 {
		t.Errorf("unread: %v", found.Unread)
	}
	for _, asked := range p.asked {
		if !strings.HasPrefix(asked, "GET ") || strings.HasSuffix(asked, "/secrets") || strings.HasSuffix(asked, "/configmaps") {
			t.Errorf("it was asked: %s", asked)
		}
	}
}

// Whatever uses the reader's connection: nothing but GET leaves this machine.
func TestReaderRefusesToWrite(t *testing.T) {
	p := &production{}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	r, err := openReader(&rest.Config{Host: server.URL}, "production", "team")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "get"} {
		request, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/api/v1/namespaces/shop", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		response, err := r.http.Do(request)
		if err == nil {
			response.Body.Close()
		}
		if f := (*fault.Error)(nil); !errors.As(err, &f) || f.Kind != fault.Refused {
			t.Errorf("%s: %v", method, err)
		}
	}
	if len(p.asked) > 0 {
		t.Errorf("it was asked: %v", p.asked)
	}
}

func TestReaderTakesTheContextThatIsNamed(t *testing.T) {
	p := &production{}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: laptop
clusters: [{name: a, cluster: {server: %s}}, {name: b, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
contexts:
- {name: production, context: {cluster: a, user: u, namespace: team}}
- {name: laptop, context: {cluster: b, user: u}}
`, server.URL)
	if err := os.WriteFile(file, []byte(text), 0o400); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", file)
	r, err := OpenReader("production")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	found, err := r.Read(t.Context(), []plan.Object{inProduction("example.com/v1", "Widget", "", "w")})
	if err != nil || len(found.Objects) != 1 {
		t.Errorf("%v, %v", found, err)
	}
	if after, err := os.ReadFile(file); err != nil || string(after) != text {
		t.Errorf("the kubeconfig was changed: %v", err)
	}
	_, err = OpenReader("prod")
	if f := (*fault.Error)(nil); !errors.As(err, &f) || f.Kind != fault.Config || !strings.Contains(f.Next, "laptop, production") {
		t.Errorf("%v", err)
	}
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	if _, err := OpenReader("production"); fault.Of(err) != fault.Config {
		t.Errorf("%v", err)
	}
}
