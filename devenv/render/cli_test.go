package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/chart/common"
)

// What the command-line tools of production render is the measure. These tests compare with them, for every case that
// renders, for testdata/shop and for the sample app. DEVENV_HELM and DEVENV_KUSTOMIZE name the programs; "make unit" builds
// them (scripts/reference-tools). Without the variables the tests are skipped.

func TestHelmCLI(t *testing.T) {
	helm := tool(t, "DEVENV_HELM")
	for name, in := range projects(t) {
		for i, s := range in.Sources {
			if s.Helm == nil {
				continue
			}
			t.Run(name+"/"+s.Name, func(t *testing.T) {
				dir := t.TempDir()
				args := []string{"template", s.Name, s.Helm.Chart, "--namespace", s.Namespace, "--include-crds"}
				for _, file := range s.Helm.Values {
					args = append(args, "--values", file)
				}
				args = append(args, setFlags(t, s.Helm.Set)...)
				if s.Upgrade {
					args = append(args, "--is-upgrade")
				}
				if in.Capabilities.KubeVersion == "" {
					in.Capabilities.KubeVersion = "v1.36.0"
				}
				args = append(args, "--kube-version", in.Capabilities.KubeVersion)
				for _, api := range slices.Concat(in.Capabilities.APIVersions, definedBefore(t, in, i)) {
					args = append(args, "--api-versions", api)
				}
				cmd := exec.Command(helm, args...)
				cmd.Dir = in.Dir
				cmd.Env = []string{"HOME=" + dir, "PATH=/nowhere", "KUBECONFIG=/nowhere"}
				in.Capabilities.APIVersions = slices.Concat(common.DefaultVersionSet, in.Capabilities.APIVersions) // the tool adds to its list
				compare(t, in, i, run(t, cmd))
			})
		}
	}
}

// setFlags are the flags that set values of these types: whole numbers keep all their digits only with --set.
func setFlags(t *testing.T, set map[string]any) []string {
	t.Helper()
	var flags []string
	for _, key := range slices.Sorted(maps.Keys(set)) {
		value, err := json.Marshal(set[key])
		if err != nil {
			t.Fatal(err)
		}
		flag := "--set-json"
		if _, err := strconv.ParseInt(string(value), 10, 64); err == nil {
			flag = "--set"
		}
		flags = append(flags, flag, key+"="+string(value))
	}
	return flags
}

func TestKustomizeCLI(t *testing.T) {
	kustomize := tool(t, "DEVENV_KUSTOMIZE")
	for name, in := range projects(t) {
		for i, s := range in.Sources {
			if s.Kustomize == "" {
				continue
			}
			t.Run(name+"/"+s.Name, func(t *testing.T) {
				cmd := exec.Command(kustomize, "build", s.Kustomize)
				cmd.Dir = in.Dir
				cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=/nowhere"}
				compare(t, in, i, run(t, cmd))
			})
		}
	}
}

// projects are all inputs that render: without a cluster, and without what differs here (services' images, divergences).
func projects(t *testing.T) map[string]Input {
	t.Helper()
	all := map[string]Input{"shop": shop(t)}
	for _, c := range cases(t, "cases") {
		if !strings.HasPrefix(c.want, "error ") {
			all[c.name] = c.input
		}
	}
	if app, err := filepath.Abs("../../sample-app"); err == nil {
		if _, err := os.Stat(filepath.Join(app, "devenv.yaml")); err == nil {
			all["sample-app"] = Input{Dir: app, Capabilities: Capabilities{KubeVersion: "v1.36.3"}, Sources: []Source{
				{Name: "data", Namespace: "academy", Kustomize: "deploy/data/overlays/production"},
				{Name: "academy", Namespace: "academy", Helm: &Helm{Chart: "deploy/chart", Values: []string{"deploy/production.yaml"}}},
			}}
		}
	}
	for name, in := range all {
		in.Services, in.Present, in.Capabilities.Lookup, in.Divergences = nil, nil, nil, nil
		in.Sources = slices.Clone(in.Sources)
		for i := range in.Sources {
			in.Sources[i].Local = nil
		}
		all[name] = in
	}
	return all
}

// definedBefore are the API versions that the definitions of a source and of those before it add.
func definedBefore(t *testing.T, in Input, i int) []string {
	t.Helper()
	in.Sources = in.Sources[:i+1]
	r := &rendering{in: in, scopes: scopes{}}
	for n := range in.Sources {
		if err := r.load(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	return r.apis
}

// compare renders an input and compares source i with what the tool put out, object by object. The tool's text goes
// through the same decoding and gets the same namespaces, so that only the content counts.
func compare(t *testing.T, in Input, i int, text []byte) {
	t.Helper()
	ours, err := Render(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range ours.Sources[i].Objects {
		if !strings.Contains(o.Origin, "namespace of source") { // what --create-namespace adds is no part of the tools' output
			got = append(got, string(o.JSON))
		}
	}
	for _, h := range ours.Sources[i].Hooks {
		got = append(got, string(h.JSON))
	}
	r := &rendering{in: in, scopes: scopes{}}
	for n := range in.Sources[:i] {
		if err := r.load(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	r.in.Sources = slices.Clone(in.Sources)
	r.in.Sources[i] = Source{Name: "tool", Namespace: in.Sources[i].Namespace, Raw: append(text, "\n---\n"...)}
	r.drafts = nil
	if err := errors.Join(r.load(t.Context(), i), r.place()); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, d := range r.drafts {
		o, err := d.seal()
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, string(o.JSON))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("different from the tool (-tool +devenv):\n%s", diff)
	}
	t.Logf("%d objects are equal", len(got))
}

// tool is the program that an environment variable names; without one the test is skipped.
func tool(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Skipf("%s does not name the program to compare with", variable)
	}
	return path
}

// run gives a command's standard output.
func run(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, stderr.String()))
	}
	return out
}
