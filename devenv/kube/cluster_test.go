package kube

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/devenv-run/devenv/devenv/devenvtest"
	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/plan"
)

// The tests that need a real cluster take one from DEVENV_E2E_KUBECONFIG. Its nodes hold the image that DEVENV_E2E_IMAGE
// names (debian:bookworm-slim if empty).

// numbered gives every test environment of this process its own name.
var numbered atomic.Int64

// realOptions are those of a fresh environment in a real cluster. The test is skipped where there is none.
func realOptions(t *testing.T) Options {
	t.Helper()
	if os.Getenv("DEVENV_E2E") != "1" {
		t.Skip("needs a real cluster: DEVENV_E2E=1 and DEVENV_E2E_KUBECONFIG=path")
	}
	name := "t" + time.Now().Format("150405") + "-" + string(rune('a'+numbered.Add(1)%26)) + string(rune('a'+numbered.Load()/26))
	return identified(t, Options{Kubeconfig: os.Getenv("DEVENV_E2E_KUBECONFIG"), Environment: name, Timeout: 2 * time.Minute})
}

// identified fills in the UID of the cluster that the kubeconfig leads to.
func identified(t *testing.T, o Options) Options {
	t.Helper()
	c, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if o.UID, err = c.UID(t.Context()); err != nil {
		t.Fatal(err)
	}
	return o
}

func testImage() string {
	if i := os.Getenv("DEVENV_E2E_IMAGE"); i != "" {
		return i
	}
	return "debian:bookworm-slim"
}

// realCluster opens a fresh environment, with a namespace of its name that somebody else made. All of it goes when the test
// ends.
func realCluster(t *testing.T) (*Cluster, string) {
	t.Helper()
	o := realOptions(t)
	c := reopen(t, o)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: o.Environment}}
	if _, err := c.core.Namespaces().Create(t.Context(), ns, metav1.CreateOptions{FieldManager: "test"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if t.Failed() {
			t.Logf("objects of the failed test:\n%s", dump(ctx, c, o.Environment))
		}
		if _, _, err := c.DeleteAll(ctx, DownOptions{Data: true}, func(string) {}); err != nil {
			t.Errorf("clean up: %v", err)
		}
		now := int64(0)
		if err := c.core.Namespaces().Delete(ctx, o.Environment, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("clean up: %v", err)
		}
	})
	return c, o.Environment
}

// keepSystemNamespace has the namespace of inventories stay between tests: Kubernetes takes five seconds to delete one.
func keepSystemNamespace(t *testing.T) {
	t.Helper()
	c := reopen(t, realOptions(t))
	ctx := t.Context()
	if err := c.ledger.update(ctx, func(v inventory) { v.Sources["kept"] = true }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, _, err := c.DeleteAll(context.WithoutCancel(ctx), DownOptions{}, func(string) {}); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
}

// dump says what is in a namespace, for the log of a failed test.
func dump(ctx context.Context, c *Cluster, namespace string) string {
	var b strings.Builder
	pods, err := c.core.Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	for i := range pods.Items {
		status, _ := json.Marshal(pods.Items[i].Status)
		b.WriteString("pod " + pods.Items[i].Name + " " + string(status) + "\n")
	}
	events, err := c.core.Events(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	for _, e := range events.Items {
		b.WriteString(e.InvolvedObject.Kind + "/" + e.InvolvedObject.Name + " " + e.Reason + " " + e.Message + "\n")
	}
	return b.String()
}

func reopen(t *testing.T, o Options) *Cluster {
	t.Helper()
	if o.UID == "" {
		o = identified(t, o)
	}
	c, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// declare makes a plan.Object of a manifest in YAML.
func declare(t *testing.T, manifest string) plan.Object {
	t.Helper()
	u := parse(t, manifest)
	id := identify(u)
	waits := podSpecs[groupKind(id)] != nil || id.Kind == "PersistentVolumeClaim" || id.Kind == "CustomResourceDefinition" || id.Kind == "APIService"
	return devenvtest.Object(u.Object, id, waits, images(u)...)
}

// sendAs applies an object as somebody else, by update where it exists.
func sendAs(ctx context.Context, c *Cluster, who string, o plan.Object) error {
	u, err := decode(o)
	if err != nil {
		return err
	}
	a, err := c.find(ctx, u)
	if err != nil {
		return err
	}
	r := c.resource(a, o.ID)
	live, err := r.Get(ctx, o.ID.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = r.Create(ctx, u, metav1.CreateOptions{FieldManager: who})
		return err
	}
	if err != nil {
		return err
	}
	u.SetResourceVersion(live.GetResourceVersion())
	_, err = r.Update(ctx, u, metav1.UpdateOptions{FieldManager: who})
	return err
}

func getAs(ctx context.Context, c *Cluster, id plan.ID) (*unstructured.Unstructured, error) {
	a, err := c.apis.find(ctx, groupKind(id), "")
	if err != nil {
		return nil, err
	}
	u, err := c.resource(a, id).Get(ctx, id.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return u, err
}

func deleteAs(ctx context.Context, c *Cluster, id plan.ID) error {
	a, err := c.apis.find(ctx, groupKind(id), "")
	if err != nil {
		return err
	}
	if err := c.resource(a, id).Delete(ctx, id.Name, metav1.DeleteOptions{PropagationPolicy: foreground()}); err != nil {
		return err
	}
	return c.gone(ctx, a, id, "", func(string) {})
}

func TestDeployerContract(t *testing.T) {
	keepSystemNamespace(t)
	devenvtest.DeployerSuite(t, func(t *testing.T) devenvtest.DeployerSubject {
		c, ns := realCluster(t)
		return devenvtest.DeployerSubject{
			Deployer: c, Namespace: ns, Image: testImage(),
			Get: func(ctx context.Context, id plan.ID) ([]byte, error) {
				u, err := getAs(ctx, c, id)
				if u == nil || err != nil {
					return nil, err
				}
				return u.MarshalJSON()
			},
			Make:   func(ctx context.Context, o plan.Object) error { return sendAs(ctx, c, "kubectl-create", o) },
			Unmake: func(ctx context.Context, id plan.ID) error { return deleteAs(ctx, c, id) },
			Pods: func(ctx context.Context, workload plan.ID) ([]string, error) {
				pods, err := c.core.Pods(ns).List(ctx, metav1.ListOptions{})
				if err != nil {
					return nil, err
				}
				var uids []string
				for i := range pods.Items {
					if p := &pods.Items[i]; ownerOf(p) == workload && p.DeletionTimestamp == nil {
						uids = append(uids, string(p.UID))
					}
				}
				return uids, nil
			},
			Applied: func(ctx context.Context) (map[plan.ID]plan.AppliedRef, error) {
				o, err := c.Observe(ctx, nil)
				return o.Applied, err
			},
			Succeeded: func(ctx context.Context, h plan.Hook) (string, error) {
				o, err := c.Observe(ctx, []plan.Source{{Name: "source", Hooks: []plan.Hook{h}}})
				return o.Hooks[h.ID], err
			},
			Refresh: func() engine.Deployer {
				return reopen(t, Options{Kubeconfig: os.Getenv("DEVENV_E2E_KUBECONFIG"), Environment: c.env, Timeout: c.timeout})
			},
		}
	})
}
