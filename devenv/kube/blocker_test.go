package kube

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestBlocker(t *testing.T) {
	const set = `
apiVersion: apps/v1
kind: %s
metadata: {name: db, namespace: n, uid: set, generation: 3}
spec: {replicas: 3%s}
status: {observedGeneration: %d, updateRevision: new}
`
	pod := func(name, revision, waiting string, ready bool) *corev1.Pod {
		yes := true
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"controller-revision-hash": revision},
			OwnerReferences: []metav1.OwnerReference{{UID: "set", Controller: &yes}}}}
		status := corev1.ContainerStatus{Ready: ready}
		if waiting != "" {
			status.State.Waiting = &corev1.ContainerStateWaiting{Reason: waiting}
		} else {
			status.State.Running = &corev1.ContainerStateRunning{}
		}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{status}
		if ready {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		}
		return p
	}
	going := pod("db-1", "old", "CrashLoopBackOff", false)
	going.DeletionTimestamp = &metav1.Time{}
	stranger := pod("db-1", "old", "CrashLoopBackOff", false)
	stranger.OwnerReferences = nil

	for _, tt := range []struct {
		name, kind, spec string
		observed         int
		pods             []*corev1.Pod
		want             string
	}{
		{name: "a broken pod of an earlier version", pods: []*corev1.Pod{pod("db-0", "first", "", true), pod("db-1", "old", "CrashLoopBackOff", false)}, want: "db-1"},
		{name: "the lowest of several", pods: []*corev1.Pod{pod("db-10", "old", "ErrImagePull", false), pod("db-9", "old", "ImagePullBackOff", false)}, want: "db-9"},
		{name: "its controller waits for one before it", pods: []*corev1.Pod{pod("db-0", "old", "", false), pod("db-1", "old", "CrashLoopBackOff", false)}},
		{name: "of the present version", pods: []*corev1.Pod{pod("db-1", "new", "CrashLoopBackOff", false)}},
		{name: "slow, not broken", pods: []*corev1.Pod{pod("db-1", "old", "", false)}},
		{name: "just being created", pods: []*corev1.Pod{pod("db-1", "old", "ContainerCreating", false)}},
		{name: "going already", pods: []*corev1.Pod{going}},
		{name: "somebody else's", pods: []*corev1.Pod{stranger}},
		{name: "all at once", spec: ", podManagementPolicy: Parallel", pods: []*corev1.Pod{pod("db-1", "old", "CrashLoopBackOff", false)}},
		{name: "replaced by hand, as declared", spec: ", updateStrategy: {type: OnDelete}", pods: []*corev1.Pod{pod("db-1", "old", "CrashLoopBackOff", false)}},
		{name: "not seen by its controller yet", observed: 2, pods: []*corev1.Pod{pod("db-1", "old", "CrashLoopBackOff", false)}},
		{name: "a Deployment", kind: "Deployment", pods: []*corev1.Pod{pod("db-1", "old", "CrashLoopBackOff", false)}},
	} {
		if tt.kind == "" {
			tt.kind = "StatefulSet"
		}
		if tt.observed == 0 {
			tt.observed = 3
		}
		got := ""
		if p := blocker(parse(t, fmt.Sprintf(set, tt.kind, tt.spec, tt.observed)), tt.pods); p != nil {
			got = p.Name
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
