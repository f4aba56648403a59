package kube

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

// server answers as an API server does, for the few requests of the tests that need to hold one by the hand: objects with
// versions, a conflict for an outdated one, watches that the test feeds. What an object means it does not know.
type server struct {
	t   *testing.T
	url string

	mu      sync.Mutex
	version int
	objects map[string]map[string]any // by path
	writes  int
	// before, if set, is asked before each request; if it returns a status, that is the answer.
	before func(r *http.Request) *metav1.Status
	// watch, if set, serves watches.
	watch func(w http.ResponseWriter, r *http.Request)
	// apply, if set, says what would become of an object that is applied in a dry run.
	apply func(sent map[string]any) map[string]any
}

// serve starts a server, and opens it as the environment "test".
func serve(t *testing.T) (*server, *Cluster) {
	t.Helper()
	s := &server{t: t, objects: map[string]map[string]any{}}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	s.url = h.URL
	s.put("/api/v1/namespaces/kube-system", map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "kube-system", "uid": serverUID},
	})
	return s, s.open(Options{Environment: "test", UID: serverUID})
}

const serverUID = "uid-of-the-server"

// open opens the server.
func (s *server) open(o Options) *Cluster {
	s.t.Helper()
	c, err := open(&rest.Config{Host: s.url, QPS: -1}, o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	// In JSON, where Open's client writes protocol buffers.
	config := rest.CopyConfig(c.config)
	config.ContentType, config.AcceptContentTypes = "application/json", "application/json"
	if c.core, err = corev1client.NewForConfig(config); err != nil {
		s.t.Fatal(err)
	}
	c.ledger = newLedger(c.core, c.env, c.manager)
	return c
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.before != nil {
		if status := s.before(r); status != nil {
			s.answer(w, int(status.Code), status)
			return
		}
	}
	if r.URL.Query().Get("watch") != "" {
		s.watch(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.Method {
	case http.MethodGet:
		if o := s.objects[r.URL.Path]; o != nil {
			s.answer(w, http.StatusOK, o)
			return
		}
		if list := s.list(r); list != nil {
			s.answer(w, http.StatusOK, list)
			return
		}
		s.fail(w, http.StatusNotFound, metav1.StatusReasonNotFound)
	case http.MethodPost, http.MethodPut:
		s.store(w, r)
	case http.MethodPatch:
		var sent map[string]any
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || s.apply == nil || r.URL.Query().Get("dryRun") != "All" {
			s.t.Errorf("%s %s: %v", r.Method, r.URL, err)
			s.fail(w, http.StatusBadRequest, metav1.StatusReasonBadRequest)
			return
		}
		s.answer(w, http.StatusOK, s.apply(sent))
	case http.MethodDelete:
		s.writes++
		if list := s.list(r); list != nil {
			for _, at := range s.selected(r) {
				delete(s.objects, at)
			}
			s.answer(w, http.StatusOK, list)
			return
		}
		if s.objects[r.URL.Path] == nil {
			s.fail(w, http.StatusNotFound, metav1.StatusReasonNotFound)
			return
		}
		delete(s.objects, r.URL.Path)
		s.answer(w, http.StatusOK, &metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess})
	default:
		s.t.Errorf("%s %s", r.Method, r.URL)
		s.fail(w, http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed)
	}
}

func (s *server) store(w http.ResponseWriter, r *http.Request) {
	s.writes++
	var o map[string]any
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		s.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		s.fail(w, http.StatusBadRequest, metav1.StatusReasonBadRequest)
		return
	}
	m := o["metadata"].(map[string]any)
	path := r.URL.Path
	if r.Method == http.MethodPost {
		path += "/" + m["name"].(string)
		if s.objects[path] != nil {
			s.fail(w, http.StatusConflict, metav1.StatusReasonAlreadyExists)
			return
		}
	} else {
		old := s.objects[path]
		if old == nil {
			s.fail(w, http.StatusNotFound, metav1.StatusReasonNotFound)
			return
		}
		if old["metadata"].(map[string]any)["resourceVersion"] != m["resourceVersion"] {
			s.fail(w, http.StatusConflict, metav1.StatusReasonConflict)
			return
		}
	}
	s.put(path, o)
	s.answer(w, http.StatusOK, o)
}

// put stores an object under a new version.
func (s *server) put(path string, o map[string]any) {
	s.version++
	o["metadata"].(map[string]any)["resourceVersion"] = fmt.Sprint(s.version)
	s.objects[path] = o
}

// list answers for ConfigMaps, Secrets, claims, pods, nodes and EndpointSlices; nil for others.
func (s *server) list(r *http.Request) map[string]any {
	kind, version := "", "v1"
	switch {
	case strings.HasSuffix(r.URL.Path, "/configmaps"):
		kind = "ConfigMapList"
	case strings.HasSuffix(r.URL.Path, "/secrets"):
		kind = "SecretList"
	case strings.HasSuffix(r.URL.Path, "/persistentvolumeclaims"):
		kind = "PersistentVolumeClaimList"
	case strings.HasSuffix(r.URL.Path, "/pods"):
		kind = "PodList"
	case strings.HasSuffix(r.URL.Path, "/nodes"):
		kind = "NodeList"
	case strings.HasSuffix(r.URL.Path, "/endpointslices"):
		kind, version = "EndpointSliceList", "discovery.k8s.io/v1"
	default:
		return nil
	}
	items := []any{}
	for _, at := range s.selected(r) {
		items = append(items, s.objects[at])
	}
	if strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadataList") {
		kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
		for i := range items {
			items[i] = map[string]any{"apiVersion": version, "kind": "PartialObjectMetadata", "metadata": items[i].(map[string]any)["metadata"]}
		}
	}
	return map[string]any{"apiVersion": version, "kind": kind, "metadata": map[string]any{"resourceVersion": fmt.Sprint(s.version)}, "items": items}
}

// selected are the paths of a collection's objects that have the labels that a request asks for.
func (s *server) selected(r *http.Request) []string {
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		s.t.Errorf("%s: %v", r.URL, err)
		return nil
	}
	var paths []string
	for at, o := range s.objects {
		found, _, _ := unstructured.NestedStringMap(o, "metadata", "labels")
		name, inside := strings.CutPrefix(at, r.URL.Path+"/")
		if inside && !strings.Contains(name, "/") && selector.Matches(labels.Set(found)) {
			paths = append(paths, at)
		}
	}
	return paths
}

func (s *server) fail(w http.ResponseWriter, code int, reason metav1.StatusReason) {
	s.answer(w, code, statusOf(code, reason))
}

func statusOf(code int, reason metav1.StatusReason) *metav1.Status {
	return &metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reason, Message: string(reason)}
}

func (s *server) answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.t.Logf("the client went away: %v", err)
	}
}

// refuseWrites and refuseAll are for server.before.
func refuseWrites(r *http.Request) *metav1.Status {
	if r.Method == http.MethodGet {
		return nil
	}
	return refuseAll(r)
}

func refuseAll(*http.Request) *metav1.Status {
	return statusOf(http.StatusForbidden, metav1.StatusReasonForbidden)
}
