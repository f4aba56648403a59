package parity

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"sigs.k8s.io/yaml"

	"github.com/devenv-run/devenv/devenv/plan"
)

var update = flag.Bool("update", false, "write what the tests find into the golden files")

// decode reads objects from YAML documents; hooks have Helm's annotation.
func decode(t testing.TB, text string) []Object {
	t.Helper()
	var objects []Object
	for doc := range strings.SplitSeq(text, "---\n") {
		if strings.TrimSpace(doc) == "" {
			continue
		}
		data, err := yaml.YAMLToJSON([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		o := Object{}
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		if err := decoder.Decode(&o.Value); err != nil {
			t.Fatal(err)
		}
		o.ID = identity(o.Value)
		metadata, _ := o.Value["metadata"].(map[string]any)
		annotations, _ := metadata["annotations"].(map[string]any)
		_, o.Hook = annotations["helm.sh/hook"]
		objects = append(objects, o)
	}
	return objects
}

func identity(value map[string]any) plan.ID {
	id := plan.ID{Kind: fmt.Sprint(value["kind"])}
	if group, _, ok := strings.Cut(fmt.Sprint(value["apiVersion"]), "/"); ok {
		id.Group = group
	}
	metadata, _ := value["metadata"].(map[string]any)
	id.Name, _ = metadata["name"].(string)
	id.Namespace, _ = metadata["namespace"].(string)
	return id
}

// A case is one txtar file: a file for each stage in their order, whose name is what makes it ("automatic images", "declared divergence: why";
// "rendered", "holds" and "again" are marks), and want, the report.
func TestCompare(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases: ", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var stages []Stage
			var options Options
			var live []Object
			want := ""
			for _, f := range archive.Files {
				words := strings.Fields(f.Name)
				switch words[0] {
				case "want":
					want = string(f.Data)
					continue
				case "again":
					options.Again = decode(t, string(f.Data))
					continue
				case "live":
					live = decode(t, string(f.Data))
					continue
				}
				s := Stage{Objects: decode(t, string(f.Data))}
				marks, text, _ := strings.Cut(f.Name, ": ")
				s.Cause.Text = text
				for _, word := range strings.Fields(marks) {
					switch word {
					case "rendered":
						s.Rendered = true
					case "holds":
						s.Holds = true
					case string(Automatic), string(Declared), string(Undeclared):
						s.Cause.Class = Class(word)
					default:
						s.Cause.By = word
					}
				}
				stages = append(stages, s)
			}
			if live != nil {
				stages[0].Holds, stages[0].Cause = true, Cause{Class: Undeclared, By: "cluster"}
				stages = append([]Stage{{Objects: Live(live, stages[0].Objects, stages[len(stages)-1].Objects)}}, stages...)
			}
			got := Compare(stages, options).String()
			if *update {
				rewrite(t, file, archive, got)
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("different (-want +got); run the test with -update if that is right\n%s", diff)
			}
		})
	}
}

// rewrite puts what was found into a case's file.
func rewrite(t *testing.T, file string, archive *txtar.Archive, got string) {
	t.Helper()
	kept := archive.Files[:0]
	for _, f := range archive.Files {
		if f.Name != "want" {
			kept = append(kept, f)
		}
	}
	archive.Files = append(kept, txtar.File{Name: "want", Data: []byte(got)})
	if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What means the same, and what does not: two objects of a kind, as a line of YAML each, and the paths that differ.
func TestMeaning(t *testing.T) {
	const (
		deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: "
		pod        = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: "
		service    = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: "
		budget     = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: a}\nspec: "
		policy     = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec: "
		widget     = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\nspec: "
		config     = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: "
	)
	for _, c := range []struct{ name, head, a, b, want string }{
		{"quantities", pod, `{containers: [{name: a, resources: {requests: {cpu: 1000m, memory: 1Gi}}}]}`, `{containers: [{name: a, resources: {requests: {cpu: 1, memory: 1024Mi}}}]}`, ""},
		{"another quantity", pod, `{containers: [{name: a, resources: {requests: {cpu: 1000m}}}]}`, `{containers: [{name: a, resources: {requests: {cpu: 1001m}}}]}`, "spec.containers[a].resources.requests.cpu"},
		{"a quantity only where the type says so", widget, `{cpu: 1000m}`, `{cpu: "1"}`, "spec.cpu"},
		{"ports by number or text", service, `{ports: [{port: 80, targetPort: "8080"}]}`, `{ports: [{port: 80, targetPort: 8080}]}`, ""},
		{"text in a variable is no number", pod, `{containers: [{name: a, env: [{name: A, value: "1"}]}]}`, `{containers: [{name: a, env: [{name: A, value: "1.0"}]}]}`, "spec.containers[a].env[A].value"},
		{"numbers", deployment, `{replicas: 1}`, `{replicas: 1.0}`, ""},
		{"large numbers", widget, `{size: 12345678901234567890}`, `{size: 12345678901234567891}`, "spec.size"},
		{"null and none", deployment, `{replicas: null, template: {metadata: {annotations: null}}}`, `{}`, ""},
		{"empty map and none", pod, `{nodeSelector: {}, containers: [{name: a, resources: {}}], tolerations: []}`, `{containers: [{name: a}]}`, ""},
		{"zero and none", pod, `{hostNetwork: false, containers: [{name: a, command: [], workingDir: ""}]}`, `{containers: [{name: a}]}`, ""},
		{"zero behind a pointer is a value", deployment, `{replicas: 0}`, `{}`, "spec.replicas"},
		{"an empty selector selects everything", budget, `{selector: {}}`, `{}`, "spec.selector"},
		{"an empty rule allows everything", policy, `{ingress: [{}]}`, `{ingress: []}`, "spec.ingress"},
		{"empty means something in a custom kind", widget, `{tls: {}}`, `{}`, "spec.tls"},
		{"an empty text in a map is a value", config, `{a: ""}`, `{}`, "data.a"},
		{"and beside another", config, `{a: "", b: c}`, `{b: c}`, "data.a"},
		{"containers in another order", pod, `{containers: [{name: a}, {name: b}]}`, `{containers: [{name: b}, {name: a}]}`, ""},
		{"init containers run in their order", pod, `{initContainers: [{name: a}, {name: b}]}`, `{initContainers: [{name: b}, {name: a}]}`, "spec.initContainers (order)"},
		{"variables use those before them", pod, `{containers: [{name: a, env: [{name: A, value: a}, {name: B, value: b}]}]}`, `{containers: [{name: a, env: [{name: B, value: b}, {name: A, value: a}]}]}`, "spec.containers[a].env (order)"},
		{"an added container", pod, `{containers: [{name: a}]}`, `{containers: [{name: b, image: x}, {name: a}]}`, "spec.containers[b]"},
		{"a port of another protocol", service, `{ports: [{name: a, port: 53}, {name: b, port: 53, protocol: UDP}]}`, `{ports: [{name: b, port: 53, protocol: UDP}, {name: c, port: 53, protocol: TCP}]}`, "spec.ports[53].name spec.ports[53].protocol"},
		{"arguments are one value", pod, `{containers: [{name: a, args: [x, y]}]}`, `{containers: [{name: a, args: [x, z]}]}`, "spec.containers[a].args"},
		{"items without names by their place", pod, `{tolerations: [{key: a}, {key: b}]}`, `{tolerations: [{key: a}, {key: c}]}`, "spec.tolerations[1].key"},
		{"and as a whole where their number differs", pod, `{tolerations: [{key: a}]}`, `{tolerations: [{key: a}, {key: c}]}`, "spec.tolerations"},
		{"names twice are no names", pod, `{containers: [{name: a, env: [{name: A, value: a}, {name: A, value: b}]}]}`, `{containers: [{name: a, env: [{name: A, value: a}, {name: A, value: c}]}]}`, "spec.containers[a].env[1].value"},
		{"items of a custom kind by their names", widget, `{parts: [{name: a, size: 1}, {name: b, size: 1}]}`, `{parts: [{name: a, size: 1}, {name: b, size: 2}]}`, "spec.parts[b].size"},
		{"a field that the type does not have", deployment, `{replica: 1}`, `{replica: 2}`, "spec.replica"},
		{"another type", deployment, `{replicas: "1"}`, `{replicas: 1}`, "spec.replicas"},
		{"claims by their names", "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\nspec: ", `{volumeClaimTemplates: [{metadata: {name: d}, spec: {resources: {requests: {storage: 1Gi}}}}]}`, `{volumeClaimTemplates: [{metadata: {name: d}, spec: {resources: {requests: {storage: 2Gi}}}}]}`, "spec.volumeClaimTemplates[d].spec.resources.requests.storage"},
		{"keys with dots", config, `{a.b/c: x}`, `{a.b/c: "y"}`, `data["a.b/c"]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, way := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
				r := Compare([]Stage{{Objects: decode(t, c.head+way[0])}, {Objects: decode(t, c.head+way[1])}}, Options{})
				var paths []string
				for _, d := range r.Objects[0].Changes {
					paths = append(paths, d.Path)
				}
				if got := strings.Join(paths, " "); got != c.want {
					t.Errorf("%s → %s: %q, want %q", way[0], way[1], got, c.want)
				}
			}
		})
	}
}
