package kind

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/kind/pkg/exec"

	"github.com/devenv-run/devenv/devenv/devenvtest"
	"github.com/devenv-run/devenv/devenv/engine"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

func TestContract(t *testing.T) {
	devenvtest.ClustersSuite(t, func(t *testing.T) devenvtest.ClustersSubject {
		w, dir := newWorld(), t.TempDir()
		k := w.clusters(dir, testSpec(2))
		return devenvtest.ClustersSubject{
			Clusters: k,
			Cluster:  resolve(t, k),
			ReadyNodes: func(ctx context.Context) ([]string, error) {
				data, err := os.ReadFile(k.Kubeconfig())
				if err != nil {
					return nil, err
				}
				api, err := w.connect(data)
				if err != nil {
					return nil, err
				}
				o, err := api.observe(ctx)
				var names []string
				for _, n := range o.nodes {
					names = append(names, n.Metadata.Name)
				}
				return names, err
			},
			Remains: func(context.Context) ([]string, error) { return w.names(), nil },
			Stop: func(context.Context) error {
				w.each(func(n *node) { n.State = "exited" })
				return nil
			},
			Refresh: func() engine.Clusters { return w.clusters(dir, testSpec(2)) },
		}
	})
}

func mustCreate(t testing.TB, k *Clusters) {
	t.Helper()
	if err := k.Create(context.Background(), resolve(t, k), silent); err != nil {
		t.Fatal(err)
	}
}

func requireKind(t testing.TB, err error, want fault.Kind) {
	t.Helper()
	if err == nil || fault.Of(err) != want {
		t.Fatalf("got %v, want a fault of kind %d", err, want)
	}
	for _, e := range fault.All(err) {
		if f := (*fault.Error)(nil); errors.As(e, &f) && f.Next == "" {
			t.Errorf("%v does not say what to do next", e)
		}
	}
}

func TestCreateStoresIdentityAndOwnKubeconfig(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("KUBECONFIG", filepath.Join(home, "config"))
	w, dir := newWorld(), filepath.Join(t.TempDir(), "state")
	k := w.clusters(dir, testSpec(1))
	mustCreate(t, k)

	requireMode(t, dir, 0o700)
	requireMode(t, k.Kubeconfig(), 0o600)
	requireMode(t, k.identityFile(), 0o600)
	if _, err := os.Stat(k.intentFile()); !os.IsNotExist(err) {
		t.Errorf("the intent is still there: %v", err)
	}
	if found, _ := os.ReadDir(home); len(found) > 0 {
		t.Errorf("the user's home has %v", found)
	}
	s, err := k.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id := s.Identity
	if id.UID != "uid-1" || id.Kubernetes != "v1.36.3" || id.Endpoint != "https://127.0.0.1:40000" || id.NodeImage != testImage {
		t.Errorf("identity %+v", id)
	}
	if want := []string{"devenv-x-control-plane", "devenv-x-worker"}; !slices.Equal(id.Nodes(), want) {
		t.Errorf("nodes %v, want %v", id.Nodes(), want)
	}
	if err := k.AwaitNames(t.Context(), silent); err != nil {
		t.Error(err)
	}
	if s.Status != plan.Running || !slices.Equal(s.Nodes, id.Nodes()) {
		t.Errorf("status %+v", s)
	}
}

func TestStatus(t *testing.T) {
	tests := []struct {
		name   string
		change func(w *world, k *Clusters)
		status plan.Status
		kind   fault.Kind // where status is empty
		says   string
	}{
		{name: "as it was created", change: func(*world, *Clusters) {}, status: plan.Running},
		{name: "stopped", change: func(w *world, _ *Clusters) { w.each(func(n *node) { n.State = "exited" }) }, status: plan.Stopped},
		{name: "one node stopped", change: func(w *world, _ *Clusters) { w.containers[1].State = "exited" }, status: plan.Stopped},
		{name: "paused", change: func(w *world, _ *Clusters) { w.each(func(n *node) { n.State = "paused" }) }, status: plan.Stopped},
		{name: "deleted by hand", change: func(w *world, _ *Clusters) { w.containers = nil }, status: plan.Absent},
		{name: "one node gone", change: func(w *world, _ *Clusters) { w.containers = w.containers[:1] }, kind: fault.Machine, says: "devenv-x-worker is gone"},
		{name: "one node dead", change: func(w *world, _ *Clusters) { w.containers[0].State = "dead" }, kind: fault.Machine, says: "is dead"},
		{name: "deaf", change: func(w *world, _ *Clusters) { w.deaf = true }, kind: fault.Machine, says: "does not answer"},
		{name: "kubeconfig lost", change: func(_ *world, k *Clusters) { _ = os.Remove(k.Kubeconfig()) }, status: plan.Running},
		{name: "another port", change: func(w *world, _ *Clusters) { w.containers[0].Endpoint = "127.0.0.1:40001" }, status: plan.Running},
		{name: "made anew by somebody else", change: func(w *world, _ *Clusters) {
			w.each(func(n *node) { n.ID += "-other" })
		}, kind: fault.Refused, says: "is not the one that devenv created"},
		{name: "a node added by somebody else", change: func(w *world, _ *Clusters) { w.add(testName, "devenv-x-worker2", 2) }, kind: fault.Refused, says: "devenv-x-worker2"},
		{name: "identity lost", change: func(_ *world, k *Clusters) { _ = os.Remove(k.identityFile()) }, kind: fault.Refused, says: "nothing is stored"},
		{name: "identity garbled", change: func(_ *world, k *Clusters) { _ = os.WriteFile(k.identityFile(), []byte("{"), 0o600) }, kind: fault.Machine, says: "cannot be read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			k := w.clusters(t.TempDir(), testSpec(1))
			mustCreate(t, k)
			tt.change(w, k)
			s, err := k.Status(t.Context())
			if tt.status == "" {
				requireKind(t, err, tt.kind)
				if !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%q does not say %q", err, tt.says)
				}
				return
			}
			if err != nil || s.Status != tt.status {
				t.Fatalf("got %+v, %v, want %s", s, err, tt.status)
			}
		})
	}
}

func TestNothingForeignIsTouched(t *testing.T) {
	w := newWorld()
	k := w.clusters(t.TempDir(), testSpec(0))
	c := resolve(t, k)
	w.add(testName, "devenv-x-control-plane", 0)
	_, statusErr := k.Status(t.Context())
	for name, err := range map[string]error{
		"create": k.Create(t.Context(), c, silent),
		"start":  k.Start(t.Context(), c, silent),
		"delete": k.Delete(t.Context()),
		"status": statusErr,
	} {
		t.Run(name, func(t *testing.T) { requireKind(t, err, fault.Refused) })
	}
	for _, call := range w.calls {
		if !strings.HasPrefix(call, "docker ps ") && !strings.HasPrefix(call, "docker container inspect ") && !strings.HasPrefix(call, "docker image ") {
			t.Errorf("it ran %q", call)
		}
	}
}

func TestLeftoversOfOthersAreRefused(t *testing.T) {
	for name, began := range map[string]intent{
		"an hour after our creation broke off":           {StartedAt: time.Now().Add(-time.Hour)},
		"five minutes after our creation was taken back": {StartedAt: time.Now().Add(-5 * time.Minute), Undone: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			k := w.clusters(t.TempDir(), testSpec(0))
			began.Name = testName
			if err := k.writeState(k.intentFile(), began); err != nil {
				t.Fatal(err)
			}
			w.add(testName, "devenv-x-control-plane", 0)
			requireKind(t, k.Create(t.Context(), resolve(t, k), silent), fault.Refused)
		})
	}
}

func TestDeletedClusterLeavesNothing(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	k := w.clusters(dir, testSpec(2))
	mustCreate(t, k)
	for range 2 { // the second finds nothing to do
		if err := k.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rest, _ := os.ReadDir(dir); len(rest) > 0 || len(w.names()) > 0 {
			t.Fatalf("%v and %v are left", rest, w.names())
		}
	}
}

func TestBrokenClusterCanBeDeletedAndMadeAnew(t *testing.T) {
	w := newWorld()
	k := w.clusters(t.TempDir(), testSpec(2))
	mustCreate(t, k)
	w.containers = w.containers[:2]
	if err := k.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, k)
}

func TestFailedCreationShowsWhatTheToolsSaidAndLeavesNothing(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	k := w.clusters(dir, testSpec(0))
	c := resolve(t, k)
	w.hook = func(call string) error {
		if call == "kind installing CNI" {
			return errors.New("failed to apply overlay network")
		}
		return nil
	}
	err := k.Create(t.Context(), c, silent)
	requireKind(t, err, fault.Machine)
	f := (*fault.Error)(nil)
	if !errors.As(err, &f) || !strings.Contains(f.Detail, "it is all too much") || !strings.Contains(err.Error(), "overlay network") {
		t.Errorf("%v\n%s", err, f.Detail)
	}
	if rest, _ := os.ReadDir(dir); len(rest) > 0 || len(w.names()) > 0 {
		t.Errorf("%v and %v are left", rest, w.names())
	}
}

// kind looks for a free port some time before the engine gives it to a node.
func TestAPortThatIsTakenMeanwhile(t *testing.T) {
	for _, tt := range []struct {
		name      string
		networks  string // of the user's own configuration
		times     int    // how often the port is taken
		fails     bool
		attempted int
	}{
		{"once", "", 1, false, 2},
		{"for ever", "", 100, true, createTries},
		{"a port that somebody asked for", "networking: {apiServerPort: 6443}\n", 100, true, 1},
		{"a port of a node that somebody asked for", "nodes: [{role: control-plane, extraPortMappings: [{containerPort: 80, hostPort: 8080}]}]\n", 100, true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, dir := newWorld(), t.TempDir()
			spec := testSpec(0)
			if tt.networks != "" {
				spec.KindConfig = filepath.Join(t.TempDir(), "kind.yaml")
				if err := os.WriteFile(spec.KindConfig, []byte("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n"+tt.networks), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			k := w.clusters(dir, spec)
			c := resolve(t, k)
			attempted := 0
			w.hook = func(call string) error {
				if call != "kind "+testName+"-control-plane" {
					return nil
				}
				if attempted++; attempted <= tt.times {
					return &exec.RunError{Command: []string{"docker", "run"}, Output: []byte("Bind for 127.0.0.1:40000 failed: port is already allocated"), Inner: errors.New("exit status 125")}
				}
				return nil
			}
			err := k.Create(t.Context(), c, silent)
			if (err != nil) != tt.fails || attempted != tt.attempted {
				t.Errorf("%d attempts, %v", attempted, err)
			}
			if tt.fails {
				requireKind(t, err, fault.Machine)
				if rest, _ := os.ReadDir(dir); len(rest) > 0 || len(w.names()) > 0 || !strings.Contains(err.Error(), "a port is taken") {
					t.Errorf("%v; %v and %v are left", err, rest, w.names())
				}
			}
		})
	}
}

func TestCreateRefusesAnImageThatIsNoNodeImage(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	k := w.clusters(dir, testSpec(0))
	w.probe = "CapBnd:\t000001ffffffffff\ncgroup cgroup2fs\nkubernetes \n"
	requireKind(t, k.Create(t.Context(), resolve(t, k), silent), fault.Config)
	if len(w.names()) > 0 {
		t.Errorf("%v were created", w.names())
	}
}

func TestStartGivesNodesTheirAddressesBack(t *testing.T) {
	w := newWorld()
	k := w.clusters(t.TempDir(), testSpec(2))
	mustCreate(t, k)
	id, err := k.Identity()
	if err != nil {
		t.Fatal(err)
	}
	id.Containers[0].IP, id.Containers[2].IP = "172.18.0.10", "172.18.0.2" // as parallel creation may have given them
	if err := k.writeState(k.identityFile(), id); err != nil {
		t.Fatal(err)
	}
	w.each(func(n *node) { n.State = "exited" })
	w.calls = nil
	if err := k.Start(t.Context(), plan.Cluster{}, silent); err != nil {
		t.Fatal(err)
	}
	var started []string
	for _, call := range w.calls {
		if id, ok := strings.CutPrefix(call, "docker start "); ok {
			started = append(started, w.find(id).Name)
		}
	}
	if want := []string{"devenv-x-worker2", "devenv-x-worker", "devenv-x-control-plane"}; !slices.Equal(started, want) {
		t.Errorf("started %v, want %v", started, want)
	}
}

func TestStartNamesTheTakenPort(t *testing.T) {
	w := newWorld()
	k := w.clusters(t.TempDir(), testSpec(0))
	mustCreate(t, k)
	w.each(func(n *node) { n.State = "exited" })
	w.hook = func(call string) error {
		if strings.HasPrefix(call, "docker start") {
			return failed([]string{"start"}, "Bind for 127.0.0.1:40000 failed: port is already allocated")
		}
		return nil
	}
	err := k.Start(t.Context(), plan.Cluster{}, silent)
	requireKind(t, err, fault.Machine)
	if !strings.Contains(err.Error(), "40000") {
		t.Errorf("%v does not name the port", err)
	}
}

func TestChanges(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	mustCreate(t, w.clusters(dir, testSpec(0)))
	spec := testSpec(2)
	spec.RegistryMirrors = map[string][]string{"docker.io": {"https://mirror.example.com"}}
	got, err := w.clusters(dir, spec).Changes()
	want := []string{`registryMirrors: none then, {"docker.io":["https://mirror.example.com"]} now`, "workers: 0 then, 2 now"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
}
