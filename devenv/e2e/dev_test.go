package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// watching is a `devenv dev` that runs.
type watching struct {
	t    *testing.T
	cmd  *exec.Cmd
	ends chan error

	mu     sync.Mutex
	events []devEvent
}

// devEvent is one line of `devenv dev -o json`.
type devEvent struct {
	Type                  string
	Time                  time.Time
	Paths                 []string
	Cause                 string
	Service, Text, Reason string
	Way                   string            // of dev.shortcut.done
	Ways                  map[string]string // of dev.cycle.done
	OK                    bool
	Errors                []struct{ Where, Detail string }

	line string
}

// dev starts `devenv dev` and returns once it watches. It ends with the test, if not before.
func (p *place) dev(t *testing.T, args ...string) *watching {
	t.Helper()
	all := append([]string{"dev"}, append(args, "-o", "json", "--file", filepath.Join(p.dir, "devenv.yaml"))...)
	cmd := exec.Command(p.binary, all...)
	cmd.Env = append(append(os.Environ(), "XDG_STATE_HOME="+p.home), p.environ...)
	return watch(t, cmd)
}

// watch starts a `devenv dev -o json` and returns once it watches.
func watch(t *testing.T, cmd *exec.Cmd) *watching {
	t.Helper()
	w := &watching{t: t, cmd: cmd, ends: make(chan error, 1)}
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	w.cmd.Stderr = os.Stderr
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			e := devEvent{line: lines.Text()}
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Errorf("no event: %s", lines.Text())
			}
			w.mu.Lock()
			w.events = append(w.events, e)
			w.mu.Unlock()
		}
	}()
	go func() {
		<-read
		w.ends <- w.cmd.Wait()
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(w.since(0))
		}
		_ = w.cmd.Process.Kill()
	})
	eventually(t, "an event dev.watching", func() error {
		select {
		case err := <-w.ends:
			w.ends <- err
			t.Fatalf("dev ended: %v", err)
		default:
		}
		if w.find(0, "dev.watching", nil) == nil {
			return errors.New("it does not watch yet")
		}
		return nil
	})
	return w
}

// now is a place in the list of events, to look for what comes after it.
func (w *watching) now() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.events)
}

// find is the first event of a type after a place, of which is says yes; is may be nil.
func (w *watching) find(from int, kind string, is func(devEvent) bool) *devEvent {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events[from:] {
		if e.Type == kind && (is == nil || is(e)) {
			return &e
		}
	}
	return nil
}

// count is how many events of a type came after a place.
func (w *watching) count(from int, kind string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events[from:] {
		if e.Type == kind {
			n++
		}
	}
	return n
}

// wait waits for an event.
func (w *watching) wait(from int, kind string, is func(devEvent) bool) devEvent {
	w.t.Helper()
	var found *devEvent
	eventually(w.t, "an event "+kind, func() error {
		if found = w.find(from, kind, is); found == nil {
			return fmt.Errorf("events since:\n%s", w.since(from))
		}
		return nil
	})
	return *found
}

// since is what happened after a place, for the log of a failed test.
func (w *watching) since(from int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, e := range w.events[from:] {
		if e.Type != "step.progress" {
			b.WriteString("  " + e.line + "\n")
		}
	}
	return b.String()
}

// stop is Ctrl-C; it returns the exit code.
func (w *watching) stop() int {
	w.t.Helper()
	_ = syscall.Kill(-w.cmd.Process.Pid, syscall.SIGINT)
	select {
	case <-w.ends:
	case <-time.After(patience):
		w.t.Fatal("dev does not end")
	}
	return w.cmd.ProcessState.ExitCode()
}

const (
	page = `import http.server, os

WORD = "first"


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{WORD} {os.environ['GREETING']}\n".encode())


http.server.ThreadingHTTPServer(("", 8080), Page).serve_forever()
`
	pageImage = `FROM python:3.11-slim-bookworm
COPY . /app
RUN python3 -m py_compile /app/page.py
CMD ["python3", "/app/page.py"]
`
	pageChart = `apiVersion: apps/v1
kind: Deployment
metadata: {name: page}
spec:
  selector: {matchLabels: {app: page}}
  template:
    metadata: {labels: {app: page}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: page
          image: registry.example.com/e2e/page
          env: [{name: GREETING, value: {{ .Values.greeting | quote }}}]
          readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: page}
spec:
  selector: {app: page}
  ports: [{port: 80, targetPort: 8080}]
`
)

// TestDev edits what a service is made of while dev watches, every change on the full way.
func TestDev(t *testing.T) {
	if os.Getenv("DEVENV_E2E") != "1" {
		t.Skip("scenarios need a real engine: DEVENV_E2E=1 runs them (make e2e)")
	}
	parallel(t, 90*time.Second)
	p := newPlace(t, "e2e-dev", nil)
	config := `apiVersion: devenv/v1
name: e2e-dev
services:
  page:
    image: registry.example.com/e2e/page
    build: {context: page}
    dev: {mode: full}
deploy:
  - {name: page, namespace: page, helm: {chart: chart}}
`
	p.write(t, "devenv.yaml", config)
	p.write(t, "page/page.py", strings.Replace(page, "first", unique("first"), 1))
	p.write(t, "page/Dockerfile", pageImage)
	p.write(t, "chart/Chart.yaml", "apiVersion: v2\nname: page\nversion: 0.1.0\n")
	p.write(t, "chart/values.yaml", "greeting: hello\n")
	p.write(t, "chart/templates/page.yaml", pageChart)

	w := p.dev(t)
	address := p.must(t, "-n", "page", "get", "service", "page", "-o", "jsonpath={.spec.clusterIP}")
	ask := func() string {
		out, _ := exec.Command("docker", "exec", p.cluster()+"-control-plane", "curl", "-sm2", "http://"+address).Output()
		return strings.TrimSpace(string(out))
	}
	served := func(t *testing.T, want string) {
		t.Helper()
		eventually(t, want+" is served", func() error {
			if got := ask(); got != want {
				return fmt.Errorf("it says %q", got)
			}
			return nil
		})
	}
	step := func(name string, f func(t *testing.T)) {
		t.Helper()
		if !t.Run(name, f) {
			t.FailNow()
		}
	}
	word := unique("word")
	say := func(w string) { p.write(t, "page/page.py", strings.Replace(page, "first", w, 1)) }

	step("an edit is served", func(t *testing.T) {
		from := w.now()
		say(word)
		served(t, word+" hello")
		changed := w.wait(from, "dev.changed", nil)
		if len(changed.Paths) != 1 || changed.Paths[0] != "page/page.py" {
			t.Errorf("changed: %v", changed.Paths)
		}
		done := w.wait(from, "dev.cycle.done", nil)
		if !done.OK || done.Cause != "page/page.py changed" || done.Ways["page"] != "full" {
			t.Errorf("%+v", done)
		}
	})

	step("an edit that does not compile is shown with the compiler's lines, and the old version serves", func(t *testing.T) {
		from := w.now()
		p.write(t, "page/page.py", "WORD = = 1\n")
		done := w.wait(from, "dev.cycle.done", nil)
		if done.OK || len(done.Errors) == 0 || !strings.Contains(done.Errors[0].Detail, "SyntaxError") {
			t.Errorf("%+v", done)
		}
		if got := ask(); got != word+" hello" {
			t.Errorf("it says %q", got)
		}
	})

	step("a chart that is edited meanwhile acts at once", func(t *testing.T) {
		from := w.now()
		p.write(t, "chart/values.yaml", "greeting: hi\n")
		served(t, word+" hi")
		if w.count(from, "image.built") != 0 {
			t.Error("an image was built for it")
		}
		w.wait(from, "dev.cycle.done", func(e devEvent) bool { return e.OK })
	})

	step("the next save tries again", func(t *testing.T) {
		from := w.now()
		word = unique("fixed")
		say(word)
		served(t, word+" hi")
		w.wait(from, "dev.cycle.done", func(e devEvent) bool { return e.OK })
	})

	step("devenv.yaml acts, and one that is not valid is shown with its line and not used", func(t *testing.T) {
		from := w.now()
		p.write(t, "devenv.yaml", config+"bogus: 1\n")
		done := w.wait(from, "dev.cycle.done", nil)
		if done.OK || len(done.Errors) == 0 || !strings.HasPrefix(done.Errors[0].Where, "devenv.yaml:10") {
			t.Errorf("%+v", done)
		}
		config = strings.Replace(config, "helm: {chart: chart}", "helm: {chart: chart, set: {greeting: moin}}", 1)
		p.write(t, "devenv.yaml", config)
		served(t, word+" moin")
		from = w.now()
		word = unique("after")
		say(word) // what is watched follows devenv.yaml
		served(t, word+" moin")
		w.wait(from, "dev.cycle.done", func(e devEvent) bool { return e.OK })
	})

	step("300 files at once are one cycle", func(t *testing.T) {
		from := w.now()
		for i := range 300 {
			p.write(t, fmt.Sprintf("page/data/%d.txt", i), word)
		}
		w.wait(from, "dev.cycle.done", func(e devEvent) bool { return e.OK })
		if n := w.count(from, "image.built"); n != 1 {
			t.Errorf("%d builds\n%s", n, w.since(from))
		}
	})

	step("what is saved unchanged is nothing", func(t *testing.T) {
		from := w.now()
		say(word)
		p.write(t, "chart/values.yaml", "greeting: hi\n")
		time.Sleep(3 * time.Second) // that nothing happens cannot be waited for
		if w.now() != from {
			t.Errorf("something happened:\n%s", w.since(from))
		}
	})

	step("a file that changes again during the build: the newest is served, and the old content is not found under a wrong name", func(t *testing.T) {
		from := w.now()
		older, newer := unique("older"), unique("newer")
		say(older)
		w.wait(from, "dev.cycle.started", nil)
		say(newer)
		served(t, newer+" moin")
		w.wait(from, "dev.cycle.done", func(e devEvent) bool { return e.OK })
		say(older)
		served(t, older+" moin")
		word = older
		w.wait(from, "dev.cycle.done", func(e devEvent) bool { return e.OK })
	})

	step("while the API server is away dev waits, says so once, and goes on by itself", func(t *testing.T) {
		from := w.now()
		node := p.cluster() + "-control-plane"
		eventually(t, "the node is paused", func() error { // the runtime gives up where much begins and ends in it
			out, err := exec.Command("docker", "pause", node).CombinedOutput()
			if err != nil {
				return fmt.Errorf("%w\n%s", err, out)
			}
			return nil
		})
		away := time.Now()
		word = unique("away")
		say(word)
		w.wait(from, "dev.away", nil)
		time.Sleep(20*time.Second - time.Since(away))
		if out, err := exec.Command("docker", "unpause", node).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		w.wait(from, "dev.back", nil)
		served(t, word+" moin")
		if n := w.count(from, "dev.away"); n != 1 {
			t.Errorf("said %d times\n%s", n, w.since(from))
		}
	})

	step("Ctrl-C leaves the environment as it is", func(t *testing.T) {
		if code := w.stop(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		if got := ask(); got != word+" moin" {
			t.Errorf("it says %q", got)
		}
		r := p.devenv(t, "up").must(t, 0)
		if n := r.steps(t); n != 0 {
			t.Errorf("up had something to do\n%s", r.summary())
		}
	})
}
