package kube

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

func TestDecodeLeavesOutWhatServersWrite(t *testing.T) {
	u, err := decode(plan.Object{JSON: []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","uid":"1","resourceVersion":"2","generation":3,
		"creationTimestamp":null,"managedFields":[],"labels":{"a":"b"}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"name": "x", "labels": map[string]any{"a": "b"}}, u.Object["metadata"]); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeSecret(t *testing.T) {
	u, err := decode(plan.Object{JSON: []byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"data":{"a":"b2xk","b":"Yg=="},"stringData":{"a":"new"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"a": "bmV3", "b": "Yg=="}, u.Object["data"]); diff != "" {
		t.Error(diff)
	}
	if _, ok := u.Object["stringData"]; ok {
		t.Error("stringData is sent")
	}
}

func TestDecodeRefusesWhatIsNoObject(t *testing.T) {
	for _, body := range []string{``, `[]`, `{"kind":"ConfigMap"`, `{"apiVersion":"v1"}`, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"stringData":[1]}`} {
		_, err := decode(plan.Object{ID: plan.ID{Kind: "ConfigMap", Name: "x"}, JSON: []byte(body), Origin: "a.yaml"})
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Config || f.Where != "a.yaml" || f.Next == "" {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestImages(t *testing.T) {
	for manifest, want := range map[string][]string{
		`{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}`:                                                                                                             nil,
		`{apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: [{image: a}, {image: b}], initContainers: [{image: c}]}}`:                                       {"c", "a", "b"},
		`{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {template: {spec: {containers: [{image: a}, {image: a}], volumes: [{image: {reference: d}}]}}}}`: {"a", "d"},
		`{apiVersion: batch/v1, kind: CronJob, metadata: {name: x}, spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: a}]}}}}}}`:                            {"a"},
	} {
		if got := images(parse(t, manifest)); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", manifest, got, want)
		}
	}
}

func TestHoldings(t *testing.T) {
	u := parse(t, driftLive)
	first := holdings(u, "devenv", false)
	if len(first) != 16 || first != holdings(u, "devenv", false) {
		t.Errorf("holdings %q", first)
	}
	if holdings(u, "kubectl-edit", false) != "" {
		t.Error("an update counts as applied")
	}
	if holdings(u, "nobody", false) != "" {
		t.Error("nobody holds something")
	}
	lost := parse(t, strings.Replace(driftLive, `{"f:app": {}}`, `{}`, 1))
	if holdings(lost, "devenv", false) == first {
		t.Error("a lost field is not seen")
	}
	if got := managers(u, "devenv"); !slices.Equal(got, []string{"kubectl-edit"}) {
		t.Errorf("managers %v", got)
	}
}
