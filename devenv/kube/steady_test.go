package kube

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestUnsteady(t *testing.T) {
	for _, test := range []struct{ name, pod, now, want string }{
		{"just started", `{spec: {containers: [{name: main}]}, status: {containerStatuses: [{name: main, ready: true, state: {running: {startedAt: "2026-01-01T12:00:00Z"}}}]}}`, "12:00:01", "main"},
		{"has run for a while", `{spec: {containers: [{name: main}]}, status: {containerStatuses: [{name: main, ready: true, state: {running: {startedAt: "2026-01-01T12:00:00Z"}}}]}}`, "12:00:03", ""},
		{"restarted", `{spec: {containers: [{name: main}]}, status: {containerStatuses: [{name: main, restartCount: 1, ready: true, state: {running: {startedAt: "2026-01-01T12:00:00Z"}}}]}}`, "12:00:09", "main"},
		{"probed", `{spec: {containers: [{name: main, readinessProbe: {periodSeconds: 1}}]}, status: {containerStatuses: [{name: main, ready: true, state: {running: {startedAt: "2026-01-01T12:00:00Z"}}}]}}`, "12:00:01", ""},
		{"exited meanwhile", `{spec: {containers: [{name: main}]}, status: {containerStatuses: [{name: main, state: {terminated: {exitCode: 1}}}]}}`, "12:00:09", "main"},
		{"done, as the pod of a job", `{spec: {containers: [{name: main}]}, status: {phase: Succeeded, containerStatuses: [{name: main, state: {terminated: {exitCode: 0}}}]}}`, "12:00:09", ""},
		{"ran before its node did", `{spec: {nodeName: restarted, containers: [{name: main, readinessProbe: {periodSeconds: 1}}]}, status: {containerStatuses: [{name: main, ready: true, state: {running: {startedAt: "2026-01-01T11:00:00Z"}}}]}}`, "12:00:09", "main"},
		{"started with its node", `{spec: {nodeName: restarted, containers: [{name: main, readinessProbe: {periodSeconds: 1}}]}, status: {containerStatuses: [{name: main, ready: true, state: {running: {startedAt: "2026-01-01T11:59:59Z"}}}]}}`, "12:00:09", ""},
		{"evicted", `{spec: {containers: [{name: main}]}, status: {phase: Failed, containerStatuses: [{name: main, state: {terminated: {exitCode: 1}}}]}}`, "12:00:09", ""},
	} {
		if got := unsteady([]*corev1.Pod{parsePod(t, test.pod)}, at(test.now), map[string]time.Time{"restarted": at("12:00:00")}); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
