package kube

import (
	"errors"
	"strings"
	"testing"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// neighbour opens another environment in the same cluster.
func neighbour(s *server) *Cluster { return s.open(Options{Environment: "other", UID: serverUID}) }

func requireTaken(t *testing.T, what string, err error, names ...string) {
	t.Helper()
	if f := (*fault.Error)(nil); !errors.As(err, &f) || f.Kind != fault.Refused || f.Next == "" {
		t.Errorf("%s: %v, want a refusal", what, err)
		return
	}
	for _, name := range names {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %q does not name %s", what, err, name)
		}
	}
}

func TestObjectsOfAnotherEnvironmentAreRefused(t *testing.T) {
	s, c := serve(t)
	serveSettings(s)
	settings := declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: academy}}")
	hook := declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: h, namespace: academy}}")
	held := declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: k, namespace: academy}}")
	adopted := declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: academy}}")
	s.put("/api/v1/namespaces/academy/configmaps/c", map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{
		"name": "c", "namespace": "academy", "uid": "u1",
		"managedFields": []any{map[string]any{"manager": "devenv", "operation": "Apply", "apiVersion": "v1", "fieldsV1": map[string]any{"f:data": map[string]any{}}}},
	}})
	other := neighbour(s)
	err := other.ledger.update(t.Context(), func(v inventory) {
		v.Objects[settings.ID] = entry{Source: "s", Hash: "h", UID: "u1"}
		v.Objects[adopted.ID] = entry{Source: "s", Adopted: true}
		v.Hooks[hook.ID] = hookEntry{Source: "s", Made: true}
		v.Kept[held.ID] = keptEntry{Source: "s"}
	})
	if err != nil {
		t.Fatal(err)
	}
	s.before = refuseWrites

	for _, o := range []plan.Object{settings, hook, held} {
		_, err := c.Observe(t.Context(), []plan.Source{{Name: "s", Objects: []plan.Object{o}}})
		requireTaken(t, "observe", err, o.ID.String(), "environment other")
	}
	_, err = c.Observe(t.Context(), []plan.Source{{Name: "s", Objects: []plan.Object{settings, held}, Hooks: []plan.Hook{{Object: hook}}}})
	requireTaken(t, "observe", err, settings.ID.String()+" and 2 objects more", "environment other")
	if _, err := c.Observe(t.Context(), []plan.Source{{Name: "s", Objects: []plan.Object{adopted}}}); err != nil {
		t.Errorf("what the other environment only took over: %v", err)
	}
	_, err = c.Apply(t.Context(), "s", settings)
	requireTaken(t, "apply", err, settings.ID.String(), "environment other")
	requireTaken(t, "run", c.Run(t.Context(), "s", plan.Hook{Object: settings}, func(string) {}), settings.ID.String(), "environment other")

	// What belongs to it is no obstacle to its own environment.
	s.before = nil
	if _, err := other.Observe(t.Context(), []plan.Source{{Name: "s", Objects: []plan.Object{held}}}); err != nil {
		t.Error(err)
	}
}

// Both inventories list the object, as ones of an earlier devenv may.
func TestWhatAnotherEnvironmentHasIsNotDeleted(t *testing.T) {
	s, c := serve(t)
	serveSettings(s)
	path := "/api/v1/namespaces/academy/configmaps/c-1"
	s.put(path, map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "c-1", "namespace": "academy", "uid": "u1"}})
	for _, l := range []*ledger{c.ledger, neighbour(s).ledger} {
		if err := l.update(t.Context(), func(v inventory) { v.Objects[named(1)] = entry{Source: "s", UID: "u1"} }); err != nil {
			t.Fatal(err)
		}
	}
	u, err := c.Undeclared(t.Context(), nil)
	if err != nil || len(u.Objects) != 0 || u.Others[named(1)] != "it belongs to the environment other" {
		t.Errorf("%+v, %v", u, err)
	}
	var said []string
	if err := c.Delete(t.Context(), "s", named(1), true, func(text string) { said = append(said, text) }); err != nil {
		t.Fatal(err)
	}
	if s.objects[path] == nil || !strings.Contains(strings.Join(said, " "), "environment other") {
		t.Errorf("the object is %v; said %q", s.objects[path], said)
	}
	v, err := c.ledger.fresh(t.Context())
	if err != nil || !v.empty() {
		t.Errorf("the inventory still has %+v, %v", v, err)
	}
}

func TestTwoEnvironmentsInARealCluster(t *testing.T) {
	a, ns := realCluster(t)
	b, _ := realCluster(t)
	ctx := t.Context()
	mine := declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: "+ns+"}, data: {of: a}}")
	theirs := declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: "+ns+"}, data: {of: b}}")
	applyAll(t, a, mine)
	before, err := getAs(ctx, a, mine.ID)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Observe(ctx, []plan.Source{{Name: "s", Objects: []plan.Object{theirs}}})
	requireTaken(t, "observe", err, mine.ID.String(), a.env)
	_, err = b.Apply(ctx, "s", theirs)
	requireTaken(t, "apply", err, mine.ID.String(), a.env)
	requireTaken(t, "run", b.Run(ctx, "s", plan.Hook{Object: theirs}, func(string) {}), mine.ID.String(), a.env)
	if _, _, err := b.DeleteAll(ctx, DownOptions{Data: true}, func(string) {}); err != nil {
		t.Error(err)
	}
	after, err := getAs(ctx, a, mine.ID)
	if err != nil || after == nil || after.GetResourceVersion() != before.GetResourceVersion() {
		t.Errorf("it changed: %v, %v", after, err)
	}
	if o := observed(t, a, plan.Source{Name: "source", Objects: []plan.Object{mine}}); o.Live[mine.ID].Drift != "" || !o.Live[mine.ID].Exists {
		t.Errorf("%+v", o.Live)
	}
}
