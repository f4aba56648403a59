package kind_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/devenvtest"
	"github.com/devenv-run/devenv/devenv/docker"
	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/kind"
	"github.com/devenv-run/devenv/devenv/plan"
)

func TestRealClustersContract(t *testing.T) {
	needEngine(t)
	devenvtest.ClustersSuite(t, func(t *testing.T) devenvtest.ClustersSubject {
		r := newReal(t, kind.Spec{Workers: 1})
		return devenvtest.ClustersSubject{
			Clusters:   r.Clusters,
			Cluster:    r.resolved.Cluster,
			ReadyNodes: r.readyNodes,
			Remains:    func(context.Context) ([]string, error) { return strings.Fields(r.nodeStates()), nil },
			Stop: func(ctx context.Context) error {
				_, err := run(ctx, append([]string{"docker", "stop", "--time=1"}, r.resolved.Cluster.Nodes...)...)
				return err
			},
			Refresh: func() engine.Clusters { return kind.New(r.options) },
		}
	})
}

// TestRealThreeNodes follows one cluster through its life: made, verified, rebooted in the wrong order, a node restarted, deleted.
func TestRealThreeNodes(t *testing.T) {
	home := t.TempDir()
	r := newReal(t, kind.Spec{Workers: 2})
	misleading := filepath.Join(home, "config")
	t.Setenv("KUBECONFIG", misleading)
	t.Setenv("KIND_CLUSTER_NAME", "another")
	r.create(t)
	if _, err := os.Stat(misleading); !os.IsNotExist(err) {
		t.Errorf("the user's kubeconfig was touched: %v", err)
	}

	begin := time.Now()
	if err := r.AwaitNames(t.Context(), progress(t)); err != nil {
		t.Fatal(err)
	}
	t.Logf("name server ready %s later", time.Since(begin).Round(100*time.Millisecond))
	s := mustStatus(t, r.Clusters)
	if s.Status != plan.Running || !slices.Equal(s.Nodes, r.resolved.Cluster.Nodes) {
		t.Fatalf("%+v", s)
	}
	begin = time.Now()
	if s = mustStatus(t, kind.New(r.options)); s.Status != plan.Running {
		t.Fatalf("%+v", s)
	}
	t.Logf("status in %s", time.Since(begin).Round(time.Millisecond))
	uid := must(t, "docker", "exec", r.Name+"-control-plane", "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "get", "ns", "kube-system", "-o", "jsonpath={.metadata.uid}")
	if id := s.Identity; id.UID != uid || !strings.HasPrefix(id.Kubernetes, "v1.") {
		t.Fatalf("%+v; want UID %s", id, uid)
	}
	image := newImage(t, 1<<20)
	if _, err := r.Deliver(t.Context(), image, s.Nodes, progress(t)); err != nil {
		t.Fatal(err)
	}

	t.Run("kube-proxy follows within a tenth of a second", func(t *testing.T) {
		out, err := r.kubectl(t.Context(), "get", "configmap", "kube-proxy", "-n", "kube-system", "-o", "jsonpath={.data.config\\.conf}")
		if err != nil || !strings.Contains(out, "minSyncPeriod: 100ms") {
			t.Errorf("%v\n%s", err, out)
		}
	})

	t.Run("it comes back with other addresses after a reboot", func(t *testing.T) {
		nodes := slices.Clone(s.Nodes)
		must(t, append([]string{"docker", "stop", "--time=1"}, nodes...)...)
		if s := mustStatus(t, r.Clusters); s.Status != plan.Stopped {
			t.Fatalf("%+v", s)
		}
		// Something else takes the lowest address, so every node gets another one than before.
		other := r.Name + "-other"
		must(t, "docker", "run", "--detach", "--name", other, "--network=kind", "--entrypoint=/bin/sleep", r.resolved.Cluster.NodeImage, "600")
		defer must(t, "docker", "rm", "--force", other)
		begin := time.Now()
		if err := kind.New(r.options).Start(t.Context(), r.resolved.Cluster, progress(t)); err != nil {
			t.Fatal(err)
		}
		t.Logf("started in %s", time.Since(begin).Round(100*time.Millisecond))
		for _, node := range nodes {
			if err := r.runs(t.Context(), node, image); err != nil {
				t.Error(err)
			}
		}
	})

	t.Run("a restarted node goes on", func(t *testing.T) {
		node := s.Nodes[1]
		must(t, "docker", "restart", "--time=1", node)
		if s := mustStatus(t, r.Clusters); s.Status != plan.Running {
			t.Fatalf("%+v", s)
		}
		if err := r.Start(t.Context(), r.resolved.Cluster, progress(t)); err != nil { // waits for it
			t.Fatal(err)
		}
		held, err := r.NodeImages(t.Context(), s.Nodes, []string{image.Ref})
		if err != nil || !held[node][image.Ref] {
			t.Errorf("%v, %v", held, err)
		}
		if err := r.runs(t.Context(), node, image); err != nil {
			t.Error(err)
		}
	})

	t.Run("a restarted control plane goes on", func(t *testing.T) {
		must(t, "docker", "restart", "--time=1", s.Nodes[0])
		if s := mustStatus(t, r.Clusters); s.Status != plan.Running {
			t.Fatalf("%+v", s)
		}
	})

	t.Run("a lost kubeconfig is written anew", func(t *testing.T) {
		if err := os.Remove(r.Kubeconfig()); err != nil {
			t.Fatal(err)
		}
		mustStatus(t, r.Clusters)
		info, err := os.Stat(r.Kubeconfig())
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
	})

	t.Run("another state directory may not touch it", func(t *testing.T) {
		theirs := r.options
		theirs.StateDir = t.TempDir()
		k := kind.New(theirs)
		_, statusErr := k.Status(t.Context())
		for _, err := range []error{statusErr, k.Create(t.Context(), r.resolved.Cluster, progress(t)), k.Start(t.Context(), r.resolved.Cluster, progress(t)), k.Delete(t.Context())} {
			if err == nil || fault.Of(err) != fault.Refused {
				t.Errorf("not refused: %v", err)
			}
		}
		if s := mustStatus(t, r.Clusters); s.Status != plan.Running {
			t.Errorf("%+v", s)
		}
	})

	t.Run("a missing node breaks it, and it can be deleted", func(t *testing.T) {
		must(t, "docker", "rm", "--force", "--volumes", s.Nodes[2])
		_, err := r.Status(t.Context())
		if fault.Of(err) != fault.Machine || !strings.Contains(err.Error(), s.Nodes[2]) {
			t.Errorf("got %v", err)
		}
		if err := r.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rest := r.nodeStates(); rest != "" {
			t.Errorf("left behind: %s", rest)
		}
		if s := mustStatus(t, r.Clusters); s.Status != plan.Absent {
			t.Errorf("%+v", s)
		}
	})
}

func mustStatus(t *testing.T, k *kind.Clusters) kind.State {
	t.Helper()
	s, err := k.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRealCreationKilled kills devenv at several moments of a creation, and expects the next one to converge.
func TestRealCreationKilled(t *testing.T) {
	needEngine(t)
	for _, moment := range []string{"looking at", "preparing nodes", "writing configuration", "starting control-plane", "installing CNI", "nodes ready"} {
		t.Run(moment, func(t *testing.T) {
			r := newReal(t, kind.Spec{})
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHelperCreate$", "-test.v")
			cmd.Env = append(os.Environ(), "KINDTEST_NAME="+r.Name, "KINDTEST_STATE="+r.options.StateDir, "KINDTEST_KILL="+moment)
			if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(err.Error(), "killed") {
				t.Fatalf("it was not killed: %v\n%s", err, out)
			}
			t.Logf("left behind: %s", r.nodeStates())
			if s := mustStatus(t, r.Clusters); s.Status != plan.Absent {
				t.Fatalf("%+v", s)
			}
			if moment != "starting control-plane" {
				return // one creation that clears leftovers away is enough; the others must at least be deletable, which cleanup tests
			}
			r.create(t)
			if s := mustStatus(t, r.Clusters); s.Status != plan.Running {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestHelperCreate is the devenv that TestRealCreationKilled kills.
func TestHelperCreate(t *testing.T) {
	name := os.Getenv("KINDTEST_NAME")
	if name == "" {
		t.Skip("part of TestRealCreationKilled")
	}
	engine, err := docker.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k := kind.New(kind.Options{Name: name, StateDir: os.Getenv("KINDTEST_STATE"), Engine: engine})
	resolved, err := k.Resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = k.Create(t.Context(), resolved.Cluster, func(text string) {
		fmt.Println(text)
		if strings.Contains(text, os.Getenv("KINDTEST_KILL")) {
			time.Sleep(300 * time.Millisecond) // into the middle of what was announced
			self, _ := os.FindProcess(os.Getpid())
			_ = self.Kill()
			select {}
		}
	})
	t.Fatal("it lived to its end", err)
}

// TestRealCreationStopped stops a creation in the middle and measures how long that takes.
func TestRealCreationStopped(t *testing.T) {
	r := newReal(t, kind.Spec{Workers: 2})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stopped time.Time
	err := r.Create(ctx, r.resolved.Cluster, func(text string) {
		t.Log(text)
		if strings.Contains(text, "starting control-plane") {
			stopped = time.Now()
			cancel()
		}
	})
	took := time.Since(stopped)
	if !errors.Is(err, context.Canceled) || took > 15*time.Second {
		t.Errorf("it stopped after %s with %v", took, err)
	}
	if rest := r.nodeStates(); rest != "" {
		t.Errorf("left behind: %s", rest)
	}
	files, _ := os.ReadDir(r.options.StateDir)
	if len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
	t.Logf("stopped in %s", took.Round(100*time.Millisecond))
}

// TestRealOwnConfiguration makes a cluster from the user's kind configuration with devenv's settings on top.
func TestRealOwnConfiguration(t *testing.T) {
	needEngine(t)
	config := filepath.Join(t.TempDir(), "kind.yaml")
	text := "apiVersion: kind.x-k8s.io/v1alpha4\nkind: Cluster\nname: theirs\nnodes:\n- role: control-plane\n- role: worker\n" +
		"  labels: {tier: front}\n  extraMounts: [{hostPath: shared, containerPath: /shared}]\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newReal(t, kind.Spec{Workers: 1, KindConfig: config})
	if err := os.MkdirAll(filepath.Join(r.options.Project, "shared"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.options.Project, "shared", "file"), []byte("of the project"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.create(t)
	front, err := r.kubectl(t.Context(), "get", "nodes", "--selector=tier=front", "--output=name")
	if err != nil || strings.TrimSpace(front) != "node/"+r.Name+"-worker" {
		t.Errorf("%q, %v", front, err)
	}
	if got := must(t, "docker", "exec", r.Name+"-worker", "cat", "/shared/file"); got != "of the project" {
		t.Errorf("the mount holds %q", got)
	}
	must(t, append([]string{"docker", "stop", "--time=1"}, r.resolved.Cluster.Nodes...)...)
	if err := r.Start(t.Context(), r.resolved.Cluster, progress(t)); err != nil {
		t.Error(err)
	}
}
