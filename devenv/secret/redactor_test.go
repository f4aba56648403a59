package secret_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/devenv-run/devenv/devenv/secret"
)

func TestRedactor(t *testing.T) {
	const pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq=\nhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n"
	const ini = "# of the service\n[database]\nhost = localhost\npassword = \"s3cr3t-in-ini\"\nserver:\n  token: tok-4711\n"
	for name, c := range map[string]struct {
		value, text, want string
		allow             []string
	}{
		"nothing known":            {"", "what is there to hide", "what is there to hide", nil},
		"a value":                  {"hunter22", "password hunter22 is wrong", "password *** is wrong", nil},
		"inside a word":            {"hunter22", "xhunter22x", "x***x", nil},
		"a value with a line end":  {"hunter22\n", "hunter22", "***", nil},
		"in base64":                {"hunter22", `{"password":"aHVudGVyMjI="}`, `{"password":"***"}`, nil},
		"in base64, no padding":    {"hunter22", "aHVudGVyMjI", "***", nil},
		"quoted":                   {`a"b\c<d>e`, `got "a\"b\\c<d>e" and "a\"b\\c\u003cd\u003ee"`, `got "***" and "***"`, nil},
		"in an address":            {"p@ss word", "postgres://app:p%40ss%20word@db/x?p=p%40ss+word", "postgres://app:***@db/x?p=***", nil},
		"too short":                {"admin", "admin", "admin", nil},
		"an ordinary word":         {"Postgres", "user Postgres, postgres", "user Postgres, postgres", nil},
		"an allowed name":          {"academy", "Deployment/academy/grades", "Deployment/academy/grades", []string{"academy"}},
		"a PEM block by lines":     {pem, "web | MIIEvQIBADANBgkq=\nweb | hkiG9w0BAQEFAASC\nweb | -----END PRIVATE KEY-----", "web | ***\nweb | ***\nweb | -----END PRIVATE KEY-----", nil},
		"a PEM block escaped":      {pem, `key="` + strings.ReplaceAll(pem, "\n", `\n`) + `"`, `key="***"`, nil},
		"assignments of a file":    {ini, "dial localhost: s3cr3t-in-ini, server: tok-4711, [database]", "dial localhost: ***, server: ***, ***", nil},
		"the texts of JSON":        {`{"auths":{"r":{"auth":"cm9ib3Q6aHVudGVyMg=="}},"n":[1,"another-token"]}`, "cm9ib3Q6aHVudGVyMg== another-token", "*** ***", nil},
		"a password in an address": {"postgres://app:pw1234@db/academy", "password pw1234", "password ***", nil},
		"a password in a DSN":      {"host=db password=pw1234 user=app", "tried pw1234", "tried ***", nil},
		"the longer of two":        {"first: 12345678\nsecond: 1234567890", "1234567890", "***", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var r secret.Redactor
			r.Add([]byte(c.value))
			r.Allow(c.allow...)
			if got := r.Clean(c.text); got != c.want {
				t.Errorf("Clean(%q)\n got %q\nwant %q", c.text, got, c.want)
			}
		})
	}
}

func TestNilRedactorKnowsNothing(t *testing.T) {
	var r *secret.Redactor
	if got := r.Clean("hunter22"); got != "hunter22" {
		t.Errorf("Clean = %q", got)
	}
}

// A value that is part of a name does not break the name: of a Secret {SSH_USER: deploy}, every path below deploy/ would be unreadable.
func TestNamesStayWholeAndValuesBesideThemAreHidden(t *testing.T) {
	var r secret.Redactor
	r.Add([]byte("deploy"), []byte("grafana"), []byte("web.yaml-4711"), []byte("4711-grafana"), []byte("operator"))
	r.Allow("deploy/chart/templates/web.yaml", "deploy/chart", "grafana-operator", "grafana", "x")
	for text, want := range map[string]string{
		"deploy/chart/templates/web.yaml:3: as deploy":   "deploy/chart/templates/web.yaml:3: as ***",
		"deploy/chart/values.yaml":                       "deploy/chart/values.yaml",
		"deploy/other":                                   "***/other",
		"Deployment/x/grafana-operator":                  "Deployment/x/grafana-operator",
		"pod grafana-operator-7d9f, operator":            "pod grafana-operator-7d9f, ***",
		"grafana":                                        "grafana",
		"deploy/chart/templates/web.yaml-4711":           "deploy/chart/templates/***", // the value is not inside the name
		"4711-grafana-operator":                          "***-***",                    // so that name is not whole
		"deploydeploy":                                   "******",
		"nothing to hide, and deploy/chart twice deploy": "nothing to hide, and deploy/chart twice ***",
	} {
		if got := r.Clean(text); got != want {
			t.Errorf("Clean(%q)\n got %q\nwant %q", text, got, want)
		}
	}
}

// Whatever is allowed, a value stays only where it is inside a name.
func TestNoValueIsLeftOutsideNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[ab]{6,8}`)
		values := rapid.SliceOfN(word, 1, 4).Draw(t, "values")
		names := rapid.SliceOfN(rapid.StringMatching(`[ab]{6,12}`), 0, 4).Draw(t, "names")
		text := rapid.StringMatching(`[ab-]{0,40}`).Draw(t, "text")
		var r secret.Redactor
		for _, v := range values {
			r.Add([]byte(v))
		}
		r.Allow(names...)
		got := r.Clean(text)
		for _, v := range values {
			for at := range got {
				if !strings.HasPrefix(got[at:], v) {
					continue
				}
				inName := slices.ContainsFunc(names, func(name string) bool {
					for from := max(0, at+len(v)-len(name)); from <= at; from++ {
						if strings.HasPrefix(got[from:], name) {
							return true
						}
					}
					return false
				})
				if !inName {
					t.Fatalf("%q is left in %q, which was %q: values %v, names %v", v, got, text, values, names)
				}
			}
		}
	})
}

// A long value that a program prints in base64 comes in lines.
func TestRedactorKnowsBrokenBase64(t *testing.T) {
	value := strings.Repeat("0123456789abcdef", 20)
	encoded := base64.StdEncoding.EncodeToString([]byte(value))
	var r secret.Redactor
	r.Add([]byte(value))
	for _, width := range []int{64, 76} {
		for i := 0; i < len(encoded); i += width {
			if line := encoded[i:min(i+width, len(encoded))]; r.Clean(line) != "***" {
				t.Errorf("width %d: %q became %q", width, line, r.Clean(line))
			}
		}
	}
}

// Whatever a value is, no way of writing it down survives, wherever it stands.
func TestNoFormOfAValueIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[A-Za-z0-9]{4}[ -~]{0,10}[A-Za-z0-9]{4}`).Draw(t, "value")
		around := rapid.StringMatching(`[ -~]{0,10}`)
		before, after := around.Draw(t, "before"), around.Draw(t, "after")
		var r secret.Redactor
		r.Add([]byte(value), []byte(rapid.String().Draw(t, "another")))
		inJSON, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if r.Clean(value) == value {
			t.Skip("too ordinary")
		}
		for how, form := range map[string]string{
			"plain": value, "quoted": strconv.Quote(value), "JSON": string(inJSON), "query": url.QueryEscape(value), "path": url.PathEscape(value),
			"base64": base64.StdEncoding.EncodeToString([]byte(value)), "Go": fmt.Sprintf("%q", []string{value}), "line": "web-1/web | " + value + "\n",
		} {
			text := before + " " + form + " " + after
			if got := r.Clean(text); strings.Contains(got, value) || strings.Contains(got, strings.Trim(form, `"`)) {
				t.Fatalf("%s: %q became %q", how, text, got)
			}
		}
	})
}

func TestRedactorLearnsWhileOthersClean(t *testing.T) {
	var r secret.Redactor
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 50 {
				value := fmt.Sprintf("value-%d-%d", i, j)
				r.Add([]byte(value))
				if got := r.Clean("a " + value); got != "a ***" {
					t.Errorf("Clean = %q", got)
				}
			}
		})
	}
	group.Wait()
}

func TestWriterCleansLines(t *testing.T) {
	var r secret.Redactor
	r.AddObject(map[string]any{"apiVersion": "v1", "kind": "Secret", "stringData": map[string]any{"p": "hunter22"}})
	var b strings.Builder
	line := `{"msg":"wrong: hunter22"}` + "\n"
	n, err := r.Writer(&b).Write([]byte(line))
	if err != nil || n != len(line) || b.String() != `{"msg":"wrong: ***"}`+"\n" {
		t.Errorf("Write = %d, %v, wrote %q", n, err, b.String())
	}
}
