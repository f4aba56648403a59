package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// asking keeps asking a Service of the cluster until the returned function is called, which gives the report.
func (w *world) asking(t *testing.T, service, port, path string, clients int) func() report {
	t.Helper()
	address := w.kubectl(t, "-n", "academy", "get", "service", service, "-o", "jsonpath={.spec.clusterIP}")
	if out, err := exec.Command("docker", "cp", w.asker, w.controlPlane()+":/asker").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command("docker", "exec", "-i", w.controlPlane(), "/asker", "-clients", fmt.Sprint(clients),
		"-url", "http://"+net.JoinHostPort(address, port)+path)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() report {
		t.Helper()
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Fatalf("asker: %v\n%s", err, stderr.String())
		}
		var r report
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		t.Logf("asked %s %d times: %d failed, slowest answer %.0f ms", service, r.Requests, r.Failed, r.Slowest)
		return r
	}
}

// report mirrors what asker prints.
type report struct {
	Requests int
	Failed   int
	Errors   map[string]int
	Slowest  float64 `json:"slowestMs"`
	Bodies   map[string]int
}

// answers says whether any answer contained text.
func (r report) answers(text string) bool {
	for body := range r.Bodies {
		if strings.Contains(body, text) {
			return true
		}
	}
	return false
}

// freePort is a port of this machine that nobody listens on now. Scenarios that run side by side, and a demo, each have their own.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// address is the URL where forwarding opens the service web.
func (w *world) address() string { return "http://" + net.JoinHostPort("127.0.0.1", w.webPort) }

// forwarding opens the declared ports on this machine until the test ends. Ports that are taken make it fail loudly.
func (w *world) forwarding(t *testing.T, services ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd, stdout, stderr := w.start(ctx, append([]string{"forward"}, services...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	eventually(t, "devenv forward opens "+w.address(), func() error {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("devenv forward ended: %v\n%s%s", err, stdout, stderr)
		default:
		}
		answer, err := http.Get(w.address() + "/")
		if err == nil {
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
		return err
	})
	return func() {
		cancel()
		<-ended
	}
}

// smoke runs the sample app's own smoke test, as production's pipeline does.
func (w *world) smoke(t *testing.T, env ...string) {
	t.Helper()
	stop := w.forwarding(t, "web")
	defer stop()
	cmd := exec.Command("./scripts/smoke.sh")
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), append([]string{"BASE_URL=" + w.address()}, env...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("smoke test: %v\n%s", err, out)
	}
}
