package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// place is a small project with a state directory of its own: devenv as one of several people on a machine has it.
type place struct {
	binary  string
	dir     string   // of the project
	name    string   // of the environment
	home    string   // XDG_STATE_HOME
	env     string   // --env; may be empty
	environ []string // over the process's
}

// newPlace makes a project of one node whose manifests are the given files, and registers the removal of its cluster.
func newPlace(t *testing.T, name string, manifests map[string]string) *place {
	t.Helper()
	root := checkout(t)
	p := &place{binary: filepath.Join(root, "bin", "devenv"), dir: t.TempDir(), home: t.TempDir(), name: name}
	p.write(t, "devenv.yaml", "apiVersion: devenv/v1\nname: "+name+"\ndeploy:\n  - {name: app, namespace: app, manifests: [app]}\n")
	for file, text := range manifests {
		p.write(t, filepath.Join("app", file), text)
	}
	t.Cleanup(func() {
		p.devenv(t, "down", "--cluster", "--data")
		if left := containers(t, p.cluster()); len(left) > 0 { // of a test that failed half-way; the name is the tests' own
			_ = exec.Command("docker", append([]string{"rm", "-f", "-v"}, left...)...).Run()
		}
	})
	return p
}

func (p *place) cluster() string { return "devenv-" + p.name }
func (p *place) state(file string) string {
	return filepath.Join(p.home, "devenv", p.name, file)
}

func (p *place) write(t *testing.T, file, text string) {
	t.Helper()
	path := filepath.Join(p.dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// remove takes a manifest away.
func (p *place) remove(t *testing.T, manifest string) {
	t.Helper()
	if err := os.Remove(filepath.Join(p.dir, "app", manifest)); err != nil {
		t.Fatal(err)
	}
}

// kept lists what a run said that it kept, and why.
func (r run) kept() []string {
	var all []string
	for _, e := range r.events {
		if e.Type == "kept" {
			all = append(all, e.Subject+": "+e.Reason)
		}
	}
	return all
}

// devenv runs a command to its end.
func (p *place) devenv(t *testing.T, args ...string) run {
	t.Helper()
	all := append(slices.Clone(args), "-o", "json", "--file", filepath.Join(p.dir, "devenv.yaml"))
	if p.env != "" {
		all = append(all, "--env", p.env)
	}
	cmd := exec.Command(p.binary, all...)
	cmd.Env = append(append(os.Environ(), "XDG_STATE_HOME="+p.home), p.environ...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err := cmd.Run()
	return finished(t, args, err, time.Since(began), &stdout, &stderr)
}

// kubectl asks the cluster through its node, with nothing of devenv in between.
func (p *place) kubectl(args ...string) (string, error) {
	all := append([]string{"exec", "-i", p.cluster() + "-control-plane", "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf"}, args...)
	var stderr bytes.Buffer // warnings go there, which are no part of the answer
	cmd := exec.Command("docker", all...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return stderr.String(), err
	}
	return strings.TrimSpace(string(out)), nil
}

func (p *place) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := p.kubectl(args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// objects lists everything in the cluster that does not change by itself, one a line, with its resource version; the cluster's own
// workloads, whose status goes on changing, with their whole declaration instead.
func (p *place) objects(t *testing.T) []string {
	t.Helper()
	var kinds []string
	for kind := range strings.FieldsSeq(p.must(t, "api-resources", "--verbs=list", "-o", "name")) {
		switch kind {
		case "events", "events.events.k8s.io", "leases.coordination.k8s.io", "nodes", "componentstatuses", "endpoints", "endpointslices.discovery.k8s.io": // these do
		default:
			kinds = append(kinds, kind)
		}
	}
	var list struct{ Items []map[string]any }
	if err := json.Unmarshal([]byte(p.must(t, "get", strings.Join(kinds, ","), "-A", "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, i := range list.Items {
		m := i["metadata"].(map[string]any)
		line := fmt.Sprint(i["kind"], " ", m["namespace"], " ", m["name"], " ", m["uid"], " ")
		switch i["kind"] {
		case "Pod", "Deployment", "ReplicaSet", "DaemonSet":
			if m["namespace"] == "kube-system" || m["namespace"] == "local-path-storage" {
				for _, field := range []string{"resourceVersion", "managedFields"} {
					delete(m, field)
				}
				delete(i, "status")
				text, err := json.Marshal(i)
				if err != nil {
					t.Fatal(err)
				}
				lines = append(lines, fmt.Sprintf("%s%x", line, sha256.Sum256(text)))
				continue
			}
		}
		lines = append(lines, line+fmt.Sprint(m["resourceVersion"]))
	}
	slices.Sort(lines)
	return lines
}

// settled lists the objects once they have stopped changing.
func (p *place) settled(t *testing.T) []string {
	t.Helper()
	before := p.objects(t)
	for deadline := time.Now().Add(patience); ; {
		time.Sleep(3 * time.Second) // that nothing happens cannot be waited for
		now := p.objects(t)
		if slices.Equal(before, now) {
			return now
		}
		if time.Now().After(deadline) {
			t.Fatalf("the objects of %s do not settle", p.cluster())
		}
		before = now
	}
}
