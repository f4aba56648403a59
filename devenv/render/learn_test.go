package render

import (
	"strings"
	"testing"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/secret"
)

// What does not render is complained of in words that quote it. Every case quotes a value that would have been secret, which
// the test makes sure of, and which the redactor has learned by then.
func TestComplaintsThatQuoteSecrets(t *testing.T) {
	const chart = `
-- chart/Chart.yaml --
apiVersion: v2
name: app
version: 1.0.0
-- chart/values.yaml --
database: {opaque: Hunter-22, host: db.example.com}
adminPassword: Hunter-22
pin: 123456789
`
	helm := func(set map[string]any) Source { return Source{Helm: &Helm{Chart: "chart", Set: set}} }
	for name, c := range map[string]struct {
		source      Source
		divergences []Divergence
		files       string
		quoted      string // what the error quotes; Hunter-22 if empty
	}{
		"a value that a Secret's template names": {source: helm(nil), files: chart + `
-- chart/templates/secret.yaml --
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData: {password: {{ .Values.database.opaque }}}
-- chart/templates/web.yaml --
{{ fail (printf "cannot use %v" .Values.database) }}
`},
		"a value whose name says it, set in devenv.yaml": {source: helm(map[string]any{"sub.adminPassword": "Hunter-22"}), files: chart + `
-- chart/templates/web.yaml --
{{ fail (printf "cannot use %s" .Values.sub.adminPassword) }}
`},
		"a number": {source: helm(nil), quoted: "123456789", files: chart + `
-- chart/templates/secret.yaml --
kind: Secret
stringData: {pin: "{{ .Values.pin | int }}"}
{{ fail (printf "cannot use %d" (int .Values.pin)) }}
`},
		"a value of a subchart": {source: helm(map[string]any{"db.opaque": "Hunter-22"}), files: chart + `
-- chart/charts/db/Chart.yaml --
apiVersion: v2
name: db
version: 1.0.0
-- chart/charts/db/templates/secret.yaml --
kind: Secret
stringData: {password: "{{ .Values.opaque }}"}
{{ fail (printf "cannot use %s" .Values.opaque) }}
`},
		"the rendered text around a mistake": {source: helm(nil), files: chart + `
-- chart/templates/secret.yaml --
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData:
  password: "Hunter-22"
 broken: yes
`},
		"values against a schema": {source: helm(map[string]any{"adminPassword": "Hunter-22"}), files: chart + `
-- chart/values.schema.json --
{"properties": {"adminPassword": {"enum": ["one", "two"]}, "pin": {"const": 1}, "database": {"properties": {"opaque": {"pattern": "^[a-z]+$"}}}}}
-- chart/templates/secret.yaml --
kind: Secret
stringData: {password: "{{ .Values.database.opaque }}"}
`},
		"a literal of a kustomization": {source: Source{Kustomize: "k"}, files: `
-- k/kustomization.yaml --
secretGenerator: [{name: db, literals: ["Hunter-22"]}]
`},
		"a file of a kustomization": {source: Source{Kustomize: "k"}, files: `
-- k/kustomization.yaml --
resources: [base]
-- k/base/kustomization.yaml --
secretGenerator: [{name: db, envs: [db.env], literals: [broken]}]
-- k/base/db.env --
password=Hunter-22
`, quoted: "-"},
		"a divergence of a Secret": {source: Source{Manifests: []string{"secret.yaml"}}, files: `
-- secret.yaml --
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData: {password: before}
`, divergences: []Divergence{{
			Target: Target{Kind: "Secret"}, TargetPos: "devenv.yaml:9:3", PatchPos: "devenv.yaml:10:3",
			Patch: []any{map[string]any{"op": "test", "path": "/stringData/password", "value": "Hunter-22"}},
		}}, quoted: "-"},
	} {
		t.Run(name, func(t *testing.T) {
			in := project(t, c.source, c.files)
			in.Secrets, in.Divergences = &secret.Redactor{}, c.divergences
			_, err := Render(t.Context(), in)
			if err == nil {
				t.Fatal("it renders")
			}
			var words string
			for _, err := range fault.All(err) {
				words += err.Error() + "\n" + err.(*fault.Error).Detail + "\n"
			}
			quoted := c.quoted
			if quoted == "" {
				quoted = "Hunter-22"
			}
			if quoted != "-" && !strings.Contains(words, quoted) {
				t.Errorf("the complaint does not quote %q, so the case shows nothing:\n%s", quoted, words)
			}
			cleaned := in.Secrets.Clean(words + " Hunter-22")
			if quoted != "123456789" && strings.Contains(cleaned, "Hunter-22") || strings.Contains(cleaned, "123456789") {
				t.Errorf("not hidden:\n%s", cleaned)
			}
		})
	}
}

// A Secret that cannot be decoded has its values where they stand.
func TestSecretsThatCannotBeDecoded(t *testing.T) {
	in := project(t, Source{Manifests: []string{"*.yaml"}}, `
-- a.yaml --
kind: ConfigMap
data: {harmless: in-the-open}
  broken
---
apiVersion: v1
kind: Secret
metadata: {name: db-account}
data:
  token: SHVudGVyLTIyLXRva2Vu
  block: |
    first-secret-line
   broken
stringData: {flow: flow-secret, "quoted": 'quoted-secret'}
`)
	in.Secrets = &secret.Redactor{}
	if _, err := Render(t.Context(), in); err == nil {
		t.Fatal("it renders")
	}
	got := in.Secrets.Clean("in-the-open db-account Hunter-22-token SHVudGVyLTIyLXRva2Vu first-secret-line flow-secret quoted-secret")
	if want := "in-the-open db-account *** *** *** *** ***"; got != want {
		t.Errorf("Clean = %q, want %q", got, want)
	}
}

func TestRenderedSecretsAreLearned(t *testing.T) {
	in := project(t, Source{Manifests: []string{"*.yaml"}}, `
-- a.yaml --
apiVersion: v1
kind: Secret
metadata: {name: db}
data: {token: SHVudGVyLTIyLXRva2Vu}
`)
	in.Secrets = &secret.Redactor{}
	if _, err := Render(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if got := in.Secrets.Clean("Hunter-22-token, SHVudGVyLTIyLXRva2Vu"); got != "***, ***" {
		t.Errorf("Clean = %q", got)
	}
}
