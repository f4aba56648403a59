package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const safetySettings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: one}\n"

// TestSafety puts a second cluster in devenv's way, and says in every variable that somebody could have set that it is the one to use.
// Nothing in it changes, and the user's kubeconfig is not even opened.
func TestSafety(t *testing.T) {
	parallel(t, 240*time.Second)
	manifests := map[string]string{"settings.yaml": safetySettings}
	decoy := newPlace(t, "e2e-decoy", manifests)
	mine := newPlace(t, "e2e-safety", manifests)
	decoy.devenv(t, "up").must(t, 0)

	// The user's own kubeconfig leads to the second cluster, by all the ways in which one can be named.
	home := t.TempDir()
	config := read(t, decoy.state("kubeconfig"))
	files := []string{filepath.Join(home, ".kube", "config"), filepath.Join(home, "other", "config")}
	for _, f := range files {
		if err := os.MkdirAll(filepath.Dir(f), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := serverOf(t, config)
	host, port, _ := strings.Cut(strings.TrimPrefix(server, "https://"), ":")
	const nowhere = "http://127.0.0.1:9"
	mine.environ = []string{
		"HOME=" + home, "KUBECONFIG=" + files[1], "KUBERNETES_MASTER=" + server, "KUBERNETES_SERVICE_HOST=" + host, "KUBERNETES_SERVICE_PORT=" + port,
		"POD_NAMESPACE=kube-system", "KIND_CLUSTER_NAME=" + decoy.cluster(), "KIND_EXPERIMENTAL_PROVIDER=podman",
		"KIND_EXPERIMENTAL_DOCKER_NETWORK=devenv-e2e-nowhere", "DOCKER_DEFAULT_PLATFORM=linux/s390x",
		"HELM_KUBECONTEXT=kind-" + decoy.cluster(), "HELM_KUBEAPISERVER=" + server, "HELM_KUBETOKEN=x", "HELM_NAMESPACE=kube-system", "HELM_DRIVER=sql",
		"HTTP_PROXY=" + nowhere, "HTTPS_PROXY=" + nowhere, "ALL_PROXY=" + nowhere, "NO_PROXY=", "http_proxy=" + nowhere, "https_proxy=" + nowhere, "no_proxy=",
	}
	before := decoy.settled(t)
	opened := watchOpens(t, files...)
	untouched := func(t *testing.T) {
		t.Helper()
		if diff := cmp.Diff(before, decoy.objects(t)); diff != "" {
			t.Errorf("the second cluster changed (-before +after):\n%s", diff)
			before = decoy.objects(t)
		}
		if events := opened(); len(events) > 0 {
			t.Errorf("the user's kubeconfig was touched: %s", strings.Join(events, ", "))
		}
	}
	step := func(name string, f func(t *testing.T)) {
		t.Helper()
		if !t.Run(name, f) {
			t.FailNow()
		}
	}

	step("every command acts on its own cluster", func(t *testing.T) {
		for _, args := range [][]string{
			{"plan"}, {"up"}, {"up"}, {"status"}, {"render"}, {"kubeconfig"}, {"logs"}, {"down"}, {"up"},
		} {
			mine.devenv(t, args...).must(t, 0)
			untouched(t)
		}
		if out := mine.must(t, "get", "configmap", "settings", "-n", "app", "-o", "jsonpath={.data.mode}"); out != "one" {
			t.Errorf("settings say %q", out)
		}
		if exec.Command("docker", "network", "inspect", "devenv-e2e-nowhere").Run() == nil {
			t.Error("KIND_EXPERIMENTAL_DOCKER_NETWORK was heeded")
		}
	})

	ours := map[string]string{"cluster.json": read(t, mine.state("cluster.json")), "kubeconfig": read(t, mine.state("kubeconfig"))}
	theirs := map[string]string{"cluster.json": read(t, decoy.state("cluster.json")), "kubeconfig": read(t, decoy.state("kubeconfig"))}
	refuse := func(t *testing.T, says ...string) {
		t.Helper()
		for _, args := range [][]string{{"plan"}, {"up"}, {"down"}, {"down", "--data"}, {"down", "--cluster"}, {"down", "--cluster", "--data"}} {
			r := mine.devenv(t, args...).must(t, 7)
			for _, want := range says {
				if !strings.Contains(r.failure(), want) {
					t.Errorf("devenv %s does not say %q:\n%s", strings.Join(args, " "), want, r.failure())
				}
			}
			untouched(t)
		}
	}
	for _, state := range []struct {
		name  string
		files map[string]string
		says  []string
	}{
		{"our kubeconfig, rewritten to the second cluster", map[string]string{"kubeconfig": theirs["kubeconfig"]}, []string{"the API endpoint does not match", server}},
		{"our kubeconfig, with the second cluster's keys", map[string]string{
			"kubeconfig": strings.ReplaceAll(theirs["kubeconfig"], server, serverOf(t, ours["kubeconfig"])),
		}, []string{"the UID cannot be checked"}},
		{"the second cluster's cluster.json", map[string]string{"cluster.json": theirs["cluster.json"]}, []string{"the name does not match", decoy.cluster()}},
		{"the second cluster's state, with our name in it", map[string]string{
			"cluster.json": strings.ReplaceAll(theirs["cluster.json"], decoy.cluster(), mine.cluster()), "kubeconfig": theirs["kubeconfig"],
		}, []string{"is not the one that devenv created"}},
		{"another UID", map[string]string{"cluster.json": changeUID(t, ours["cluster.json"])}, []string{"its UID is"}},
	} {
		step("refused: "+state.name, func(t *testing.T) {
			for name, text := range state.files {
				replace(t, mine.state(name), text)
			}
			refuse(t, state.says...)
			for name := range state.files {
				replace(t, mine.state(name), ours[name])
			}
			if n := mine.devenv(t, "up").must(t, 0).steps(t); n != 0 {
				t.Errorf("with its state back, up has %d steps to do", n)
			}
		})
	}

	step("refused: a cluster of the same name that somebody else made", func(t *testing.T) {
		if out, err := exec.Command("docker", append([]string{"rm", "-f", "-v"}, containers(t, mine.cluster())...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		stranger := newPlace(t, mine.name, manifests)
		stranger.devenv(t, "up").must(t, 0)
		made := containers(t, mine.cluster())
		objects := stranger.settled(t)
		refuse(t, "its name matches", "is not the one that devenv created")
		if diff := cmp.Diff(objects, stranger.objects(t)); diff != "" {
			t.Errorf("the other cluster changed (-before +after):\n%s", diff)
		}
		if now := containers(t, mine.cluster()); !slices.Equal(now, made) {
			t.Errorf("its containers are %v, were %v", now, made)
		}
		stranger.devenv(t, "down", "--cluster", "--data").must(t, 0)
	})

	for _, f := range files {
		if read(t, f) != config {
			t.Errorf("%s changed", f)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func replace(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// serverOf is the API endpoint that a kubeconfig names.
func serverOf(t *testing.T, config string) string {
	t.Helper()
	for line := range strings.Lines(config) {
		if server, ok := strings.CutPrefix(strings.TrimSpace(line), "server: "); ok {
			return server
		}
	}
	t.Fatal("the kubeconfig names no server")
	return ""
}

// changeUID turns the digits of the UID in an identity around.
func changeUID(t *testing.T, identity string) string {
	t.Helper()
	_, rest, found := strings.Cut(identity, `"uid": "`)
	uid, _, ended := strings.Cut(rest, `"`)
	if !found || !ended {
		t.Fatalf("no UID in %s", identity)
	}
	turned := []byte(uid)
	slices.Reverse(turned)
	return strings.ReplaceAll(identity, uid, string(turned))
}
