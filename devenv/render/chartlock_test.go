package render

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What helm locks is accepted, and what "helm dependency build" refuses afterwards is refused. DEVENV_HELM names the program.
func TestLockCLI(t *testing.T) {
	helm := tool(t, "DEVENV_HELM")
	for name, chart := range map[string]string{
		"v2": `
-- chart/Chart.yaml --
apiVersion: v2
name: parent
version: 1.0.0
dependencies:
  - {name: leaf, version: ">=0.1.0 <1.0.0", repository: "file://../leaf", condition: leaf.enabled, tags: [a, b], import-values: [data, {child: a, parent: b}]}
  - {name: leaf, version: 0.1.x, repository: "file://../leaf", alias: other}
  - {name: inside, version: "*"}
`,
		"v1": `
-- chart/Chart.yaml --
apiVersion: v1
name: parent
version: 1.0.0
-- chart/requirements.yaml --
dependencies:
  - {name: leaf, version: 0.1.x, repository: "file://../leaf"}
`,
	} {
		t.Run(name, func(t *testing.T) {
			in := project(t, Source{Helm: &Helm{Chart: "chart"}}, chart+`
-- chart/charts/inside/Chart.yaml --
apiVersion: v2
name: inside
version: 7.0.0
-- leaf/Chart.yaml --
apiVersion: v2
name: leaf
version: 0.1.7
-- leaf/values.yaml --
exports: {data: {x: y}}
-- leaf/templates/a.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Chart.Name }}}
`)
			home := t.TempDir()
			dependency := func(verb string) error {
				cmd := exec.Command(helm, "dependency", verb, "chart", "--skip-refresh")
				cmd.Dir, cmd.Env = in.Dir, []string{"HOME=" + home, "PATH=/nowhere"}
				out, err := cmd.CombinedOutput()
				t.Logf("helm dependency %s: %s", verb, out)
				return err
			}
			if err := dependency("update"); err != nil {
				t.Fatal(err)
			}
			if _, err := Render(t.Context(), in); err != nil {
				t.Fatalf("after helm dependency update: %v", err)
			}
			for _, file := range []string{"chart/Chart.yaml", "chart/requirements.yaml"} {
				replaceIn(t, filepath.Join(in.Dir, file), "0.1.x", "0.1.7")
			}
			if dependency("build") == nil {
				t.Fatal("helm does not mind that the lock is out of sync")
			}
			_, err := Render(t.Context(), in)
			if err == nil || !strings.Contains(err.Error(), "out of sync") {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// replaceIn replaces text in a file, if there is one.
func replaceIn(t *testing.T, file, old, text string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return
	} else if err != nil {
		t.Fatal(err)
	}
	write(t, file, []byte(strings.ReplaceAll(string(data), old, text)))
}
