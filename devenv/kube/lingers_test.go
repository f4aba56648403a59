package kube

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestLingers(t *testing.T) {
	exec := func(words ...string) *corev1.LifecycleHandler {
		return &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: words}}
	}
	for name, test := range map[string]struct {
		preStop *corev1.LifecycleHandler
		want    time.Duration
	}{
		"none":            {nil, 0},
		"sleep":           {&corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}}, 5 * time.Second},
		"a program":       {exec("/bin/sleep", "3"), 3 * time.Second},
		"a shell":         {exec("sh", "-c", "sleep 0.5"), 500 * time.Millisecond},
		"a unit":          {exec("sleep", "2s"), 2 * time.Second},
		"more than a nap": {exec("sh", "-c", "sleep 5 && nginx -s quit"), 0},
		"something else":  {exec("nginx", "-s", "quit"), 0},
		"a request":       {&corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/drain"}}, 0},
		"not a number":    {exec("sleep", "infinity-ish"), 0},
	} {
		if got := lingers(corev1.Container{Lifecycle: &corev1.Lifecycle{PreStop: test.preStop}}); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	if got := lingers(corev1.Container{}); got != 0 {
		t.Errorf("without a lifecycle: %v", got)
	}
}
