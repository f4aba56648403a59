package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// TestRollback breaks new versions in every way that matters, and has the old ones back: by themselves, and by hand.
func TestRollback(t *testing.T) {
	parallel(t, 180*time.Second)
	w := newWorld(t, "e2e-back", "")
	const (
		code   = "services/recommender/academy_recommender/__init__.py"
		config = "deploy/chart/templates/configmap.yaml"
		crash  = "\nraise SystemExit(\"broken on purpose\")"
	)
	second := unique("second")
	step := func(name string, f func(t *testing.T)) {
		t.Helper()
		if !t.Run(name, f) {
			t.FailNow()
		}
	}
	edition := func(t *testing.T) string {
		t.Helper()
		return w.kubectl(t, "-n", "academy", "get", "configmap", "academy", "-o", "jsonpath={.data.EDITION}")
	}
	image := func(t *testing.T) string {
		t.Helper()
		return w.kubectl(t, "-n", "academy", "get", "deployment", "recommender", "-o", "jsonpath={.spec.template.spec.containers[0].image}")
	}
	revisions := func(t *testing.T) []revision {
		t.Helper()
		answer := w.devenv(t, "history", "recommender").must(t, 0).of("history")
		if len(answer) != 1 {
			t.Fatal("no history")
		}
		return answer[0].Revisions
	}
	var images [3]string // of the versions, by number

	step("what becomes ready is recorded", func(t *testing.T) {
		w.edit(t, config, "\ndata:\n", "\ndata:\n  EDITION: one\n")
		w.devenv(t, "up").must(t, 0)
		images[1] = image(t)
		w.edit(t, config, "EDITION: one", "EDITION: two")
		w.edit(t, code, `"1.4.2"`, `"`+second+`"`)
		r := w.devenv(t, "up").must(t, 0)
		if ran := r.subjects("hook.completed"); len(ran) != 0 {
			t.Errorf("hooks ran: %v", ran)
		}
		images[2] = image(t)
		got := revisions(t)
		if len(got) != 2 || !got[0].Current || got[0].Image != images[2] || got[1].Current || got[1].Image != images[1] {
			t.Errorf("history: %+v", got)
		}
		if !strings.Contains(got[0].Cause, code+" changed") || !strings.Contains(got[0].Cause, "ConfigMap/academy/academy changed") {
			t.Errorf("cause: %q", got[0].Cause)
		}
	})

	requireSecond := func(t *testing.T) {
		t.Helper()
		if edition(t) != "two" || image(t) != images[2] {
			t.Errorf("it runs %s with edition %s, want %s with two", image(t), edition(t), images[2])
		}
		if got := revisions(t); len(got) != 2 || !got[0].Current {
			t.Errorf("history: %+v", got)
		}
	}
	step("a version that crashes returns with its configuration, and with what shares it; no request fails", func(t *testing.T) {
		w.edit(t, config, "EDITION: two", "EDITION: three")
		w.edit(t, code, second+`"`, second+`"`+crash)
		stop := w.asking(t, "recommender", "8080", "/version", 2)
		r := w.devenv(t, "up").must(t, 5)
		report := stop()
		if report.Failed > 0 || report.Requests < 100 || len(report.Bodies) != 1 || !report.answers(second) {
			t.Errorf("%d of %d requests failed: %v; answers: %v", report.Failed, report.Requests, report.Errors, report.Bodies)
		}
		requireSecond(t)
		shares := map[string]string{}
		for _, e := range r.of("workload.returned") {
			shares[e.Workload] = fmt.Sprintf("%d %v %s", e.Revision, e.Ready, e.Shares)
		}
		if shares["Deployment/academy/recommender"] != "2 true " || shares["Deployment/academy/web"] != "2 true ConfigMap/academy/academy" || len(shares) != 2 {
			t.Errorf("returned: %v", shares)
		}
		if !strings.Contains(r.failure(), "broken on purpose") {
			t.Errorf("the error does not say why:\n%s", r.failure())
		}
		w.smoke(t)
	})

	step("killed while it returns, the next up returns again, and one with the error corrected rolls forward", func(t *testing.T) {
		cmd, _, _ := w.start(context.Background(), "up")
		cmd.Stdout = nil
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		seen := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), `"type":"object.applied"`) && strings.Contains(lines.Text(), "back to revision 2") {
				seen = true
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err == nil || !seen {
			t.Fatalf("nothing was killed (%v), or nothing returned", err)
		}
		w.devenv(t, "up").must(t, 5)
		requireSecond(t)
		w.edit(t, code, crash, "")
		w.edit(t, config, "EDITION: three", "EDITION: two")
		if r := w.devenv(t, "up").must(t, 0); r.steps(t) != 0 {
			t.Errorf("what served is not what is declared:\n%s", r.summary())
		}
	})

	step("rollback brings a revision back, and the next up the working tree", func(t *testing.T) {
		if r := w.devenv(t, "rollback", "recommender", "--to", "9").must(t, 2); !strings.Contains(r.failure(), "1, 2") {
			t.Errorf("the error does not list the revisions:\n%s", r.failure())
		}
		if r := w.devenv(t, "rollback", "recommender", "--to", "2").must(t, 0); r.steps(t) != 0 {
			t.Errorf("%d steps to what runs", r.steps(t))
		}
		stop := w.asking(t, "recommender", "8080", "/version", 2)
		w.devenv(t, "rollback", "recommender").must(t, 0)
		report := stop()
		if report.Failed > 0 || !report.answers("1.4.2") {
			t.Errorf("%d of %d requests failed: %v; answers: %v", report.Failed, report.Requests, report.Errors, report.Bodies)
		}
		if edition(t) != "one" || image(t) != images[1] {
			t.Errorf("it runs %s with edition %s", image(t), edition(t))
		}
		if got := revisions(t); len(got) != 3 || !got[0].Current || got[0].Number != 3 || got[0].Cause != "rollback to 1" {
			t.Errorf("history: %+v", got)
		}
		w.devenv(t, "up").must(t, 0)
		if edition(t) != "two" || image(t) != images[2] {
			t.Errorf("up did not roll forward: %s with edition %s", image(t), edition(t))
		}
	})

	step("revisions go with the environment", func(t *testing.T) {
		w.devenv(t, "down").must(t, 0)
		eventually(t, "no Secret is left", func() error {
			if left, err := w.tryKubectl("-n", "devenv-system", "get", "secrets", "-o", "name"); err != nil || left != "" {
				return fmt.Errorf("%s (%v)", left, err)
			}
			return nil
		})
	})
}
