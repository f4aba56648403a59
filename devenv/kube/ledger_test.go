package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

const inventoryPath = "/api/v1/namespaces/devenv-system/configmaps/devenv-inventory-test"

func named(i int) plan.ID {
	return plan.ID{Kind: "ConfigMap", Namespace: "academy", Name: fmt.Sprint("c-", i)}
}

func TestLedgerSharesWrites(t *testing.T) {
	s, c := serve(t)
	const many = 60
	var group sync.WaitGroup
	for i := range many {
		group.Go(func() {
			err := c.ledger.update(t.Context(), func(v inventory) { v.Objects[named(i)] = entry{Source: "s"} })
			if err != nil {
				t.Error(err)
			}
			// It is stored when update returns.
			v, err := c.ledger.fresh(t.Context())
			if _, ok := v.Objects[named(i)]; !ok || err != nil {
				t.Errorf("%s is not stored: %v", named(i), err)
			}
		})
	}
	group.Wait()
	v, err := c.ledger.fresh(t.Context())
	if err != nil || len(v.Objects) != many {
		t.Fatalf("%d objects stored, %v", len(v.Objects), err)
	}
	t.Logf("%d updates, %d writes", many, s.writes)
}

func TestLedgerWritesNothingForNothing(t *testing.T) {
	s, c := serve(t)
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.writes != 0 {
		t.Errorf("%d writes", s.writes)
	}
}

func TestLedgerMakesItsChangeOnWhatSomebodyElseWrote(t *testing.T) {
	_, c := serve(t)
	other := newLedger(c.core, c.env, c.manager)
	for i, l := range []*ledger{c.ledger, other, c.ledger, other} {
		if err := l.update(t.Context(), func(v inventory) { v.Objects[named(i)] = entry{Source: "s"} }); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := c.ledger.fresh(t.Context()); err != nil || len(v.Objects) != 4 {
		t.Errorf("%d objects, %v", len(v.Objects), err)
	}
}

func TestLedgerComesBackAfterItWasDeleted(t *testing.T) {
	s, c := serve(t)
	if err := c.ledger.update(t.Context(), func(v inventory) { v.Objects[named(1)] = entry{} }); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	delete(s.objects, inventoryPath)
	s.mu.Unlock()
	if err := c.ledger.update(t.Context(), func(v inventory) { v.Objects[named(2)] = entry{} }); err != nil {
		t.Fatal(err)
	}
	if v, err := c.ledger.fresh(t.Context()); err != nil || len(v.Objects) != 1 {
		t.Errorf("%v, %v", v, err)
	}
}

func TestLedgerOutlivesAnAbsentServer(t *testing.T) {
	s, c := serve(t)
	var asked atomic.Int64
	s.before = func(*http.Request) *metav1.Status {
		if asked.Add(1) < 4 {
			return statusOf(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
		}
		return nil
	}
	if err := c.ledger.update(t.Context(), func(v inventory) { v.Objects[named(1)] = entry{} }); err != nil {
		t.Error(err)
	}
}

func TestLedgerWriteIsNotInterruptedHalfway(t *testing.T) {
	s, c := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.before = func(r *http.Request) *metav1.Status {
		if r.Method != http.MethodGet {
			cancel()
		}
		return nil
	}
	if err := c.ledger.update(ctx, func(v inventory) { v.Objects[named(1)] = entry{} }); err != nil {
		t.Errorf("an interruption in the middle of the write: %v", err)
	}
	if v, err := c.ledger.fresh(t.Context()); err != nil || len(v.Objects) != 1 {
		t.Errorf("%v, %v", v, err)
	}
}

func TestLedgerReportsDamage(t *testing.T) {
	s, c := serve(t)
	s.put(inventoryPath, map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "devenv-inventory-test"}, "data": map[string]any{plainKey: "{"}})
	_, err := c.ledger.current(t.Context())
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Deploy || !strings.Contains(f.Next, "devenv-inventory-test") {
		t.Errorf("got %v", err)
	}
	if err := c.ledger.update(t.Context(), func(v inventory) { v.Objects[named(1)] = entry{} }); err == nil {
		t.Error("a damaged inventory was overwritten")
	}
}

func TestLedgerGoes(t *testing.T) {
	s, c := serve(t)
	if err := c.ledger.update(t.Context(), func(v inventory) { v.Objects[named(1)] = entry{} }); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.ledger.remove(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s.objects[inventoryPath] != nil {
		t.Error("it is still stored")
	}
	if v, err := c.ledger.current(t.Context()); err != nil || !v.empty() {
		t.Errorf("%v, %v", v, err)
	}
}
