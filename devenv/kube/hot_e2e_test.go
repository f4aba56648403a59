package kube

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/devenv-run/devenv/devenv/hot"
)

// What is hot is seen by Observe, and a restart settles it without leaving anything to do.
func TestHotIsObservedAndSettled(t *testing.T) {
	c, ns := realCluster(t)
	ctx := t.Context()
	o := declare(t, strings.NewReplacer("NS", ns, "IMAGE", testImage()).Replace(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NS}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: main, image: IMAGE, imagePullPolicy: IfNotPresent, command: [sleep, "3600"]}]}
`))
	source := applyAll(t, c, o)
	if err := c.Await(ctx, "source", o, func(string) {}); err != nil {
		t.Fatal(err)
	}
	services := Services{"web": {repositoryOf(testImage())}}
	pods := podsOf(t, c, services)
	for _, p := range pods {
		if err := c.MarkHot(ctx, p, "web", hot.Mark{Way: hot.Sync, Files: 3, Since: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	if seen := observed(t, c, source); seen.Hot[o.ID] != "2 pods hot: 3 files synced" || seen.Live[o.ID].Drift != "" {
		t.Errorf("hot: %q; %+v", seen.Hot[o.ID], seen.Live[o.ID])
	}
	if err := c.MarkHot(ctx, pods[0], "web", hot.Mark{}); err != nil {
		t.Fatal(err)
	}
	if seen := observed(t, c, source); seen.Hot[o.ID] != "1 pod hot: 3 files synced" {
		t.Errorf("hot: %q", seen.Hot[o.ID])
	}
	if err := c.Restart(ctx, "source", o, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if err := c.Await(ctx, "source", o, func(string) {}); err != nil {
		t.Fatal(err)
	}
	seen := observed(t, c, source)
	if live := seen.Live[o.ID]; len(seen.Hot) > 0 || live.Drift != "" || !live.Ready || live.Hash != o.Hash {
		t.Errorf("settled it is %+v, hot: %v", live, seen.Hot)
	}
}

func TestFollowPods(t *testing.T) {
	c, ns := realCluster(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	repository := repositoryOf(testImage())
	news := c.FollowPods(ctx, Services{"app": {repository}})
	expect := func(what string, holds func([]Pod) bool) {
		t.Helper()
		late := time.After(time.Minute)
		for {
			select {
			case pods, ok := <-news:
				if !ok {
					t.Fatalf("it ended before %s", what)
				}
				if holds(pods) {
					return
				}
			case <-late:
				t.Fatalf("it did not say that %s", what)
			}
		}
	}
	expect("there is none", func(pods []Pod) bool { return len(pods) == 0 })
	services := servedBy(t, c, ns, "app", 1, testImage(), "")
	expect("one is ready", func(pods []Pod) bool { return len(pods) == 1 && pods[0].Ready && pods[0].Namespace == ns })
	for range 3 { // what nobody takes is not queued up
		if err := c.MarkHot(ctx, podsOf(t, c, services)[0], "app", hot.Mark{Way: hot.Sync, Files: 1, Since: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	expect("it is hot", func(pods []Pod) bool { return len(pods) == 1 && pods[0].Hot["app"].Files == 1 })
	first := podsOf(t, c, services)[0]
	if err := c.core.Pods(ns).Delete(ctx, first.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	expect("another one is ready", func(pods []Pod) bool { return len(pods) == 1 && pods[0].Ready && pods[0].UID != first.UID })
	cancel()
	for range news { // it is closed
	}
}

// A workload whose pods are replaced only when somebody deletes them is settled all the same.
func TestHotIsSettledOnDelete(t *testing.T) {
	c, ns := realCluster(t)
	ctx := t.Context()
	o := declare(t, strings.NewReplacer("NS", ns, "IMAGE", testImage()).Replace(`
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web, namespace: NS}
spec:
  replicas: 2
  serviceName: web
  podManagementPolicy: Parallel
  updateStrategy: {type: OnDelete}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: main, image: IMAGE, imagePullPolicy: IfNotPresent, command: [sleep, "3600"]}]}
`))
	source := applyAll(t, c, o)
	if err := c.Await(ctx, "source", o, func(string) {}); err != nil {
		t.Fatal(err)
	}
	services := Services{"web": {repositoryOf(testImage())}}
	both := func(context.Context) bool {
		pods := podsOf(t, c, services)
		return len(pods) == 2 && pods[0].Ready && pods[1].Ready
	}
	until(t, "both pods are ready", both)
	before := podsOf(t, c, services)
	if err := c.MarkHot(ctx, before[1], "web", hot.Mark{Way: hot.Sync, Files: 1, Since: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := c.Restart(ctx, "source", o, func(string) {}); err != nil {
		t.Fatal(err)
	}
	until(t, "nothing is hot", func(context.Context) bool { return len(observed(t, c, source).Hot) == 0 })
	until(t, "both pods are ready again", both)
	now := podsOf(t, c, services)
	if now[0].UID != before[0].UID || now[1].UID == before[1].UID {
		t.Errorf("before %+v\nnow %+v", before, now)
	}
}
