package kube

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestRevision(t *testing.T) {
	owned := func(name, owner, labels string) *corev1.Pod {
		return parsePod(t, `{metadata: {name: `+name+`, uid: `+name+`, labels: {`+labels+`}, ownerReferences: [{uid: `+owner+`, controller: true}]}}`)
	}
	set := func(uid, owner, revision string) *unstructured.Unstructured {
		return parse(t, `{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: `+uid+`, uid: `+uid+`, annotations: {deployment.kubernetes.io/revision: "`+revision+`"},
			ownerReferences: [{uid: `+owner+`, controller: true}]}}`)
	}
	sets := []*unstructured.Unstructured{set("old", "web", "1"), set("new", "web", "2"), set("foreign", "other", "2")}
	leaving := owned("new-z", "new", "")
	now := parsePod(t, `{metadata: {deletionTimestamp: "2026-01-01T12:00:00Z"}}`)
	leaving.DeletionTimestamp = now.DeletionTimestamp
	ofSets := []*corev1.Pod{owned("old-a", "old", ""), owned("new-b", "new", ""), owned("new-a", "new", ""), leaving, owned("foreign-a", "foreign", "")}

	for _, test := range []struct {
		name, object string
		pods         []*corev1.Pod
		want         string
	}{
		{"a Deployment", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, uid: web, generation: 2, annotations: {deployment.kubernetes.io/revision: "2"}}, status: {observedGeneration: 2}}`,
			ofSets, "new-a new-b "},
		{"a Deployment that went back", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, uid: web, generation: 3, annotations: {deployment.kubernetes.io/revision: "1"}}, status: {observedGeneration: 3}}`,
			ofSets, "old-a "},
		{"a Deployment whose controller has not seen it", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, uid: web, generation: 3, annotations: {deployment.kubernetes.io/revision: "2"}}, status: {observedGeneration: 2}}`,
			ofSets, ""},
		{"a Deployment without a set", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, uid: web, generation: 1}, status: {observedGeneration: 1}}`, ofSets, ""},
		{"a StatefulSet", `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, uid: db, generation: 2}, status: {observedGeneration: 2, updateRevision: db-2}}`,
			[]*corev1.Pod{owned("db-0", "db", "controller-revision-hash: db-1"), owned("db-1", "db", "controller-revision-hash: db-2")}, "db-1 "},
		{"a DaemonSet", `{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: log, uid: log, generation: 4, annotations: {deprecated.daemonset.template.generation: "3"}}, status: {observedGeneration: 4}}`,
			[]*corev1.Pod{owned("log-a", "log", `pod-template-generation: "2"`), owned("log-b", "log", `pod-template-generation: "3"`)}, "log-b "},
		{"a Job", `{apiVersion: batch/v1, kind: Job, metadata: {name: load, uid: load, generation: 1}}`, []*corev1.Pod{owned("load-x", "load", ""), owned("load-y", "other", "")}, "load-x "},
		{"a Pod", `{apiVersion: v1, kind: Pod, metadata: {name: p, uid: p}}`, []*corev1.Pod{owned("p", "nobody", "")}, "p "},
	} {
		got := ""
		for _, p := range revision(parse(t, test.object), sets, test.pods) {
			got += p.Name + " "
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	if got := revision(nil, nil, ofSets); got != nil {
		t.Errorf("of nothing: %v", got)
	}
}
