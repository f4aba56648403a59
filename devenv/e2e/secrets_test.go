package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// whisperer prints everything secret that it is given, and fails if it is told to.
const whisperer = `package main

import ("fmt"; "os"; "time")

func main() {
	for _, file := range os.Args[1:] {
		text, _ := os.ReadFile(file)
		fmt.Println(string(text), os.Getenv("BUILDING"))
	}
	fmt.Println(os.Getenv("PASSWORD"), os.Getenv("TOKEN"), os.Getenv("URL"))
	if os.Getenv("MODE") == "fail" { os.Exit(1) }
	if len(os.Args) == 1 { time.Sleep(time.Hour) }
}
`

var whisperFiles = map[string]string{
	"devenv.yaml": `apiVersion: devenv/v1
name: whisper
services:
  teller:
    image: registry.example.com/whisper/teller
    build: {context: app, secrets: {file: token.txt, env: "env:WHISPER"}}
deploy: [{name: whisper, namespace: whisper, helm: {chart: chart, values: [values.yaml]}}]
`,
	"app/Dockerfile": `FROM scratch
COPY teller /teller
ENV MODE=build
RUN --mount=type=secret,id=file --mount=type=secret,id=env ["/teller", "/run/secrets/file", "/run/secrets/env"]
ENTRYPOINT ["/teller"]
`,
	"token.txt":        "leak-build-file\nleak-second-line\n",
	"values.yaml":      "mode: run\ndatabase: {phrase: leak-helm-value}\n",
	"chart/Chart.yaml": "apiVersion: v2\nname: whisper\nversion: 1.0.0\n",
	"chart/templates/all.yaml": `{{- if eq .Values.mode "explode" }}{{ fail (printf "no good: %v" .Values.database) }}{{ end }}
apiVersion: v1
kind: Secret
metadata: {name: teller}
data: {token: {{ "leak-in-data" | b64enc }}}
stringData: {password: leak-in-string, url: "postgres://app:{{ .Values.database.phrase }}@db/whisper"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: plain, labels: {mode: {{ if eq .Values.mode "invalid" }}"leak-in-string!"{{ else }}fine{{ end }}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: teller}
spec:
  selector: {matchLabels: {app: teller}}
  template:
    metadata: {labels: {app: teller}}
    spec:
      containers:
        - name: teller
          image: registry.example.com/whisper/teller
          env:
            - {name: MODE, value: {{ .Values.mode }}}
            - {name: PASSWORD, valueFrom: {secretKeyRef: {name: teller, key: password}}}
            - {name: TOKEN, valueFrom: {secretKeyRef: {name: teller, key: token}}}
            - {name: URL, valueFrom: {secretKeyRef: {name: teller, key: url}}}
`,
}

// TestSecretsStaySecret has everything print its secrets that can, and looks for them in all that devenv prints or keeps.
func TestSecretsStaySecret(t *testing.T) {
	parallel(t, 75*time.Second)
	root := checkout(t)
	dir, state := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range whisperFiles {
		write(name, text)
	}
	write("main.go", whisperer)
	build := exec.Command("go", "build", "-o", "app/teller", "main.go")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	var printed strings.Builder
	devenv := func(exit int, args ...string) string {
		t.Helper()
		cmd := exec.Command(filepath.Join(root, "bin", "devenv"), args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "XDG_STATE_HOME="+state, "WHISPER=leak-build-env")
		out, _ := cmd.CombinedOutput() // the exit code says what became of it
		if got := cmd.ProcessState.ExitCode(); got != exit {
			t.Errorf("devenv %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, exit, out)
		}
		fmt.Fprintf(&printed, "$ devenv %s\n%s\n", strings.Join(args, " "), out)
		return string(out)
	}
	t.Cleanup(func() { devenv(0, "down", "--cluster", "--data") })
	mode := func(mode, phrase string) { write("values.yaml", "mode: "+mode+"\ndatabase: {phrase: "+phrase+"}\n") }

	// A build that fails after it printed its secrets.
	write("app/Dockerfile", strings.Replace(whisperFiles["app/Dockerfile"], "MODE=build", "MODE=fail", 1))
	if out := devenv(4, "up", "-v"); !strings.Contains(out, "***") {
		t.Errorf("the build did not print its secrets, so this shows nothing:\n%s", out)
	}
	write("app/Dockerfile", whisperFiles["app/Dockerfile"])
	// A container that fails after it printed its own, an object that the API server refuses, a chart that does not render.
	mode("fail", "leak-helm-value")
	if out := devenv(5, "up", "-v"); !strings.Contains(out, "| *** *** ***") {
		t.Errorf("the container did not print its secrets:\n%s", out)
	}
	devenv(0, "why", "teller")
	mode("invalid", "leak-helm-value")
	devenv(5, "up", "-o", "json")
	mode("explode", "leak-helm-value")
	if out := devenv(2, "up"); !strings.Contains(out, "no good: map[phrase:***]") {
		t.Errorf("the chart did not print its value:\n%s", out)
	}
	// And a day without trouble.
	mode("run", "leak-helm-value")
	devenv(0, "up", "-v")
	mode("run", "leak-helm-changed")
	for _, args := range [][]string{{"plan", "-v"}, {"why", "Secret/teller"}, {"why", "Secret/teller", "-o", "json"}, {"render"}, {"render", "-o", "json"}, {"parity"}, {"status"}, {"up"}} {
		devenv(0, args...)
	}
	if out := devenv(0, "logs"); !strings.Contains(out, "leak-in-string") {
		t.Errorf("what containers write is the user's own and stays as it is:\n%s", out)
	} else {
		kept := strings.ReplaceAll(printed.String(), out, "")
		printed.Reset()
		printed.WriteString(kept)
	}

	// The encoded form of every secret begins with that of "leak-".
	for _, sign := range []string{"leak-", "bGVhay"} {
		for line := range strings.Lines(printed.String()) {
			if strings.Contains(line, sign) {
				t.Errorf("%q was printed: %s", sign, line)
			}
		}
		if out, err := exec.Command("grep", "-rnao", sign+".*", state).CombinedOutput(); err == nil {
			t.Errorf("%q was kept: %s", sign, out)
		}
	}
	inventory, err := exec.Command("docker", "exec", "devenv-whisper-control-plane", "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf",
		"get", "configmaps,events", "-A", "-o", "yaml").CombinedOutput()
	if err != nil || strings.Contains(string(inventory), "leak-in-data") || strings.Contains(string(inventory), "bGVhay") {
		t.Errorf("%v; ConfigMaps or events hold a secret", err)
	}
}
