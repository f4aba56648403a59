package render

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/plan"
)

var update = flag.Bool("update", false, "write what the tests find into the golden files")

// shop is an Input over testdata/shop, which has some of everything: values files in order, hooks, subcharts under an alias, a
// library chart, definitions, .helmignore, capabilities; components, generators and replacements; JSON and lists.
func shop(t testing.TB) Input {
	t.Helper()
	dir, err := filepath.Abs("testdata/shop")
	if err != nil {
		t.Fatal(err)
	}
	return Input{
		Dir: dir,
		Sources: []Source{
			{Name: "data", Namespace: "shop", Kustomize: "deploy/data/production", Pos: "devenv.yaml:20:5"},
			{Name: "front", Namespace: "front", Pos: "devenv.yaml:21:5", Helm: &Helm{
				Chart:  "deploy/chart",
				Values: []string{"deploy/production.yaml", "deploy/site.yaml"},
				Set:    map[string]any{"sessions.size": 4, "image.tag": "2.0"},
			}},
			{Name: "extras", Namespace: "shop", Manifests: []string{"deploy/extras/*.json", "deploy/extras", "deploy/extras/**/*.y*ml"}, Pos: "devenv.yaml:22:5"},
		},
		Services: []Service{
			{Name: "web", Repository: "registry.example.com/shop/web", Ref: "registry.example.com/shop/web:devenv-0123456789", Pos: "devenv.yaml:5:5"},
			{Name: "worker", Repository: "registry.example.com/shop/worker:latest", Ref: "registry.example.com/shop/worker:devenv-abcdef", Pos: "devenv.yaml:6:5"},
			{Name: "assets", Repository: "registry.example.com/shop/assets", Ref: "registry.example.com/shop/assets:devenv-a55e75", Pos: "devenv.yaml:7:5"},
		},
		Capabilities: Capabilities{
			KubeVersion: "v1.36.3",
			APIVersions: []string{"v1", "apps/v1", "monitoring.example.com/v1", "monitoring.example.com/v1/Probe"},
			Namespaced: func(group, kind string) (bool, bool) {
				return group == "monitoring.example.com", group == "monitoring.example.com"
			},
		},
		Present: func(_ context.Context, refs []string) (map[string]bool, error) {
			return map[string]bool{"busybox": true, "docker.io/library/redis:7": true}, nil
		},
	}
}

func TestRenderGolden(t *testing.T) {
	got, err := Render(t.Context(), shop(t))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "shop.golden", describe(t, got))
}

func TestRenderUpgrade(t *testing.T) {
	in := shop(t)
	in.Sources[1].Upgrade = true
	got, err := Render(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	config := find(t, got, plan.ID{Kind: "ConfigMap", Namespace: "front", Name: "front-config"})
	if !strings.Contains(string(config.JSON), `"moment":"upgrade"`) {
		t.Errorf("the chart does not see an upgrade: %s", config.JSON)
	}
}

func TestRenderIsStable(t *testing.T) {
	first, err := Render(t.Context(), shop(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", "/nowhere")
	t.Setenv("HELM_NAMESPACE", "elsewhere")
	t.Setenv("HELM_KUBECONTEXT", "elsewhere")
	for range 3 {
		again, err := Render(t.Context(), shop(t))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Fatal(diff)
		}
	}
}

// What YAML prints, read again, is what was printed.
func TestYAMLReadsBack(t *testing.T) {
	in := shop(t)
	first, err := Render(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range first.Sources {
		text, err := YAML([]plan.Source{s})
		if err != nil {
			t.Fatal(err)
		}
		again, err := Render(t.Context(), Input{Dir: in.Dir, Sources: []Source{{Name: s.Name, Namespace: in.Sources[i].Namespace, Raw: text}}, Capabilities: in.Capabilities})
		if err != nil {
			t.Fatal(err)
		}
		got := byID(again.Sources[0])
		if namespace := "/v1 Namespace/" + in.Sources[i].Namespace; byID(s)[namespace] == "" {
			delete(got, namespace) // declared by another source
		}
		if diff := cmp.Diff(byID(s), got); diff != "" {
			t.Errorf("source %s: %s", s.Name, diff)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	in := shop(b)
	for b.Loop() {
		if _, err := Render(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}

// describe is a result as text: what there is and what is known of it, then the YAML.
func describe(t *testing.T, r *Result) string {
	t.Helper()
	var b strings.Builder
	for _, s := range r.Sources {
		fmt.Fprintf(&b, "source %s\n", s.Name)
		for _, o := range s.Objects {
			fmt.Fprintf(&b, "  %s\n", line(o))
		}
		for _, h := range s.Hooks {
			fmt.Fprintf(&b, "  hook %s weight %d delete %s: %s\n", strings.Join(h.Events, ","), h.Weight, strings.Join(h.DeletePolicy, ","), line(h.Object))
		}
	}
	for _, ref := range r.ThirdParty {
		fmt.Fprintf(&b, "third party %s\n", ref)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note %s\n", n)
	}
	text, err := YAML(r.Sources)
	if err != nil {
		t.Fatal(err)
	}
	return b.String() + string(text)
}

func line(o plan.Object) string {
	text := o.ID.String() + " from " + o.Origin
	if o.Waits {
		text += ", waits"
	}
	if len(o.Images) > 0 {
		text += ", images " + strings.Join(o.Images, " ")
	}
	return text
}

// byID maps objects and hooks to their JSON. A hook may repeat the identity of an object.
func byID(s plan.Source) map[string]string {
	all := map[string]string{}
	for _, o := range s.Objects {
		all[key(o)] = string(o.JSON)
	}
	for _, h := range s.Hooks {
		all[key(h.Object)] = string(h.JSON)
	}
	return all
}

// key is an object's identity with its API version.
func key(o plan.Object) string {
	var head struct{ APIVersion string }
	_ = json.Unmarshal(o.JSON, &head)
	if !strings.Contains(head.APIVersion, "/") {
		head.APIVersion = "/" + head.APIVersion
	}
	return head.APIVersion + " " + o.ID.String()
}

// find is the object of a result with an identity.
func find(t *testing.T, r *Result, id plan.ID) plan.Object {
	t.Helper()
	for _, s := range r.Sources {
		for _, o := range s.Objects {
			if o.ID == id {
				return o
			}
		}
	}
	t.Fatalf("there is no %s", id)
	return plan.Object{}
}

// golden compares with a file of testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is different (-want +got); run the test with -update if that is right\n%s", file, diff)
	}
}
