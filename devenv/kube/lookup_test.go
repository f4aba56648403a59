package kube

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/devenv-run/devenv/devenv/fault"
)

// serveKinds has a server say that it serves config maps and nodes.
func serveKinds(s *server) {
	s.put("/api", map[string]any{"kind": "APIVersions", "versions": []string{"v1"}, "metadata": map[string]any{}})
	s.put("/apis", map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{}, "metadata": map[string]any{}})
	resource := func(name, kind string, namespaced bool) map[string]any {
		return map[string]any{"name": name, "kind": kind, "namespaced": namespaced, "verbs": []string{"get", "list"}}
	}
	s.put("/api/v1", map[string]any{"kind": "APIResourceList", "groupVersion": "v1", "metadata": map[string]any{}, "resources": []any{
		resource("configmaps", "ConfigMap", true), resource("nodes", "Node", false),
	}})
}

func TestLookup(t *testing.T) {
	s, c := serve(t)
	serveKinds(s)
	s.put("/api/v1/namespaces/app/configmaps/settings", map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "settings", "namespace": "app"}, "data": map[string]any{"count": "1"},
	})
	s.put("/api/v1/nodes/worker", map[string]any{"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{"name": "worker"}})
	for _, tt := range []struct {
		name, kind, namespace, object string
		want                          []string // fields of the answer; none: it is empty
	}{
		{"an object", "ConfigMap", "app", "settings", []string{"data", "count"}},
		{"an object that is not there", "ConfigMap", "app", "nothing", nil},
		{"an object of a cluster-scoped kind", "Node", "", "worker", []string{"metadata", "name"}},
		{"a namespace given for a cluster-scoped kind", "Node", "app", "worker", []string{"metadata", "name"}},
		{"a name without its namespace", "ConfigMap", "", "settings", nil},
		{"all of a namespace", "ConfigMap", "app", "", []string{"items"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := c.Lookup(t.Context(), "v1", tt.kind, tt.namespace, tt.object)
			if err != nil {
				t.Fatal(err)
			}
			if _, found, _ := unstructured.NestedFieldNoCopy(got, tt.want...); len(tt.want) == 0 && len(got) > 0 || len(tt.want) > 0 && !found {
				t.Errorf("got %v", got)
			}
		})
	}
	if s.writes > 0 {
		t.Errorf("%d writes", s.writes)
	}
}

func TestLookupFails(t *testing.T) {
	for _, tt := range []struct {
		name, kind string
		answer     *metav1.Status
		want       fault.Kind
		words      string
	}{
		{"a kind that is not served", "Fleet", nil, fault.Config, "does not serve Fleet of v1"},
		{"a refusal", "ConfigMap", statusOf(http.StatusForbidden, metav1.StatusReasonForbidden), fault.Machine, "refuses to show ConfigMap/app/settings"},
		{"a broken server", "ConfigMap", statusOf(http.StatusNotAcceptable, metav1.StatusReasonNotAcceptable), fault.Machine, "ConfigMap/app/settings could not be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, c := serve(t)
			serveKinds(s)
			s.before = func(r *http.Request) *metav1.Status {
				if strings.Contains(r.URL.Path, "/configmaps") {
					return tt.answer
				}
				return nil
			}
			_, err := c.Lookup(t.Context(), "v1", tt.kind, "app", "settings")
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind != tt.want || !strings.Contains(f.Error(), tt.words) || f.Next == "" {
				t.Errorf("error is %v", err)
			}
		})
	}
}
