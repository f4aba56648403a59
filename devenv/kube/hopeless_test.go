package kube

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// In these tests the wait began at 12:00:00 and the pod got its node a second later, unless it says otherwise.
const placed = `conditions: [{type: PodScheduled, status: "True", lastTransitionTime: "2026-01-01T12:00:01Z"}]`

func at(clock string) time.Time {
	t, err := time.Parse("15:04:05", clock)
	if err != nil {
		panic(err)
	}
	return time.Date(2026, 1, 1, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

func TestHopeless(t *testing.T) {
	for _, test := range []struct {
		name, status string
		now          string
		retries      bool
		want         string // the verdict's reason; empty for none
		says         string // part of its message
	}{
		{name: "nothing known yet", status: `{phase: Pending}`, now: "12:00:30"},
		{name: "being created", status: `{` + placed + `, containerStatuses: [{name: main, state: {waiting: {reason: ContainerCreating}}}]}`, now: "12:04:00"},

		{name: "image being looked for", status: `{` + placed + `, containerStatuses: [{name: main, state: {waiting: {reason: ErrImagePull, message: "dial tcp: i/o timeout"}}}]}`, now: "12:00:10"},
		{name: "image not to be had for long", status: `{` + placed + `, containerStatuses: [{name: main, state: {waiting: {reason: ImagePullBackOff, message: "dial tcp: i/o timeout"}}}]}`,
			now: "12:00:32", want: "ImagePullBackOff", says: "timeout"},
		{name: "image that does not exist", status: `{` + placed + `, containerStatuses: [{name: main, state: {waiting: {reason: ErrImagePull, message: "web:1: not found"}}}]}`,
			now: "12:00:02", want: "ErrImagePull", says: "web:1"},
		{name: "image that is brought to an old pod", now: "12:00:10",
			status: `{conditions: [{type: PodScheduled, status: "True", lastTransitionTime: "2026-01-01T11:00:00Z"}],
			containerStatuses: [{name: main, state: {waiting: {reason: ImagePullBackOff, message: "web:1: not found"}}}]}`},
		{name: "image that no pod can be told by", status: `{` + placed + `, initContainerStatuses: [{name: first, state: {waiting: {reason: InvalidImageName, message: "couldn't parse"}}}]}`,
			now: "12:00:02", want: "InvalidImageName"},

		{name: "configuration a moment late", status: `{` + placed + `, containerStatuses: [{name: main, state: {waiting: {reason: CreateContainerConfigError, message: 'configmap "x" not found'}}}]}`, now: "12:00:05"},
		{name: "configuration missing", status: `{` + placed + `, containerStatuses: [{name: main, state: {waiting: {reason: CreateContainerConfigError, message: 'configmap "x" not found'}}}]}`,
			now: "12:00:12", want: "CreateContainerConfigError", says: `configmap "x" not found`},

		{name: "exited once", now: "12:00:05", status: `{` + placed + `, containerStatuses: [{name: main, restartCount: 0,
			state: {terminated: {exitCode: 1, finishedAt: "2026-01-01T12:00:04Z"}}}]}`},
		{name: "exited twice, waits for its second restart", now: "12:00:09", status: `{` + placed + `, containerStatuses: [{name: main, restartCount: 1,
			state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 1, finishedAt: "2026-01-01T12:00:08Z"}}}]}`},
		{name: "runs after two restarts", now: "12:00:25", status: `{` + placed + `, containerStatuses: [{name: main, restartCount: 2,
			state: {running: {startedAt: "2026-01-01T12:00:20Z"}}, lastState: {terminated: {exitCode: 1, finishedAt: "2026-01-01T12:00:08Z"}}}]}`},
		{name: "exited three times", now: "12:00:25", status: `{` + placed + `, containerStatuses: [{name: main, restartCount: 2,
			state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 3, reason: Error, finishedAt: "2026-01-01T12:00:24Z"}}}]}`,
			want: "CrashLoopBackOff", says: "container main exited 3 times, last with exit code 3"},
		{name: "runs after three restarts, not ready", now: "12:02:25", status: `{` + placed + `, containerStatuses: [{name: main, restartCount: 3,
			state: {running: {startedAt: "2026-01-01T12:02:20Z"}}, lastState: {terminated: {exitCode: 137, finishedAt: "2026-01-01T12:02:19Z"}}}]}`,
			want: "CrashLoopBackOff", says: "exit code 137"},
		{name: "ready after three restarts", now: "12:02:25", status: `{` + placed + `, containerStatuses: [{name: main, restartCount: 3, ready: true,
			state: {running: {startedAt: "2026-01-01T12:02:20Z"}}, lastState: {terminated: {exitCode: 137, finishedAt: "2026-01-01T12:02:19Z"}}}]}`},
		{name: "has no memory", now: "12:00:25", status: `{` + placed + `, containerStatuses: [{name: main, restartCount: 2,
			state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled, finishedAt: "2026-01-01T12:00:24Z"}}}]}`,
			want: "OOMKilled", says: "exit code 137 (OOMKilled)"},
		{name: "exited before the wait", now: "12:00:25", status: `{` + placed + `, containerStatuses: [{name: main, restartCount: 7,
			state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 1, finishedAt: "2026-01-01T11:58:00Z"}}}]}`},
		{name: "exited before the wait and does not come back", now: "12:01:01", status: `{` + placed + `, containerStatuses: [{name: main, restartCount: 7,
			state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 1, finishedAt: "2026-01-01T11:58:00Z"}}}]}`,
			want: "CrashLoopBackOff"},
		{name: "restarts of a node, long ago", now: "12:03:00", status: `{` + placed + `, containerStatuses: [{name: main, restartCount: 9,
			state: {running: {startedAt: "2026-01-01T11:00:00Z"}}, lastState: {terminated: {exitCode: 255, finishedAt: "2026-01-01T10:59:00Z"}}}]}`},
		{name: "a job's container that exits", now: "12:00:25", retries: true, status: `{` + placed + `, containerStatuses: [{name: main, restartCount: 4,
			state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 1, finishedAt: "2026-01-01T12:00:24Z"}}}]}`},
		{name: "an init container that is through, for the fourth time", now: "12:00:25", status: `{` + placed + `, initContainerStatuses: [{name: first, restartCount: 3,
			state: {terminated: {exitCode: 0, finishedAt: "2026-01-01T12:00:20Z"}}, lastState: {terminated: {exitCode: 1, finishedAt: "2026-01-01T12:00:19Z"}}}]}`},

		{name: "no node for a moment", now: "12:00:20", status: `{conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, lastTransitionTime: "2026-01-01T12:00:01Z", message: Insufficient cpu}]}`},
		{name: "no node", now: "12:00:22", status: `{conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, lastTransitionTime: "2026-01-01T12:00:01Z", message: "0/1 nodes are available: Insufficient cpu."}]}`,
			want: "Unschedulable", says: "Insufficient cpu"},
		{name: "a volume on its way", now: "12:00:30", status: `{conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, lastTransitionTime: "2026-01-01T12:00:01Z",
			message: "pod has unbound immediate PersistentVolumeClaims"}]}`},
		{name: "no node since yesterday, tried again", now: "12:00:10", status: `{conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, lastTransitionTime: "2025-12-31T12:00:01Z", message: Insufficient cpu}]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := parsePod(t, "{metadata: {name: web}, status: "+test.status+"}")
			v := hopeless([]*corev1.Pod{p}, at(test.now), at("12:00:00"), test.retries)
			if v == nil {
				v = &verdict{}
			}
			if v.Reason != test.want || !strings.Contains(v.Message, test.says) {
				t.Errorf("verdict %q %q, want %q %q", v.Reason, v.Message, test.want, test.says)
			}
			if v.Reason != "" && (v.Next == "" || v.Pod != p) {
				t.Errorf("incomplete: %+v", v)
			}
		})
	}
}

func TestObstacle(t *testing.T) {
	refused := parse(t, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, status: {conditions: [{type: ReplicaFailure, status: "True", reason: FailedCreate,
		message: "pods are forbidden: exceeded quota", lastTransitionTime: "2026-01-01T12:00:01Z"}]}}`)
	if v := obstacle(refused, condition{}, at("12:00:15"), at("12:00:00")); v != nil {
		t.Errorf("too early: %+v", v)
	}
	if v := obstacle(refused, condition{}, at("12:00:25"), at("12:00:00")); v == nil || v.Reason != "FailedCreate" || !strings.Contains(v.Message, "quota") {
		t.Errorf("got %+v", v)
	}
	failed := condition{Failed: true, Reason: "BackoffLimitExceeded", Message: "m"}
	if v := obstacle(refused, failed, at("12:00:01"), at("12:00:00")); v == nil || v.Reason != failed.Reason {
		t.Errorf("got %+v", v)
	}
}

func TestWhatOnlyEventsTell(t *testing.T) {
	event := func(reason string) corev1.Event {
		return corev1.Event{Type: "Warning", Reason: reason, Message: "because"}
	}
	for _, test := range []struct {
		name   string
		judge  func([]corev1.Event, time.Time, time.Time) *verdict
		events []string
		now    string
		want   string
	}{
		{"no pods, early", unborn, []string{"FailedCreate"}, "12:00:10", ""},
		{"no pods", unborn, []string{"FailedCreate"}, "12:00:30", "FailedCreate"},
		{"no pods at first", unborn, []string{"FailedCreate", "SuccessfulCreate"}, "12:00:30", ""},
		{"no volume", unbound, []string{"ProvisioningFailed"}, "12:00:30", "ProvisioningFailed"},
		{"no class", unbound, []string{"FailedBinding"}, "12:00:30", "FailedBinding"},
		{"a volume on its way", unbound, []string{"ExternalProvisioning"}, "12:00:30", ""},
	} {
		var events []corev1.Event
		for _, reason := range test.events {
			events = append(events, event(reason))
		}
		got := ""
		if v := test.judge(events, at(test.now), at("12:00:00")); v != nil {
			got = v.Reason
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestProgress(t *testing.T) {
	for _, test := range []struct{ name, pod, want string }{
		{"no node", `{}`, "waiting for a node"},
		{"creation", `{spec: {nodeName: n}, status: {containerStatuses: [{name: main, state: {waiting: {reason: ContainerCreating}}}]}}`, "main is being created"},
		{"image", `{spec: {nodeName: n}, status: {containerStatuses: [{name: main, image: "web:1", state: {waiting: {reason: ImagePullBackOff}}}]}}`, "waiting for image web:1"},
		{"init container", `{spec: {nodeName: n, initContainers: [{name: migrate}]}, status: {initContainerStatuses: [{name: migrate, state: {running: {}}}],
			containerStatuses: [{name: main, state: {waiting: {reason: PodInitializing}}}]}}`, "init container migrate runs"},
		{"sidecar", `{spec: {nodeName: n, initContainers: [{name: proxy, restartPolicy: Always}]}, status: {initContainerStatuses: [{name: proxy, ready: true, state: {running: {}}}],
			containerStatuses: [{name: main, state: {running: {}}}]}}`, "main is not ready"},
		{"restarts", `{spec: {nodeName: n}, status: {containerStatuses: [{name: main, restartCount: 1, state: {running: {}}}]}}`, "main is not ready, restarted 1 time"},
		{"back-off", `{spec: {nodeName: n}, status: {containerStatuses: [{name: main, state: {waiting: {reason: CrashLoopBackOff}}}]}}`, "main: CrashLoopBackOff"},
		{"exit", `{spec: {nodeName: n}, status: {containerStatuses: [{name: main, state: {terminated: {exitCode: 2, reason: Error}}}]}}`, "main ended with exit code 2"},
		{"ready", `{spec: {nodeName: n}, status: {containerStatuses: [{name: main, ready: true, state: {running: {}}}]}}`, ""},
	} {
		if got := occupation(parsePod(t, test.pod)); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	ready := parsePod(t, `{spec: {nodeName: n}, status: {containerStatuses: [{name: main, ready: true, state: {running: {}}}]}}`)
	if got := progress(condition{Message: "1 of 2 replicas ready"}, []*corev1.Pod{ready, parsePod(t, `{}`)}); got != "1 of 2 replicas ready, waiting for a node" {
		t.Errorf("progress %q", got)
	}
}

func TestWarningLines(t *testing.T) {
	event := func(kind, reason, message string, count int32, second int) corev1.Event {
		e := corev1.Event{Type: kind, Reason: reason, Message: message, Count: count}
		e.InvolvedObject.Kind, e.InvolvedObject.Name = "Pod", "web-1"
		e.LastTimestamp = metav1.NewTime(at("12:00:00").Add(time.Duration(second) * time.Second))
		return e
	}
	got := warningLines([]corev1.Event{
		event("Normal", "Pulled", "image pulled", 1, 1),
		event("Warning", "Failed", "Error:\n  ErrImagePull", 3, 2),
		event("Warning", "BackOff", "restarting failed container", 1, 3),
		event("Warning", "BackOff", "restarting failed container", 1, 4),
	}, 6)
	want := "Warning Failed pod/web-1 (3 times): Error: ErrImagePull\nWarning BackOff pod/web-1: restarting failed container"
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	if got := warningLines([]corev1.Event{event("Warning", "A", "a", 1, 1), event("Warning", "B", "b", 1, 2)}, 1); len(got) != 1 || !strings.Contains(got[0], " B ") {
		t.Errorf("the latest one is wanted: %v", got)
	}
}

func TestCulprit(t *testing.T) {
	pods := []*corev1.Pod{
		parsePod(t, `{metadata: {name: a}, status: {containerStatuses: [{name: main, state: {running: {}}}]}}`),
		parsePod(t, `{metadata: {name: b}, status: {containerStatuses: [{name: good, ready: true, state: {running: {}}}, {name: bad, state: {terminated: {exitCode: 1}}}]}}`),
	}
	if p, k := culprit(pods, nil); p.Name != "b" || k != "bad" {
		t.Errorf("got %s/%s", p.Name, k)
	}
	if p, k := culprit(pods, pods[0]); p.Name != "a" || k != "main" {
		t.Errorf("got %s/%s", p.Name, k)
	}
	if p, k := culprit(nil, nil); p != nil || k != "" {
		t.Errorf("got %v/%s", p, k)
	}
}
