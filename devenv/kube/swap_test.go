package kube

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/plan"
)

func TestSwappable(t *testing.T) {
	web := Container{Name: "web", Service: "web"}
	pod := func(change func(*Pod)) Pod {
		p := Pod{Name: "web-1", Node: "node", Owner: plan.ID{Group: "apps", Kind: "Deployment", Namespace: "academy", Name: "web"}, RestartPolicy: "Always",
			Containers: []Container{{Name: "setup", Init: true}, web, {Name: "proxy"}}}
		if change != nil {
			change(&p)
		}
		return p
	}
	for name, c := range map[string]struct {
		pod  Pod
		want string
	}{
		"a Deployment's":          {pod: pod(nil)},
		"a StatefulSet's":         {pod: pod(func(p *Pod) { p.Owner.Kind = "StatefulSet" })},
		"a DaemonSet's":           {pod: pod(func(p *Pod) { p.Owner.Kind = "DaemonSet" })},
		"a Job's":                 {pod(func(p *Pod) { p.Owner.Group, p.Owner.Kind = "batch", "Job" }), "it belongs to Job/academy/web, which is no Deployment, StatefulSet or DaemonSet"},
		"nobody's":                {pod(func(p *Pod) { p.Owner = plan.ID{Kind: "Pod", Namespace: "academy", Name: "web-1"} }), "it belongs to Pod/academy/web-1, which is no Deployment, StatefulSet or DaemonSet"},
		"a kind of another group": {pod(func(p *Pod) { p.Owner.Group = "example.com" }), "it belongs to Deployment/academy/web, which is no Deployment, StatefulSet or DaemonSet"},
		"runs once":               {pod(func(p *Pod) { p.RestartPolicy = "Never" }), "its restart policy is Never"},
		"an init container too":   {pod(func(p *Pod) { p.Containers[0].Service = "web" }), "an init container runs web"},
		"another service's":       {pod(func(p *Pod) { p.Containers[1].Service = "grades" }), "no container of it runs web"},
		"without a node":          {pod(func(p *Pod) { p.Node = "" }), "it is on no node yet"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.pod.Swappable("web"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestRestartPolicy(t *testing.T) {
	never := corev1.ContainerRestartPolicyNever
	for want, p := range map[string]corev1.PodSpec{
		"Always":    {},
		"OnFailure": {RestartPolicy: corev1.RestartPolicyOnFailure},
		"Never":     {RestartPolicy: corev1.RestartPolicyAlways, Containers: []corev1.Container{{}, {RestartPolicy: &never}}},
	} {
		if got := restartPolicy(&corev1.Pod{Spec: p}); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestJudgeExchange(t *testing.T) {
	running := func(id string, ready bool) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: "main", ContainerID: id, Ready: ready, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	}
	ended := func(s corev1.ContainerStatus, id string) corev1.ContainerStatus {
		s.LastTerminationState = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ContainerID: id, ExitCode: 3}}
		return s
	}
	waiting := func(reason string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: "main", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}
	}
	imageOf := func(id string, s corev1.ContainerStatus) corev1.ContainerStatus {
		s.ImageID = id
		return s
	}
	before := ended(running("b", true), "a")
	for name, c := range map[string]struct {
		now                     corev1.ContainerStatus
		ready, back             bool
		replaced, done, hopeful bool
	}{
		"the old one still runs":           {now: before, ready: true, hopeful: true},
		"it is being created":              {now: ended(waiting("ContainerCreating"), "b"), hopeful: true},
		"the new one runs":                 {now: ended(running("c", false), "b"), replaced: true, hopeful: true},
		"the new one is ready":             {now: ended(running("c", true), "b"), ready: true, replaced: true, done: true, hopeful: true},
		"the new one exited":               {now: ended(running("d", true), "c"), ready: true, replaced: true, done: true},
		"it waits after the new one did":   {now: ended(waiting("CrashLoopBackOff"), "c")},
		"the old one returns, put off":     {now: ended(waiting("CrashLoopBackOff"), "c"), back: true, hopeful: true},
		"the broken one starts once more":  {now: ended(running("d", true), "c"), ready: true, back: true, hopeful: true},
		"the old one is back":              {now: imageOf("app@1", ended(running("d", true), "c")), ready: true, back: true, replaced: true, done: true, hopeful: true},
		"the image is not there":           {now: waiting("ErrImagePull")},
		"the image has no such program":    {now: waiting("RunContainerError")},
		"the old image is not there again": {now: waiting("ErrImagePull"), back: true},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main"}, {Name: "proxy"}}}}
			pod.Status.ContainerStatuses = []corev1.ContainerStatus{before, {Name: "proxy"}}
			e := exchange{pod: pod, images: map[string]string{"main": "app:2"}}
			if c.back {
				e.former = map[string]string{"main": "app@1"}
			}
			now := pod.DeepCopy()
			now.Status.ContainerStatuses[0] = c.now
			if c.ready {
				now.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
			}
			got := e.judge(now)
			if got.replaced != c.replaced || got.ready != c.done || (got.bad == nil) != c.hopeful {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestRemark(t *testing.T) {
	began := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	pod := func(note string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{Hot: note}}}
	}
	synced := hot.Mark{Way: hot.Sync, Files: 2, Since: began.Add(time.Hour)}
	for name, c := range map[string]struct {
		note string
		mark hot.Mark
		want any
	}{
		"the first mark":        {"", synced, `{"web":{"way":"sync","files":2,"since":"2026-11-22T11:00:00Z"}}`},
		"keeps its time":        {`{"web":{"way":"image","since":"2026-11-22T10:00:00Z"}}`, synced, `{"web":{"way":"sync","files":2,"since":"2026-11-22T10:00:00Z"}}`},
		"beside another's":      {`{"api":{"way":"image","since":"2026-11-22T10:00:00Z"}}`, synced, `{"api":{"way":"image","since":"2026-11-22T10:00:00Z"},"web":{"way":"sync","files":2,"since":"2026-11-22T11:00:00Z"}}`},
		"nobody can read it":    {"yes", synced, `{"web":{"way":"sync","files":2,"since":"2026-11-22T11:00:00Z"}}`},
		"the last goes":         {`{"web":{"way":"sync"}}`, hot.Mark{}, nil},
		"one of several":        {`{"web":{"way":"sync"},"api":{"way":"image","since":"2026-11-22T10:00:00Z"}}`, hot.Mark{}, `{"api":{"way":"image","since":"2026-11-22T10:00:00Z"}}`},
		"none where there none": {"", hot.Mark{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			patch := remark(pod(c.note), "web", c.mark)
			if got := patch["annotations"].(map[string]any)[Hot]; got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if label := patch["labels"].(map[string]any)[Hot]; (label == "true") != (c.want != nil) {
				t.Errorf("the label is %v", label)
			}
		})
	}
}

func TestSetServing(t *testing.T) {
	endpoint := func(uid string, conditions map[string]any) any {
		e := map[string]any{"targetRef": map[string]any{"uid": uid}}
		if conditions != nil {
			e["conditions"] = conditions
		}
		return e
	}
	yes, no := map[string]any{"ready": true}, map[string]any{"ready": false}
	for name, c := range map[string]struct {
		endpoints []any
		serves    bool
		want      bool
	}{
		"out":                    {[]any{endpoint("other", yes), endpoint("mine", yes)}, false, true},
		"out, nobody said in":    {[]any{endpoint("mine", nil)}, false, true},
		"out already":            {[]any{endpoint("mine", no)}, false, false},
		"back in":                {[]any{endpoint("mine", no), endpoint("other", no)}, true, true},
		"in already":             {[]any{endpoint("mine", yes)}, true, false},
		"somebody else's":        {[]any{endpoint("other", yes)}, false, false},
		"of no pod":              {[]any{map[string]any{"addresses": []any{"10.0.0.1"}}}, false, false},
		"a slice of nobody else": {nil, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			slice := &unstructured.Unstructured{Object: map[string]any{"endpoints": c.endpoints}}
			if got := setServing(slice, "mine", c.serves); got != c.want {
				t.Errorf("changed: %v", got)
			}
			list, _, _ := unstructured.NestedSlice(slice.Object, "endpoints")
			for _, e := range list {
				uid, _, _ := unstructured.NestedString(e.(map[string]any), "targetRef", "uid")
				ready, said, _ := unstructured.NestedBool(e.(map[string]any), "conditions", "ready")
				if uid == "mine" && (ready != c.serves || !said) && c.want {
					t.Errorf("it is %v, said %v", ready, said)
				}
			}
		})
	}
}
