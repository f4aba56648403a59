package kube

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/plan"
)

func TestUndeclared(t *testing.T) {
	v := newInventory()
	v.Objects[named(1)] = entry{Source: "app", UID: "u1"}
	v.Objects[named(2)] = entry{Source: "app", UID: "u2"}
	v.Objects[named(3)] = entry{Source: "app", UID: "u3", Adopted: true}
	v.Kept[named(4)] = keptEntry{Source: "old", UID: "u4"}
	v.Kept[named(5)] = keptEntry{Source: "old", UID: "u5"}
	v.Hooks[named(6)] = hookEntry{Source: "app", UID: "u6", Made: true} // rendered at the first installation only
	v.Hooks[named(7)] = hookEntry{Source: "old", UID: "u7", Made: true}
	v.Hooks[named(8)] = hookEntry{Source: "old", UID: "u8"}
	v.Hooks[named(9)] = hookEntry{Source: "old", UID: "u9", Made: true}
	sources := []plan.Source{{
		Name: "app", Objects: []plan.Object{{ID: named(1)}, {ID: named(5)}}, Hooks: []plan.Hook{{Object: plan.Object{ID: named(9)}}},
	}}
	want := map[plan.ID]plan.AppliedRef{
		named(2): {Source: "app", UID: "u2"}, named(4): {Source: "old", UID: "u4"}, named(7): {Source: "old", UID: "u7"},
	}
	if diff := cmp.Diff(want, undeclared(v, declaredBy(sources))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestUndeclaredAsksNothingWhereEverythingIsDeclared(t *testing.T) {
	s, c := serve(t)
	if err := c.ledger.update(t.Context(), func(v inventory) { v.Objects[named(1)] = entry{Source: "app"} }); err != nil {
		t.Fatal(err)
	}
	s.before = refuseAll
	u, err := c.Undeclared(t.Context(), []plan.Source{{Name: "app", Objects: []plan.Object{{ID: named(1)}}}})
	if err != nil || len(u.Objects)+len(u.Gone)+len(u.Others) > 0 {
		t.Errorf("%+v, %v", u, err)
	}
}

func TestTidy(t *testing.T) {
	s, c := serve(t)
	err := c.ledger.update(t.Context(), func(v inventory) {
		v.Objects[named(1)] = entry{Source: "old", Hash: "h"} // another source declares it now
		v.Objects[named(2)] = entry{Source: "old", UID: "u2"}
		v.Objects[named(3)] = entry{Source: "old"}
		v.Kept[named(4)] = keptEntry{Source: "old"}
		v.Hooks[named(5)] = hookEntry{Source: "old"}
		v.Hooks[named(6)] = hookEntry{Source: "app"}
		v.Sources["old"], v.Sources["app"] = true, true
	})
	if err != nil {
		t.Fatal(err)
	}
	sources := []plan.Source{{Name: "app", Objects: []plan.Object{{ID: named(1)}}}, {Name: "never marked"}}
	u := Undeclared{Gone: []plan.ID{named(3)}, Others: map[plan.ID]string{named(4): "x"}}
	for range 2 { // the second has nothing to write
		if err := c.Tidy(t.Context(), sources, u, []plan.ID{named(2)}); err != nil {
			t.Fatal(err)
		}
		s.before = refuseWrites
	}
	got, err := c.ledger.fresh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := newInventory()
	want.Objects[named(1)] = entry{Source: "app", Hash: "h"}
	want.Kept[named(2)] = keptEntry{Source: "old", UID: "u2"}
	want.Hooks[named(6)] = hookEntry{Source: "app"}
	want.Sources["app"], want.Sources["never marked"] = true, true
	if !got.equal(want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestUndeclaredInARealCluster(t *testing.T) {
	c, ns := realCluster(t)
	ctx := t.Context()
	own := ns + "-own"
	space := declare(t, "{apiVersion: v1, kind: Namespace, metadata: {name: "+own+"}}")
	inside := declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: inside, namespace: "+own+"}}")
	lost := declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: lost, namespace: "+ns+"}}")
	remade := declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: remade, namespace: "+ns+"}}")
	wanted := declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: wanted, namespace: "+ns+"}}")
	set := declare(t, `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: `+ns+`}
spec:
  serviceName: db
  replicas: 1
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: main, image: "`+testImage()+`", command: [sleep, "1000"], volumeMounts: [{name: data, mountPath: /data}]}]}}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}]
`)
	applyAll(t, c, space, inside, lost, remade, wanted, set)
	for _, o := range []plan.Object{lost, remade} {
		if err := deleteAs(ctx, c, o.ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := sendAs(ctx, c, "kubectl-create", remade); err != nil {
		t.Fatal(err)
	}
	claim := plan.ID{Kind: "PersistentVolumeClaim", Namespace: ns, Name: "data-db-0"}
	deadline := time.Now().Add(30 * time.Second)
	for u := (Undeclared{}); len(u.Objects[claim].UID) == 0; { // the set's controller makes it
		var err error
		if u, err = c.Undeclared(ctx, []plan.Source{{Name: "source", Objects: []plan.Object{wanted}}}); err != nil || time.Now().After(deadline) {
			t.Fatalf("%+v, %v", u, err)
		}
		if len(u.Objects[claim].UID) == 0 {
			continue
		}
		ids := slices.SortedFunc(maps.Keys(u.Objects), compare)
		if want := []plan.ID{space.ID, claim, set.ID, inside.ID}; len(ids) != len(want) {
			t.Errorf("undeclared: %v, want %v", ids, want)
		}
		if h := u.Holds[space.ID]; len(h) != 1 || h[0] != inside.ID {
			t.Errorf("the namespace holds %v", h)
		}
		if !slices.Equal(u.Gone, []plan.ID{lost.ID}) || len(u.Others) != 1 || u.Others[remade.ID] == "" {
			t.Errorf("gone %v, others %v", u.Gone, u.Others)
		}
	}
	// The set goes, its claim is remembered and goes when data may.
	if err := c.Delete(ctx, "source", set.ID, false, func(string) {}); err != nil {
		t.Fatal(err)
	}
	var said []string
	if err := c.Delete(ctx, "source", claim, false, func(text string) { said = append(said, text) }); err != nil || !strings.Contains(strings.Join(said, " "), "it holds data") {
		t.Errorf("%q, %v", said, err)
	}
	if err := c.Delete(ctx, "source", claim, true, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if u, err := getAs(ctx, c, claim); err != nil || u != nil {
		t.Errorf("the claim is left: %v", err)
	}
	if u, err := getAs(ctx, c, remade.ID); err != nil || u == nil {
		t.Errorf("what somebody made again is gone: %v", err)
	}
}
