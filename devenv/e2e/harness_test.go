package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// world is one environment of the sample app and the means to look at it.
type world struct {
	dir     string // the copy of sample-app
	env     string // --env
	profile string // --profile; may be empty
	binary  string
	asker   string
	webPort string // of this machine, where forwarding opens the service web
}

func (w *world) cluster() string      { return "devenv-academy-" + w.env }
func (w *world) controlPlane() string { return w.cluster() + "-control-plane" }

// state is the path of a file in the environment's state directory.
func (w *world) state(name string) string {
	home := os.Getenv("XDG_STATE_HOME")
	if home == "" {
		home = filepath.Join(os.Getenv("HOME"), ".local", "state")
	}
	return filepath.Join(home, "devenv", "academy-"+w.env, name)
}

// checkout is the directory of this repository, for a scenario: it needs a real engine, and is skipped where nobody asked for that.
func checkout(t *testing.T) string {
	t.Helper()
	if os.Getenv("DEVENV_E2E") != "1" {
		t.Skip("scenarios need a real engine: DEVENV_E2E=1 runs them (make e2e)")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// newWorld copies the sample app, and removes what an earlier run may have left.
func newWorld(t *testing.T, env, profile string) *world {
	t.Helper()
	root := checkout(t)
	w := &world{dir: t.TempDir(), env: env, profile: profile, binary: filepath.Join(root, "bin", "devenv"), webPort: freePort(t)}
	if err := os.CopyFS(w.dir, os.DirFS(filepath.Join(root, "sample-app"))); err != nil {
		t.Fatal(err)
	}
	// Others that run on this machine have the port that devenv.yaml declares.
	w.edit(t, "devenv.yaml", `["8080:80"]`, fmt.Sprintf(`["%s:80"]`, w.webPort))
	w.asker = filepath.Join(t.TempDir(), "asker")
	build := exec.Command("go", "build", "-o", w.asker, "./asker")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w.devenv(t, "down", "--cluster", "--data").must(t, 0)
	t.Cleanup(func() {
		if t.Failed() {
			w.keepTraces(t)
		}
		w.devenv(t, "down", "--cluster", "--data")
	})
	return w
}

// event is one line of -o json.
type event struct {
	Type     string
	Time     time.Time
	Text     string
	Plan     string
	Detail   string
	Subject  string
	Reason   string
	OK       bool
	ExitCode int
	Steps    json.RawMessage // a number in result, a list in plan.computed
	TookMs   int64
	Step     json.RawMessage
	Errors   []struct{ Message, Where, Cause, Detail, Next string }

	Paths []string          // of dev.changed
	Cause string            // of dev.cycle.done, dev.shortcut.done
	Ways  map[string]string // of dev.cycle.done
	Way   string            // of dev.shortcut.done
	Cycle int

	Workload  string // of workload.returned
	Service   string
	Revision  int
	Shares    string
	Ready     bool
	Revisions []revision // of history
	Cluster   struct {
		Nodes []struct {
			Name  string
			Ready bool
		}
	}
	Services []struct {
		Name    string
		Current bool
		Pods    []struct {
			Name, Node, Phase string
			Ready             bool
		}
	}
}

// revision is one line of the answer of `devenv history`.
type revision struct {
	Number       int
	Image, Cause string
	Current      bool
}

// run is one command that has ended.
type run struct {
	args   []string
	exit   int
	took   time.Duration
	events []event
	stderr string
	stdout string
}

func (w *world) args(args ...string) []string {
	all := append(slices.Clone(args), "--env", w.env, "-f", filepath.Join(w.dir, "devenv.yaml"), "-o", "json")
	if args[0] == "logs" || args[0] == "completion" {
		all[len(args)+2] = "--file"
	}
	if w.profile != "" {
		all = append(all, "--profile", w.profile)
	}
	return all
}

// start begins a devenv command in a process group of its own.
func (w *world) start(ctx context.Context, args ...string) (*exec.Cmd, *bytes.Buffer, *bytes.Buffer) {
	cmd := exec.CommandContext(ctx, w.binary, w.args(args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Dir = w.dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	return cmd, &stdout, &stderr
}

// devenv runs a command to its end.
func (w *world) devenv(t *testing.T, args ...string) run {
	t.Helper()
	cmd, stdout, stderr := w.start(context.Background(), args...)
	began := time.Now()
	err := cmd.Run()
	return finished(t, args, err, time.Since(began), stdout, stderr)
}

func finished(t *testing.T, args []string, err error, took time.Duration, stdout, stderr *bytes.Buffer) run {
	t.Helper()
	r := run{args: args, took: took, stderr: stderr.String(), stdout: stdout.String()}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		r.exit = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(stdout.Bytes()))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Errorf("devenv %s printed a line that is no event: %q: %v", strings.Join(args, " "), lines.Text(), err)
		}
		r.events = append(r.events, e)
	}
	t.Logf("devenv %s: exit %d after %.2f s", strings.Join(args, " "), r.exit, took.Seconds())
	return r
}

// must ends the test unless the command ended with the given exit code.
func (r run) must(t *testing.T, exit int) run {
	t.Helper()
	if r.exit != exit {
		t.Fatalf("devenv %s: exit code %d, want %d\n%s\n%s", strings.Join(r.args, " "), r.exit, exit, r.summary(), r.stderr)
	}
	last := r.result()
	if last.Type != "result" || last.ExitCode != exit || last.OK != (exit == 0) {
		t.Fatalf("the last event does not say exit %d: %+v", exit, last)
	}
	return r
}

func (r run) result() event {
	if len(r.events) == 0 {
		return event{}
	}
	return r.events[len(r.events)-1]
}

// steps is the number of steps that the result reports.
func (r run) steps(t *testing.T) int {
	t.Helper()
	var n int
	if err := json.Unmarshal(r.result().Steps, &n); err != nil {
		t.Fatalf("no number of steps in the result: %v", err)
	}
	return n
}

// of lists the events of a type.
func (r run) of(eventType string) []event {
	return slices.DeleteFunc(slices.Clone(r.events), func(e event) bool { return e.Type != eventType })
}

// subjects lists what events of a type were about, such as "image.built" → the subjects of the build steps.
func (r run) subjects(eventType string) []string {
	var all []string
	for _, e := range r.events {
		if e.Type == eventType {
			var step struct{ Subject, Service string }
			_ = json.Unmarshal(e.Step, &step) // events without a step have no subject
			if step.Service != "" {
				all = append(all, step.Service)
			} else {
				all = append(all, step.Subject)
			}
		}
	}
	return all
}

// failure is all that the failed steps and the result say.
func (r run) failure() string {
	var b strings.Builder
	for _, e := range r.result().Errors {
		fmt.Fprintf(&b, "%s\n%s\nnext: %s\n", e.Message, e.Detail, e.Next)
	}
	return b.String()
}

// summary is what happened, for the log of a failed test.
func (r run) summary() string {
	var b strings.Builder
	for _, e := range r.events {
		if e.Type != "step.progress" {
			fmt.Fprintf(&b, "  %s %s %s%s%s\n", e.Time.Format("15:04:05.000"), e.Type, e.Text, e.Plan, e.Step)
		}
	}
	return b.String() + r.failure()
}

// kubectl asks the cluster through the control-plane node, with nothing of devenv in between.
func (w *world) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := w.tryKubectl(args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (w *world) tryKubectl(args ...string) (string, error) {
	all := append([]string{"exec", w.controlPlane(), "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf"}, args...)
	out, err := exec.Command("docker", all...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// edit replaces text in a file of the copy.
func (w *world) edit(t *testing.T, file, old, replacement string) {
	t.Helper()
	path := filepath.Join(w.dir, file)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("%s does not contain %q", file, old)
	}
	if err := os.WriteFile(path, bytes.Replace(data, []byte(old), []byte(replacement), 1), 0o644); err != nil {
		t.Fatal(err)
	}
}

// unique is a version that no earlier run has built, so that the engine cannot hold its image already.
func unique(name string) string { return fmt.Sprintf("%s-%d", name, time.Now().UnixNano()) }

// patience is how long a scenario waits for what has to come. It judges no speed, which benchmarks do: three scenarios at a time may keep a
// small machine busy with thirty processes that want to work, for minutes.
const patience = 4 * time.Minute

// eventually waits until check returns nil. On a busy machine it asks less often, so that asking is not what keeps it busy.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	for began := time.Now(); ; {
		asked := time.Now()
		err := check()
		if err == nil {
			return
		}
		if time.Since(began) > patience {
			t.Fatalf("%s: not within %v: %v", what, patience, err)
		}
		time.Sleep(max(200*time.Millisecond, 2*time.Since(asked)))
	}
}

// keepTraces writes what explains a failure into DEVENV_E2E_ARTIFACTS.
func (w *world) keepTraces(t *testing.T) {
	dir := os.Getenv("DEVENV_E2E_ARTIFACTS")
	if dir == "" {
		dir = os.TempDir()
	}
	file := filepath.Join(dir, fmt.Sprintf("devenv-%s-%d.txt", strings.ReplaceAll(t.Name(), "/", "-"), time.Now().Unix()))
	var b strings.Builder
	for _, args := range [][]string{
		{"get", "all,pvc,events", "-A", "-o", "wide"},
		{"describe", "pods", "-n", "academy"},
	} {
		out, err := w.tryKubectl(args...)
		fmt.Fprintf(&b, "# kubectl %s (%v)\n%s\n\n", strings.Join(args, " "), err, out)
	}
	logs, _, _ := w.start(context.Background(), "logs", "--tail", "100")
	logs.Stdout, logs.Stderr = nil, nil
	out, _ := logs.CombinedOutput()
	b.WriteString("# logs\n" + string(out))
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Logf("no traces: %v", err)
		return
	}
	t.Logf("traces of the failure: %s", file)
}
