package kube

import (
	"reflect"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/devenv-run/devenv/devenv/plan"
)

const scaledLive = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: grades
  managedFields:
  - {manager: devenv, operation: Apply, fieldsV1: {"f:spec": {"f:replicas": {}, "f:template": {}}}}
  - {manager: devenv-autoscaled, operation: Apply, fieldsV1: {"f:spec": {"f:replicas": {}}}}
  - {manager: kube-controller-manager, operation: Update, subresource: scale, fieldsV1: {"f:spec": {"f:replicas": {}}}}
spec: {replicas: 3}
`

const scaledLost = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: grades
  managedFields:
  - {manager: devenv, operation: Apply, fieldsV1: {"f:spec": {"f:template": {}}}}
spec: {replicas: 3}
`

func TestHoldsReplicas(t *testing.T) {
	for manager, want := range map[string]bool{"devenv": true, "kube-controller-manager": false, "nobody": false} {
		if got := holdsReplicas(parse(t, scaledLive), manager); got != want {
			t.Errorf("%s: %v, want %v", manager, got, want)
		}
	}
	if holdsReplicas(parse(t, scaledLost), "devenv") {
		t.Error("devenv holds what it lost")
	}
}

// Losing the replicas is a change of the field set, unless an autoscaler decides them; and looking changes nothing.
func TestHoldingsOfAutoscaled(t *testing.T) {
	u := parse(t, scaledLive)
	with, without := holdings(u, "devenv", true), holdings(parse(t, scaledLost), "devenv", true)
	if with == "" || with != without {
		t.Errorf("holdings %q before the autoscaler took the replicas, %q after", with, without)
	}
	if holdings(u, "devenv", false) == holdings(parse(t, scaledLost), "devenv", false) {
		t.Error("a lost number of replicas is not seen where nothing scales")
	}
	if !reflect.DeepEqual(u, parse(t, scaledLive)) {
		t.Error("the object was changed")
	}
}

func TestWithReplicasOf(t *testing.T) {
	declared := parse(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: grades}, spec: {replicas: 1, paused: true}}")
	got := withReplicasOf(parse(t, scaledLive), declared)
	want := parse(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: grades}, spec: {replicas: 3, paused: true}}")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got.Object, want.Object)
	}
	if n, _, _ := unstructured.NestedInt64(declared.Object, "spec", "replicas"); n != 1 {
		t.Error("the declaration was changed")
	}
}

// An autoscaler writes through the scale subresource. Then nothing has drifted, and the next apply leaves its number alone.
func TestAutoscaledByTheScaleSubresource(t *testing.T) {
	c, ns := realCluster(t)
	ctx := t.Context()
	workload := func(turn string) plan.Object {
		o := declare(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: "+ns+", labels: {turn: "+turn+"}}, spec: {replicas: 1, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: "+sleeper(forever, "")+"}}}")
		o.Autoscaled = true
		return o
	}
	scale := func(n string) {
		t.Helper()
		a, err := c.apis.find(ctx, groupKind(plan.ID{Group: "apps", Kind: "Deployment"}), "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.dynamic.Resource(a.GVR).Namespace(ns).Patch(ctx, "web", types.MergePatchType, []byte(`{"spec":{"replicas":`+n+`}}`),
			metav1.PatchOptions{FieldManager: "kube-controller-manager"}, "scale")
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func(o plan.Object, replicas int64) {
		t.Helper()
		if live := observed(t, c, plan.Source{Name: "source", Objects: []plan.Object{o}}).Live[o.ID]; live.Drift != "" {
			t.Errorf("drift: %s", live.Drift)
		}
		u, err := getAs(ctx, c, o.ID)
		if err != nil {
			t.Fatal(err)
		}
		if n, _, _ := unstructured.NestedInt64(u.Object, "spec", "replicas"); n != replicas {
			t.Errorf("%d replicas, want %d", n, replicas)
		}
		t.Logf("managers %v", managers(u))
	}
	o := workload("first")
	applyAll(t, c, o)
	check(o, 1)
	scale("3")
	check(o, 3)
	o = workload("second")
	applyAll(t, c, o)
	check(o, 3)
	scale("2")
	check(o, 2)
	u, err := getAs(ctx, c, o.ID)
	if err != nil {
		t.Fatal(err)
	}
	if holdsReplicas(u, c.manager) || holdsReplicas(u, c.holder()) {
		t.Error("the autoscaler is not the only owner of the number it set")
	}
}
