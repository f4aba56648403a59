package kube

import (
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const slicePath = "/apis/discovery.k8s.io/v1/namespaces/academy/endpointslices/web"

// serveSlice serves an EndpointSlice with a pod that is ready.
func serveSlice(t *testing.T) (*server, *Cluster, *corev1.Pod) {
	t.Helper()
	s, c := serve(t)
	s.put(slicePath, map[string]any{
		"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": map[string]any{"name": "web", "namespace": "academy"},
		"endpoints": []any{map[string]any{"targetRef": map[string]any{"uid": "pod"}, "conditions": map[string]any{"ready": true}}},
	})
	return s, c, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-1", Namespace: "academy", UID: "pod"}}
}

// serving says whether the slice has the pod as ready.
func (s *server) serving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	endpoint := s.objects[slicePath]["endpoints"].([]any)[0].(map[string]any)
	ready, _, _ := unstructured.NestedBool(endpoint, "conditions", "ready")
	return ready
}

// What follows counts from when the controller may have heard of it, however long kube-proxy is waited for.
func TestWithdrawSaysSinceWhen(t *testing.T) {
	s, c, p := serveSlice(t)
	var written time.Time
	s.before = func(r *http.Request) *metav1.Status {
		if r.Method == http.MethodPut {
			written = time.Now()
		}
		return nil
	}
	since, err := c.withdraw(t.Context(), p, time.Time{})
	if err != nil || s.serving() {
		t.Fatalf("error %v; it serves: %v", err, s.serving())
	}
	if since.IsZero() || since.After(written) {
		t.Errorf("it was taken out at %s, which is said to be %s", written, since)
	}
}

// On a machine on which taking a pod out takes so long that its controller is about to put it back, nothing is replaced yet.
func TestWithdrawBeginsAnewWhereItTookTooLong(t *testing.T) {
	s, c, p := serveSlice(t)
	var writes []bool // what each write of the slice is to make of a slice that says this
	s.before = func(r *http.Request) *metav1.Status {
		if r.Method == http.MethodPut {
			if writes = append(writes, s.serving()); len(writes) == 1 {
				time.Sleep(withdrawTime)
			}
		}
		return nil
	}
	since, err := c.withdraw(t.Context(), p, time.Time{})
	if err != nil || s.serving() {
		t.Fatalf("error %v; it serves: %v", err, s.serving())
	}
	if len(writes) != 3 || !writes[0] || writes[1] || !writes[2] {
		t.Errorf("written where it was %v: want out, in, out", writes)
	}
	if time.Since(since) >= withdrawTime {
		t.Errorf("it is out since %s ago", time.Since(since))
	}
}

// While the node still sends connections to the pod, nothing is replaced either.
func TestWithdrawBeginsAnewWhereKubeProxyDoesNotFollow(t *testing.T) {
	s, c, p := serveSlice(t)
	s.put("/api/v1/nodes/one", map[string]any{"metadata": map[string]any{"name": "one"}})
	began, writes := time.Now(), 0
	s.before = func(r *http.Request) *metav1.Status {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.Method == http.MethodPut {
			writes++
		}
		written, now := began.Add(-time.Minute), time.Now()
		if writes > 1 {
			written = now
		}
		s.objects["/api/v1/nodes/one"+proxyHealth] = map[string]any{
			"currentTime": now.Format(time.RFC3339Nano), "status": map[string]any{"IPv4": map[string]any{"lastUpdated": written.Format(time.RFC3339Nano)}},
		}
		return nil
	}
	if _, err := c.withdraw(t.Context(), p, time.Time{}); err != nil || s.serving() || writes != 3 {
		t.Errorf("error %v; it serves: %v; written %d times, want out, in, out", err, s.serving(), writes)
	}
}

func TestWithdrawOfAPodThatIsInNoService(t *testing.T) {
	s, c, p := serveSlice(t)
	p.UID = "another"
	if _, err := c.withdraw(t.Context(), p, time.Time{}); err != nil || !s.serving() {
		t.Errorf("error %v; the other one serves: %v", err, s.serving())
	}
}
