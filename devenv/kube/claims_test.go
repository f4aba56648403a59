package kube

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/devenv-run/devenv/devenv/plan"
)

const database = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: app}
spec: {volumeClaimTemplates: [{metadata: {name: data}}, {metadata: {name: log}}]}
`

func claimNamed(name string) plan.ID {
	return plan.ID{Kind: "PersistentVolumeClaim", Namespace: "app", Name: name}
}

func TestClaimsOfADeclaredSetAreWanted(t *testing.T) {
	d := declaredBy([]plan.Source{{Name: "app", Objects: []plan.Object{declare(t, database)}}})
	for id, want := range map[plan.ID]bool{
		claimNamed("data-db-0"):  true,
		claimNamed("log-db-12"):  true, // of a set that was larger
		claimNamed("data-db-"):   false,
		claimNamed("data-db--1"): false,
		claimNamed("data-db-x"):  false,
		claimNamed("old-db-0"):   false, // of a template that the set no longer has
		claimNamed("data-db2-0"): false,
		{Kind: "PersistentVolumeClaim", Namespace: "other", Name: "data-db-0"}: false,
		{Kind: "ConfigMap", Namespace: "app", Name: "data-db-0"}:               false,
	} {
		if got := d.want(id); got != want {
			t.Errorf("%s: %v, want %v", id, got, want)
		}
	}
}

// serveSets has a server serve claims, StatefulSets and the API group stale.example.com, and puts a set db with this UID and its claim there.
func serveSets(s *server, setUID string) {
	serveKinds(s)
	group := func(name string) map[string]any {
		v := map[string]any{"groupVersion": name + "/v1", "version": "v1"}
		return map[string]any{"name": name, "versions": []any{v}, "preferredVersion": v}
	}
	s.put("/apis", map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "metadata": map[string]any{}, "groups": []any{
		group("apps"), group("stale.example.com"),
	}})
	serveGroup(s, "/api/v1", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
	serveGroup(s, "/apis/apps/v1", "apps/v1", "statefulsets", "StatefulSet")
	serveGroup(s, "/apis/stale.example.com/v1", "stale.example.com/v1", "gauges", "Gauge")
	s.put("/apis/apps/v1/namespaces/app/statefulsets/db", map[string]any{
		"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": map[string]any{"name": "db", "namespace": "app", "uid": setUID},
		"spec": map[string]any{"volumeClaimTemplates": []any{map[string]any{"metadata": map[string]any{"name": "data"}}}},
	})
	s.put("/api/v1/namespaces/app/persistentvolumeclaims/data-db-0", map[string]any{
		"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": map[string]any{"name": "data-db-0", "namespace": "app", "uid": "claim"},
	})
}

func serveGroup(s *server, path, version, plural, kind string) {
	s.put(path, map[string]any{"kind": "APIResourceList", "groupVersion": version, "metadata": map[string]any{}, "resources": []any{
		map[string]any{"name": plural, "kind": kind, "namespaced": true, "verbs": []string{"get", "list", "delete"}},
	}})
}

// down notes the claim, and so does the removal of a set; the set that comes back uses it.
func TestAClaimThatWasKeptIsInUseOnceItsSetIsDeclaredAgain(t *testing.T) {
	s, c := serve(t)
	serveSets(s, "set")
	set, claim := declare(t, database), claimNamed("data-db-0")
	err := c.ledger.update(t.Context(), func(v inventory) {
		v.Objects[set.ID] = entry{Source: "app", UID: "set"}
		v.Kept[claim] = keptEntry{Source: "app", UID: "claim"}
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		sources []plan.Source
		want    []plan.ID
	}{
		"declared":           {[]plan.Source{{Name: "app", Objects: []plan.Object{set}}}, nil},
		"declared as a hook": {[]plan.Source{{Name: "app", Hooks: []plan.Hook{{Object: set}}}}, nil},
		"no longer declared": {nil, []plan.ID{claim, set.ID}},
	} {
		u, err := c.Undeclared(t.Context(), tt.sources)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := slices.SortedFunc(maps.Keys(u.Objects), compare); !slices.Equal(got, tt.want) {
			t.Errorf("%s: undeclared are %v, want %v", name, got, tt.want)
		}
	}
}

func TestOnlyClaimsOfOwnSetsAreNoted(t *testing.T) {
	for name, tt := range map[string]struct {
		entry entry
		want  int
	}{
		"made by devenv":                 {entry{Source: "app", UID: "set"}, 1},
		"there before devenv":            {entry{Source: "app", UID: "set", Adopted: true}, 0},
		"made again by somebody":         {entry{Source: "app", UID: "another"}, 0},
		"perhaps made by devenv, no UID": {entry{Source: "app"}, 1}, // nobody is written down as its writer
	} {
		t.Run(name, func(t *testing.T) {
			s, c := serve(t)
			serveSets(s, "set")
			set := declare(t, database).ID
			if err := c.ledger.update(t.Context(), func(v inventory) { v.Objects[set] = tt.entry }); err != nil {
				t.Fatal(err)
			}
			v, err := c.ledger.current(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if v, err = c.noteClaims(t.Context(), v); err != nil || len(v.Kept) != tt.want {
				t.Errorf("noted %v, %v; want %d", v.Kept, err, tt.want)
			}
		})
	}
}

// A claim that a server away for a moment does not list would go with its namespace.
func TestStrangersAreWaitedFor(t *testing.T) {
	s, c := serve(t)
	serveSets(s, "set")
	asked := 0
	s.before = func(r *http.Request) *metav1.Status {
		if strings.HasSuffix(r.URL.Path, "/persistentvolumeclaims") {
			if asked++; asked == 1 {
				return statusOf(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
			}
		}
		if strings.HasSuffix(r.URL.Path, "/statefulsets") {
			return statusOf(http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed)
		}
		return nil
	}
	found, err := c.strangers(t.Context(), "app")
	if err != nil || !slices.Equal(found, []plan.ID{claimNamed("data-db-0")}) {
		t.Errorf("found %v, %v", found, err)
	}
}

func TestStrangersOfAnAggregatedAPIWhoseServerIsGone(t *testing.T) {
	s, c := serve(t)
	serveSets(s, "set")
	s.put("/apis/apiregistration.k8s.io/v1/apiservices/v1.stale.example.com", map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": "v1.stale.example.com"},
		"spec": map[string]any{"service": map[string]any{"name": "gauges", "namespace": "app"}},
	})
	s.before = func(r *http.Request) *metav1.Status {
		if strings.HasSuffix(r.URL.Path, "/gauges") {
			return statusOf(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
		}
		return nil
	}
	found, err := c.strangers(t.Context(), "app")
	if err != nil || !slices.Equal(found, []plan.ID{claimNamed("data-db-0")}) {
		t.Errorf("found %v, %v", found, err)
	}
}

func TestInstancesThatCannotBeReadAreNotNone(t *testing.T) {
	crd := parse(t, `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec: {group: example.com, names: {kind: Widget}}
`)
	s, c := serve(t)
	serveSets(s, "set")
	if found, err := c.instances(t.Context(), crd); err != nil || len(found) > 0 {
		t.Errorf("of a definition that is not served: %v, %v", found, err)
	}
	s.before = func(*http.Request) *metav1.Status {
		return statusOf(http.StatusInternalServerError, metav1.StatusReasonInternalError)
	}
	if found, err := c.instances(t.Context(), crd); err == nil {
		t.Errorf("without an answer: %v and no error", found)
	}
}

// What an aggregated API serves is not gone while its server is away.
func TestAnObjectWhoseAPIDoesNotAnswerIsRemembered(t *testing.T) {
	s, c := serve(t)
	serveSets(s, "set")
	gauge := plan.ID{Group: "stale.example.com", Kind: "Gauge", Namespace: "app", Name: "load"}
	if err := c.ledger.update(t.Context(), func(v inventory) { v.Objects[gauge] = entry{Source: "app", UID: "gauge"} }); err != nil {
		t.Fatal(err)
	}
	s.before = func(r *http.Request) *metav1.Status {
		if strings.HasPrefix(r.URL.Path, "/apis/stale.example.com/") {
			return statusOf(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
		}
		return nil
	}
	u, err := c.Undeclared(t.Context(), nil)
	if err != nil || len(u.Gone) > 0 || !strings.Contains(u.Unread[gauge], "does not answer") {
		t.Errorf("%+v, %v", u, err)
	}
	if err := c.Tidy(t.Context(), nil, u, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), "app", gauge, false, func(string) {}); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("deleting it: %v", err)
	}
	if v, err := c.ledger.fresh(t.Context()); err != nil || !v.lists(gauge) {
		t.Errorf("it is forgotten: %v", err)
	}

	// Once the group is no longer announced, nothing of it is left to be deleted.
	s.put("/apis", map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{}, "metadata": map[string]any{}})
	if u, err := c.Undeclared(t.Context(), nil); err != nil || !slices.Equal(u.Gone, []plan.ID{gauge}) {
		t.Errorf("without its group: %+v, %v", u, err)
	}
}
