package kind

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeCtr stands in for ctr in the scripts that run in nodes. It notes how it was called.
const fakeCtr = `#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in
*" images check "*) printf '%s\n' "$HELD"; exit "${CHECK:-0}" ;;
*" images import "*) cat >/dev/null; echo "unpacking"; [ "${IMPORT:-0}" -eq 0 ] || echo "ctr: archive is damaged" >&2; exit "${IMPORT:-0}" ;;
*" content ls") printf '%s\n' "$CONTENT"; exit "${CHECK:-0}" ;;
*" version") exit "${ANSWERS:-0}" ;;
esac
`

func TestScripts(t *testing.T) {
	const ref = "docker.io/library/app:1"
	tests := []struct {
		name   string
		script string
		args   []string
		env    []string
		fails  bool
		out    string // standard output
		says   string // in standard error
		calls  string // among the calls of ctr
	}{
		{
			name: "what is held", script: scriptHeld, args: []string{ref, "b:2"}, env: []string{"HELD=" + ref}, out: ref + "\n",
			calls: `--namespace=k8s.io images check --quiet --snapshotter=overlayfs name=="docker.io/library/app:1" name=="b:2"`,
		},
		{name: "one is damaged", script: scriptHeld, args: []string{ref}, env: []string{"HELD=" + ref, "CHECK=1"}, out: ref + "\n", calls: "version"},
		{name: "containerd is away", script: scriptHeld, args: []string{ref}, env: []string{"CHECK=1", "ANSWERS=1"}, fails: true},
		{
			name: "an import", script: scriptImport, args: []string{ref, "--all-platforms"}, env: []string{"HELD=" + ref}, out: ref + "\n",
			calls: "--namespace=k8s.io images import --snapshotter=overlayfs --all-platforms -",
		},
		{
			name: "an import that fails", script: scriptImport, args: []string{ref}, env: []string{"HELD=" + ref, "IMPORT=1"},
			fails: true, says: "ctr: archive is damaged", calls: "--namespace=k8s.io images rm " + ref,
		},
		{
			name: "an import that is not complete", script: scriptImport, args: []string{ref}, env: []string{"HELD="},
			fails: true, says: "not complete", calls: "--namespace=k8s.io images rm " + ref,
		},
		{
			name: "no layer is held", script: scriptLayers, args: []string{"sha256:aa", "sha256:bb"},
			env: []string{"CONTENT=DIGEST\tSIZE\tAGE\tLABELS\nsha256:cc\t1B\t2 hours\tcontainerd.io/uncompressed=sha256:cc"}, calls: "content ls",
		},
		{name: "layers, and containerd is away", script: scriptLayers, args: []string{"sha256:aa"}, env: []string{"CHECK=1"}, fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			calls := filepath.Join(dir, "calls")
			if err := os.WriteFile(filepath.Join(dir, "ctr"), []byte(fakeCtr), 0o700); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-c", scriptLib + tt.script, "sh"}, tt.args...)...)
			cmd.Env = append(os.Environ(), append(tt.env, "PATH="+dir+":"+os.Getenv("PATH"), "CALLS="+calls)...)
			var stdout, stderr bytes.Buffer
			cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("archive"), &stdout, &stderr
			if err := cmd.Run(); (err != nil) != tt.fails {
				t.Fatalf("%v\n%s", err, stderr.String())
			}
			if !tt.fails && stdout.String() != tt.out || !strings.Contains(stderr.String(), tt.says) {
				t.Errorf("stdout %q, stderr %q", stdout.String(), stderr.String())
			}
			called, err := os.ReadFile(calls)
			if err != nil || !strings.Contains(string(called), tt.calls) {
				t.Errorf("calls, %v:\n%s", err, called)
			}
		})
	}
}
