package kube

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

func TestWaves(t *testing.T) {
	v := newInventory()
	for _, id := range []plan.ID{
		{Kind: "Namespace", Name: "academy"},
		{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition", Name: "widgets.example.com"},
		{Group: "example.com", Kind: "Widget", Namespace: "academy", Name: "w"},
		{Group: "apps", Kind: "Deployment", Namespace: "academy", Name: "web"},
		{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration", Name: "check"},
		{Kind: "Service", Namespace: "academy", Name: "web"},
		{Group: "rbac.authorization.k8s.io", Kind: "Role", Namespace: "academy", Name: "web"},
		{Group: "apiregistration.k8s.io", Kind: "APIService", Name: "v1beta1.metrics.k8s.io"},
	} {
		v.Objects[id] = entry{}
	}
	hook := plan.ID{Group: "batch", Kind: "Job", Namespace: "academy", Name: "migrate"}
	v.Hooks[hook] = hookEntry{Made: true}
	v.Hooks[plan.ID{Group: "batch", Kind: "Job", Namespace: "academy", Name: "gone"}] = hookEntry{}
	v.Kept[plan.ID{Kind: "PersistentVolumeClaim", Namespace: "academy", Name: "data-db-0"}] = keptEntry{}

	var got []string
	for _, wave := range waves(v) {
		var names []string
		for _, id := range wave {
			names = append(names, id.String())
		}
		got = append(got, strings.Join(names, " "))
	}
	want := []string{
		"APIService/v1beta1.metrics.k8s.io ValidatingWebhookConfiguration/check",
		"Widget/academy/w",
		"Deployment/academy/web Job/academy/migrate",
		"PersistentVolumeClaim/academy/data-db-0 Role/academy/web Service/academy/web",
		"CustomResourceDefinition/widgets.example.com",
		"Namespace/academy",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestDownKeepsDataAndForgetsNothingOfIt(t *testing.T) {
	c, ns := realCluster(t)
	ctx := t.Context()
	own := ns + "-own"
	database := `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: ` + own + `}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: ` + strings.TrimSuffix(sleeper(forever, ", volumeMounts: [{name: data, mountPath: /data}]"), "}") + `}}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}]
`
	objects := []plan.Object{
		declare(t, "{apiVersion: v1, kind: Namespace, metadata: {name: "+own+"}}"),
		declare(t, "{apiVersion: v1, kind: Service, metadata: {name: db, namespace: "+own+"}, spec: {clusterIP: None, selector: {app: db}, ports: [{port: 1}]}}"),
		declare(t, "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: "+own+"}, rules: []}"),
		declare(t, database),
	}
	applyAll(t, c, objects...)
	if err := c.Await(ctx, "source", objects[3], func(string) {}); err != nil {
		t.Fatal(err)
	}
	hook := plan.Hook{Object: declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: hook, namespace: "+own+"}}"), Events: []string{"pre-install"}}
	if err := c.Run(ctx, "source", hook, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if err := c.MarkDeployed(ctx, "source"); err != nil {
		t.Fatal(err)
	}

	again := reopen(t, Options{Kubeconfig: realOptions(t).Kubeconfig, Environment: c.env, Timeout: time.Minute})
	deleted, kept, err := again.DeleteAll(ctx, DownOptions{}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("deleted %v\nkept %v", deleted, kept)
	claim := plan.ID{Kind: "PersistentVolumeClaim", Namespace: own, Name: "data-db-0"}
	if len(kept) != 2 || kept[0].ID != claim || kept[1].ID != objects[0].ID || !strings.Contains(kept[1].Reason, "PersistentVolumeClaim/data-db-0") {
		t.Errorf("kept %v", kept)
	}
	if len(deleted) != 4 {
		t.Errorf("deleted %v", deleted)
	}
	if o := observed(t, again, plan.Source{}); len(o.Applied) != 0 || len(o.Sources) != 0 {
		t.Errorf("still applied: %+v", o)
	}
	if u, err := getAs(ctx, c, claim); err != nil || u == nil {
		t.Fatalf("the claim is gone: %v", err)
	}

	// The next up finds its data, and the next down knows of it again.
	applyAll(t, again, objects...)
	if err := again.Await(ctx, "source", objects[3], func(string) {}); err != nil {
		t.Fatal(err)
	}
	last := reopen(t, Options{Kubeconfig: realOptions(t).Kubeconfig, Environment: c.env, Timeout: time.Minute})
	if _, kept, err = last.DeleteAll(ctx, DownOptions{Data: true}, func(string) {}); err != nil || len(kept) != 0 {
		t.Fatalf("kept %v, %v", kept, err)
	}
	for _, id := range []plan.ID{claim, objects[0].ID, objects[2].ID} {
		if u, err := getAs(ctx, c, id); err != nil || u != nil {
			t.Errorf("%s is left: %v", id, err)
		}
	}
	if _, err := c.core.ConfigMaps(systemNamespace).Get(ctx, c.ledger.name(), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the inventory is left: %v", err)
	}
}

func TestDownKeepsANamespaceThatSomebodyElseUses(t *testing.T) {
	c, ns := realCluster(t)
	ctx := t.Context()
	own := ns + "-own"
	space := declare(t, "{apiVersion: v1, kind: Namespace, metadata: {name: "+own+"}}")
	applyAll(t, c, space)
	theirs := declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: theirs, namespace: "+own+"}}")
	if err := sendAs(ctx, c, "kubectl-create", theirs); err != nil {
		t.Fatal(err)
	}
	_, kept, err := c.DeleteAll(ctx, DownOptions{}, func(string) {})
	if err != nil || len(kept) != 1 || kept[0].ID != space.ID || kept[0].Reason != "it holds ConfigMap/theirs" {
		t.Fatalf("kept %v, %v", kept, err)
	}
	if err := deleteAs(ctx, c, theirs.ID); err != nil {
		t.Fatal(err)
	}
	if _, kept, err = c.DeleteAll(ctx, DownOptions{}, func(string) {}); err != nil || len(kept) != 0 {
		t.Fatalf("once it is empty: kept %v, %v", kept, err)
	}
	if u, err := getAs(ctx, c, space.ID); err != nil || u != nil {
		t.Errorf("the namespace is left: %v", err)
	}
}

func TestDeleteSaysWhatAFinalizerHoldsUp(t *testing.T) {
	c, ns := realCluster(t)
	ctx := t.Context()
	c.timeout = 3 * time.Second
	o := declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: held, namespace: "+ns+", finalizers: [example.com/never]}}")
	applyAll(t, c, o)
	var said []string
	err := c.Delete(ctx, "source", o.ID, false, func(text string) { said = append(said, text) })
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Deploy || !strings.Contains(f.Error(), "example.com/never") || len(said) == 0 {
		t.Errorf("got %v, said %v", err, said)
	}
	// Once it is let go, the next call finds it gone and forgets it.
	free := declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: held, namespace: "+ns+"}}")
	if err := sendAs(ctx, c, "kubectl-edit", free); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(ctx, "source", o.ID, false, func(string) {}); err != nil {
		t.Errorf("after that: %v", err)
	}
}

func TestApplyWaitsForWhatIsBeingDeleted(t *testing.T) {
	c, ns := realCluster(t)
	ctx := t.Context()
	manifest := func(more string) plan.Object {
		return declare(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: going, namespace: "+ns+more+"}}")
	}
	held := manifest(", finalizers: [example.com/for-a-moment]")
	if err := sendAs(ctx, c, "kubectl-create", held); err != nil {
		t.Fatal(err)
	}
	if err := c.core.ConfigMaps(ns).Delete(ctx, "going", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	old, err := getAs(ctx, c, held.ID)
	if err != nil {
		t.Fatal(err)
	}
	if live := observed(t, c, plan.Source{Name: "source", Objects: []plan.Object{held}}).Live[held.ID]; live.Exists {
		t.Errorf("what is being deleted counts as there: %+v", live)
	}
	applied := make(chan error, 1)
	go func() {
		_, err := c.Apply(context.WithoutCancel(ctx), "source", manifest(""))
		applied <- err
	}()
	if err := sendAs(ctx, c, "kubectl-edit", manifest("")); err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	until(t, "the old one is let go", func(ctx context.Context) bool {
		u, err := getAs(ctx, c, held.ID)
		if err == nil && u != nil && u.GetUID() == old.GetUID() {
			_ = sendAs(ctx, c, "kubectl-edit", manifest("")) // whoever comes second tries again
			return false
		}
		return err == nil
	})
	if err := <-applied; err != nil {
		t.Fatal(err)
	}
	if u, err := getAs(ctx, c, held.ID); err != nil || u == nil || u.GetUID() == old.GetUID() {
		t.Errorf("it was not made anew: %v", err)
	}
}
