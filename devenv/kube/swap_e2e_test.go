package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
)

func TestSwapRefusesNobody(t *testing.T) {
	c, ns := realCluster(t)
	const swaps = 10
	var versions []string
	for i := range swaps + 1 {
		versions = append(versions, fmt.Sprintf("v%d", i))
	}
	for name, probe := range map[string]string{"plain": "", "probed": probe} {
		t.Run(name, func(t *testing.T) {
			repository := "registry.example.com/" + ns + "/" + name
			versioned(t, c, repository, versions...)
			services := servedBy(t, c, ns, name, 2, repository+":v0", probe)
			began := podsOf(t, c, services)
			if err := c.LearnRound(t.Context(), began[0]); err != nil {
				t.Fatal(err)
			}
			stop := asking(t, c, ns, name)
			for _, v := range versions[1:] {
				s := Swap{Service: name, Image: repository + ":" + v, Pods: podsOf(t, c, services)}
				if v != versions[swaps] {
					s.Mark = hot.Mark{Way: hot.Image, Image: s.Image, Since: time.Now()}
				}
				at := time.Now()
				if err := c.Swap(t.Context(), s, func(string) {}); err != nil {
					t.Fatal(err)
				}
				t.Logf("swap to %s: %.2f s", v, time.Since(at).Seconds())
				pods := podsOf(t, c, services)
				if got := runsImages(pods); got[s.Image] != 2 {
					t.Fatalf("the pods run %v", got)
				}
				for _, p := range pods {
					if _, marked := p.Hot[name]; marked != (v != versions[swaps]) {
						t.Errorf("at %s pod %s is marked as hot: %v", v, p.Name, marked)
					}
				}
			}
			a := stop()
			if a.Failed > 0 || a.Bodies["v0"] == 0 || a.Bodies[versions[swaps]] == 0 {
				t.Errorf("%d requests failed; answers %v", a.Failed, a.Bodies)
			}
			for i, p := range podsOf(t, c, services) {
				if p.UID != began[i].UID {
					t.Errorf("pod %s was made anew", p.Name)
				}
			}
		})
	}
}

// A pod that says it is not ready although the kubelet knows better is put right at the kubelet's next round, and no sooner: when that is must be known.
func TestLearnRound(t *testing.T) {
	c, ns := realCluster(t)
	repository := "registry.example.com/" + ns + "/app"
	versioned(t, c, repository, "one")
	pod := podsOf(t, c, servedBy(t, c, ns, "app", 1, repository+":one", ""))[0]
	if err := c.LearnRound(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		p, err := c.core.Pods(ns).Get(t.Context(), pod.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if remarkOf(p) != "" {
			t.Errorf("the pod still says %q", remarkOf(p))
		}
		for i := range p.Status.Conditions {
			if k := &p.Status.Conditions[i]; k.Type == corev1.PodReady {
				k.Status = corev1.ConditionFalse
			}
		}
		if _, err := c.core.Pods(ns).UpdateStatus(t.Context(), p, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		until(t, "the kubelet puts the pod right", func(ctx context.Context) bool {
			p, err := c.core.Pods(ns).Get(ctx, pod.Name, metav1.GetOptions{})
			return err == nil && podReady(p)
		})
		off := time.Since(c.rounds.seen[pod.Node]) % roundEvery
		t.Logf("put right %s after the time of a round", off)
		if off > time.Second && off < roundEvery-roundSlack {
			t.Errorf("that is no round")
		}
	}
}

func TestSwapBack(t *testing.T) {
	c, ns := realCluster(t)
	repository := "registry.example.com/" + ns + "/app"
	versioned(t, c, repository, "one", "crash")
	services := servedBy(t, c, ns, "app", 2, repository+":one", probe)
	stop := asking(t, c, ns, "app")
	swap := Swap{Service: "app", Image: repository + ":crash", Pods: podsOf(t, c, services), Mark: hot.Mark{Way: "image", Image: repository + ":crash", Since: time.Now()}}
	at := time.Now()
	err := c.Swap(t.Context(), swap, func(string) {})
	t.Logf("swapped back after %.2f s", time.Since(at).Seconds())
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Deploy || !strings.Contains(f.Detail, "cannot find the database") {
		t.Errorf("the error does not say why: %+v", f)
	}
	pods := podsOf(t, c, services)
	if got := runsImages(pods); got[repository+":one"] != 2 {
		t.Errorf("the pods run %v", got)
	}
	restarted := 0
	for _, p := range pods {
		if len(p.Hot) > 0 || !p.Ready {
			t.Errorf("pod %s: hot %v, ready %v", p.Name, p.Hot, p.Ready)
		}
		if p.Restarts > 0 {
			restarted++
		}
	}
	if restarted != 1 {
		t.Errorf("%d pods were touched", restarted)
	}
	until(t, "both pods answer again", func(context.Context) bool { return serving(t, c, ns, "app") == 2 })
	if a := stop(); a.Bodies["one"] == 0 || a.Failed > 0 {
		t.Errorf("the old version did not go on serving: %v", a)
	}
}

// serving counts the endpoints of a Service that are ready.
func serving(t *testing.T, c *Cluster, ns, name string) int {
	t.Helper()
	list, err := c.dynamic.Resource(endpointSlices).Namespace(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=" + name})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range list.Items {
		text, err := s.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		n += strings.Count(string(text), `"ready":true`)
	}
	return n
}

// The kubelet puts off the start of a container of which it had others of the same image just before. Somebody who saves one broken version after
// the other has the old one back all the same.
func TestSwapBackAgainAndAgain(t *testing.T) {
	c, ns := realCluster(t)
	repository := "registry.example.com/" + ns + "/app"
	crashes := []string{"crash1", "crash2", "crash3"}
	versioned(t, c, repository, append(crashes, "one")...)
	services := servedBy(t, c, ns, "app", 1, repository+":one", "")
	for _, v := range crashes {
		began := time.Now()
		var pods []Pod
		until(t, "the old version runs", func(context.Context) bool {
			pods = slices.DeleteFunc(podsOf(t, c, services), func(p Pod) bool { return p.Phase == "Terminating" })
			return len(pods) == 1 && pods[0].Ready
		})
		t.Logf("ready after %.2f s", time.Since(began).Seconds())
		began = time.Now()
		err := c.Swap(t.Context(), Swap{Service: "app", Image: repository + ":" + v, Pods: pods, Mark: hot.Mark{Way: hot.Image, Since: began}}, func(string) {})
		t.Logf("back after %.2f s: %v", time.Since(began).Seconds(), err)
		if fault.Of(err) != fault.Deploy {
			t.Fatal(err)
		}
	}
}

// The only pod of a workload is missing while its container is replaced, and no longer.
func TestSwapAlone(t *testing.T) {
	c, ns := realCluster(t)
	repository := "registry.example.com/" + ns + "/app"
	versions := []string{"v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8"}
	versioned(t, c, repository, versions...)
	services := servedBy(t, c, ns, "app", 1, repository+":v0", "")
	for _, v := range versions[1:] {
		stop := asking(t, c, ns, "app")
		began := time.Now()
		if err := c.Swap(t.Context(), Swap{Service: "app", Image: repository + ":" + v, Pods: podsOf(t, c, services)}, func(string) {}); err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		a := stop()
		t.Logf("%s: %.2f s; refused for about %.2f s", v, took.Seconds(), float64(a.Failed)/4*0.006)
		if a.Bodies[v] == 0 {
			t.Errorf("%s never answered: %v", v, a.Bodies)
		}
	}
}
