package kube

import (
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestProxied(t *testing.T) {
	const slow, silent = "/api/v1/nodes/slow" + proxyHealth, "/api/v1/nodes/silent" + proxyHealth
	s, c := serve(t)
	since := time.Now()
	// health is kube-proxy's on a node whose clock is an hour ahead.
	health := func(written time.Time) map[string]any {
		now := time.Now().Add(time.Hour)
		stamp := func(at time.Time) string { return at.Format(time.RFC3339Nano) }
		return map[string]any{"currentTime": stamp(now), "lastUpdated": stamp(now), "status": map[string]any{
			"IPv4": map[string]any{"lastUpdated": stamp(written.Add(time.Hour)), "healthy": true},
			"IPv6": map[string]any{"lastUpdated": stamp(since.Add(-time.Minute)), "healthy": true},
		}}
	}
	asked, follows := 0, 3
	s.before = func(r *http.Request) *metav1.Status {
		s.mu.Lock()
		defer s.mu.Unlock()
		if strings.Contains(r.URL.Path, "/slow") {
			written := since.Add(-time.Second)
			if asked++; asked >= follows {
				written = time.Now()
			}
			s.objects[slow] = health(written)
		}
		return nil
	}
	s.objects[silent] = map[string]any{"healthy": true} // as earlier versions said it
	if !c.proxied(t.Context(), []string{"slow", "silent", "away"}, since, time.Now().Add(time.Minute)) {
		t.Error("it has written rules")
	}
	if asked < follows || asked > follows+1 { // once more where it wrote between the question and its answer
		t.Errorf("it was asked %d times", asked)
	}
	asked, follows = 0, 1_000_000
	if c.proxied(t.Context(), []string{"slow", "silent"}, since, time.Now().Add(100*time.Millisecond)) {
		t.Error("it has written no rules")
	}
}
