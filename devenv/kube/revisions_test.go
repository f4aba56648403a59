package kube

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/devenv-run/devenv/devenv/devenvtest"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/history"
)

// beside is another environment's view of the same cluster.
func beside(c *Cluster, env string) *Cluster {
	other := &Cluster{env: env, manager: c.manager, timeout: c.timeout, now: c.now, config: c.config, http: c.http, dynamic: c.dynamic,
		metadata: c.metadata, core: c.core, apis: c.apis}
	other.ledger = newLedger(c.core, env, c.manager)
	return other
}

func TestStoreContract(t *testing.T) {
	devenvtest.StoreSuite(t, func(t *testing.T) devenvtest.StoreSubject {
		_, c := serve(t)
		return devenvtest.StoreSubject{
			// The name of the one is the beginning of the other's, with a service in between.
			Store: c, Other: beside(c, c.env+"-web"), Refresh: func() history.Store { return beside(c, c.env) },
		}
	})
}

func TestStoreContractOnACluster(t *testing.T) {
	keepSystemNamespace(t)
	devenvtest.StoreSuite(t, func(t *testing.T) devenvtest.StoreSubject {
		o := realOptions(t)
		c := reopen(t, o)
		t.Cleanup(func() {
			for _, one := range []*Cluster{c, beside(c, c.env+"-web")} {
				if err := one.forgetRevisions(context.WithoutCancel(t.Context())); err != nil {
					t.Errorf("clean up: %v", err)
				}
			}
		})
		return devenvtest.StoreSubject{
			Store: c, Other: beside(c, c.env+"-web"),
			Refresh: func() history.Store {
				return reopen(t, Options{Kubeconfig: os.Getenv("DEVENV_E2E_KUBECONFIG"), Environment: c.env, Timeout: c.timeout})
			},
		}
	})
}

func recorded(t *testing.T, c *Cluster, service, content string) history.Revision {
	t.Helper()
	r, err := c.Record(t.Context(), history.Revision{Head: history.Head{Service: service, Content: content}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRevisionsGoWithTheEnvironmentAndOnlyItsOwn(t *testing.T) {
	_, c := serve(t)
	other := beside(c, "test-web")
	recorded(t, c, "web", "a")
	recorded(t, c, "grades", "a")
	recorded(t, other, "web", "a")
	if err := c.forgetRevisions(t.Context()); err != nil {
		t.Fatal(err)
	}
	if heads, err := c.Heads(t.Context()); err != nil || len(heads) != 0 {
		t.Errorf("left: %v, %v", heads, err)
	}
	if heads, err := other.Heads(t.Context()); err != nil || len(heads) != 1 {
		t.Errorf("the other environment's: %v, %v", heads, err)
	}
}

// An answer that got lost on its way leaves a revision that nobody knows of; the next try finds it.
func TestRecordOutlivesALostAnswer(t *testing.T) {
	s, c := serve(t)
	var tries atomic.Int64
	s.before = func(r *http.Request) *metav1.Status {
		if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/secrets") || tries.Add(1) > 1 {
			return nil
		}
		s.before = nil
		// The server does what it is asked to, and what it answers does not arrive.
		s.mu.Lock()
		s.store(discarded{}, r)
		s.mu.Unlock()
		return statusOf(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
	}
	if r := recorded(t, c, "web", "a"); r.Number != 1 || tries.Load() != 1 {
		t.Errorf("number %d after %d lost answers", r.Number, tries.Load())
	}
	if heads, err := c.Heads(t.Context()); err != nil || len(heads) != 1 {
		t.Errorf("%v, %v", heads, err)
	}
}

type discarded struct{}

func (discarded) Header() http.Header         { return http.Header{} }
func (discarded) Write(b []byte) (int, error) { return len(b), nil }
func (discarded) WriteHeader(int)             {}

func TestADamagedRevisionIsNamed(t *testing.T) {
	s, c := serve(t)
	recorded(t, c, "web", "a")
	path := "/api/v1/namespaces/devenv-system/secrets/devenv-revision.test.web.1"
	s.mu.Lock()
	s.objects[path]["data"] = map[string]any{revisionKey: "AAAA"}
	s.mu.Unlock()
	_, err := c.Revision(t.Context(), "web", 1)
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Deploy || !errors.Is(err, history.ErrDamaged) || !strings.Contains(f.Next, "devenv-revision.test.web.1") {
		t.Errorf("got %v", err)
	}
}

func TestARevisionThatDoesNotFitIsSaid(t *testing.T) {
	_, c := serve(t)
	r := history.Revision{Head: history.Head{Service: "web", Content: "a"}}
	random, noise := rand.New(rand.NewPCG(1, 2)), make([]byte, 2*storedLimit) // does not compress
	for i := range noise {
		noise[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[random.IntN(64)]
	}
	r.Objects = []history.Object{{JSON: []byte(`"` + string(noise) + `"`)}}
	_, err := c.Record(t.Context(), r)
	if fault.Of(err) != fault.Deploy || !strings.Contains(err.Error(), "does not fit") {
		t.Errorf("got %v", err)
	}
}

func TestDownTakesTheRevisionsAlong(t *testing.T) {
	c, _ := realCluster(t)
	ctx := t.Context()
	recorded(t, c, "web", "a")
	if _, _, err := c.DeleteAll(ctx, DownOptions{}, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if heads, err := c.Heads(ctx); err != nil || len(heads) != 0 {
		t.Errorf("left: %v, %v", heads, err)
	}
	_, err := c.core.Secrets(systemNamespace).Get(ctx, c.revisionName("web", 1), metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the Secret is left: %v", err)
	}
}
