package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

func configMaps(c *Cluster) dynamic.ResourceInterface {
	return c.dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace("academy")
}

func (s *server) add(name string, version int) map[string]any {
	o := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": "academy", "uid": name}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version = max(s.version, version-1)
	s.put("/api/v1/namespaces/academy/configmaps/"+name, o)
	return o
}

func (s *server) remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, "/api/v1/namespaces/academy/configmaps/"+name)
}

// send writes one event of a watch.
func send(w http.ResponseWriter, kind string, o any) {
	body, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(w, `{"type":%q,"object":%s}`+"\n", kind, body)
	w.(http.Flusher).Flush()
}

// names waits until the picture shows exactly these objects.
func waitForNames(t *testing.T, p *picture, changed poke, want ...string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		items, whole := p.look()
		var got []string
		for _, u := range items {
			got = append(got, u.GetName())
		}
		slices.Sort(got)
		if whole && slices.Equal(got, want) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("the picture shows %v, want %v", got, want)
		}
	}
}

func TestFollow(t *testing.T) {
	s, c := serve(t)
	s.add("one", 1)
	events := make(chan func(http.ResponseWriter))
	s.watch = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		for {
			select {
			case e := <-events:
				if e == nil {
					return // the connection ends
				}
				e(w)
			case <-r.Context().Done():
				return
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var p picture
	changed, ended := newPoke(), make(chan error, 1)
	go func() { ended <- follow(ctx, configMaps(c), metav1.ListOptions{}, &p, changed.give) }()
	waitForNames(t, &p, changed, "one")

	two := s.add("two", 5)
	events <- func(w http.ResponseWriter) { send(w, "ADDED", two) }
	waitForNames(t, &p, changed, "one", "two")
	events <- func(w http.ResponseWriter) { send(w, "BOOKMARK", two) }

	// What changes while no connection is there is seen with the next one.
	s.remove("one")
	s.add("three", 7)
	events <- nil
	waitForNames(t, &p, changed, "three", "two")

	// The server no longer knows the version.
	s.add("four", 9)
	events <- func(w http.ResponseWriter) { send(w, "ERROR", statusOf(http.StatusGone, metav1.StatusReasonExpired)) }
	waitForNames(t, &p, changed, "four", "three", "two")

	events <- func(w http.ResponseWriter) { send(w, "DELETED", two) }
	waitForNames(t, &p, changed, "four", "three")
	if last := p.deleted(); last == nil || last.GetName() != "two" {
		t.Errorf("deleted last: %v", last)
	}

	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestFollowGoesOnAfterTheServerWasAway(t *testing.T) {
	s, c := serve(t)
	s.add("one", 1)
	var asked atomic.Int64
	s.before = func(*http.Request) *metav1.Status {
		if asked.Add(1) <= 3 {
			return statusOf(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
		}
		return nil
	}
	s.watch = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	ctx, cancel := context.WithCancel(t.Context())
	var p picture
	changed, ended := newPoke(), make(chan error, 1)
	go func() { ended <- follow(ctx, configMaps(c), metav1.ListOptions{}, &p, changed.give) }()
	<-changed
	waitForNames(t, &p, changed, "one")
	if p.trouble() != nil {
		t.Errorf("trouble that is over: %v", p.trouble())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestFollowEndsWhereItMayNotLook(t *testing.T) {
	s, c := serve(t)
	s.before = func(*http.Request) *metav1.Status {
		return statusOf(http.StatusForbidden, metav1.StatusReasonForbidden)
	}
	var p picture
	err := follow(t.Context(), configMaps(c), metav1.ListOptions{}, &p, func() {})
	if !apierrors.IsForbidden(err) {
		t.Errorf("got %v", err)
	}
}

func TestEachLine(t *testing.T) {
	long := strings.Repeat("x", longestLine+10)
	for _, test := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"a\nb\n", []string{"a", "b"}},
		{"a\n\nb", []string{"a", "", "b"}},
		{long + "\nb\n", []string{long[:longestLine], "b"}},
	} {
		var got []string
		if err := eachLine(strings.NewReader(test.in), func(l string) { got = append(got, l) }); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%.20q: %d lines, %v", test.in, len(got), err)
		}
	}
	broken := errors.New("broken")
	var got []string
	err := eachLine(brokenReader{strings.NewReader("a\nb"), broken}, func(l string) { got = append(got, l) })
	if !errors.Is(err, broken) || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%v, %v", got, err)
	}
}

// brokenReader ends with an error.
type brokenReader struct {
	r   *strings.Reader
	err error
}

func (b brokenReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil {
		return n, b.err
	}
	return n, nil
}

func FuzzEachLine(f *testing.F) {
	f.Add("a\nb\n")
	f.Add("\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		var got []string
		if err := eachLine(strings.NewReader(text), func(l string) { got = append(got, l) }); err != nil {
			t.Fatal(err)
		}
		if joined := strings.Join(got, "\n"); joined != strings.TrimSuffix(text, "\n") {
			t.Errorf("%q came out as %q", text, joined)
		}
	})
}
