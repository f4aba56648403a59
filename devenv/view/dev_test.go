package view_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/view"
)

// watchingScene is every event that only `devenv dev` emits.
func watchingScene(now time.Time) []event.Event {
	broken := &fault.Error{
		Kind: fault.Build, What: "build of service web", Where: "services/web/Dockerfile:4", Err: errors.New("exit code: 1"),
		Detail: "main.go:3:1: syntax error", Next: "Correct what the output shows.",
	}
	return []event.Event{
		event.Watching{Services: []string{"grades", "web"}},
		event.Changed{Paths: []string{"services/grades/a.go", "services/grades/b.go", "services/grades/c.go"}, Services: []string{"grades"}},
		event.CycleStarted{Cycle: 1, Services: []string{"grades"}, Cause: "services/grades/a.go and 2 more files changed", Reasons: map[string]string{"grades": "mode is full"}},
		event.CycleDone{
			Cycle: 1, Services: []string{"grades"}, Cause: "services/grades/a.go and 2 more files changed", Reasons: map[string]string{"grades": "mode is full"},
			Ways: map[string]string{"grades": "full"}, Steps: 4, OK: true, Took: 2100 * time.Millisecond, Since: 2200 * time.Millisecond,
		},
		event.CycleDone{Cycle: 2, Services: []string{"web"}, Cause: "services/web/main.go changed", Took: time.Second, Err: broken},
		event.CycleDone{Cycle: 3, Cause: "deploy/chart/values.yaml changed", Took: time.Second, Stopped: true},
		event.ShortcutStarted{Service: "web", Way: "sync", Cause: "services/web/index.php changed"},
		event.ShortcutDone{Service: "web", Way: "sync", Cause: "services/web/index.php changed", Detail: "1 file into 2 pods", OK: true, Took: 90 * time.Millisecond},
		event.ShortcutDone{Service: "web", Way: "image", Cause: "services/web/main.go changed", Reason: "no sync rule covers it", Took: time.Second, Err: broken},
		event.Away{Err: errors.New("the cluster is paused: devenv-academy-control-plane")},
		event.Back{After: 20 * time.Second},
		event.DevServices{Services: []event.DevService{
			{Name: "grades", State: "changing", Began: now.Add(-1500 * time.Millisecond)},
			{Name: "recommender", State: "current"},
			{Name: "web", State: "failed", Waits: "for the next save", Way: "image", Cause: "services/web/main.go changed", Reason: "no sync rule covers it", At: now, Took: time.Second},
		}, Logs: []string{"web"}},
	}
}

func TestDevLines(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, format := range []string{"human", "json"} {
		var out bytes.Buffer
		v, err := view.New(format, view.Options{Out: &out, Err: &out, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range watchingScene(now) {
			v.Emit(e)
		}
		v.Close()
		golden(t, "dev."+format+".golden", out.Bytes())
	}
}

// screen draws events on a terminal of the given size and returns what is seen at the end, before the view is closed.
func screen(t *testing.T, width, height int, events ...event.Event) []string {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	var out bytes.Buffer
	v, err := view.New("human", view.Options{
		Out: &out, Err: &out, Terminal: true, Width: func() int { return width }, Height: func() int { return height }, Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		v.Emit(e)
	}
	drawn := out.String()
	v.Close()
	last := drawn[strings.LastIndex(drawn, "─\n")+len("─\n"):]
	return strings.Split(strings.TrimRight(last, "\n"), "\n")
}

func TestBoard(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	scene := watchingScene(now)
	lines := screen(t, 100, 40, scene[len(scene)-1])
	want := []string{
		" grades       changing 1.5s",
		"● recommender  current",
		"✗ web          failed         image  1.00s  12:00:00  services/web/main.go changed  waits for the …",
		"l logs of web  r rebuild  s settle  q quit",
	}
	if len(lines) != len(want) {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	for i := range want {
		if got := strings.TrimRight(lines[i], " "); !strings.HasSuffix(got, want[i]) {
			t.Errorf("line %d: %q, want %q", i, got, want[i])
		}
	}
}

func TestBoardOfManyServicesShowsWhatMatters(t *testing.T) {
	var all event.DevServices
	for i := range 50 {
		s := event.DevService{Name: "s" + string(rune('a'+i%26)) + string(rune('a'+i/26)), State: "current"}
		if i == 40 {
			s.Name, s.State = "broken", "failed"
		}
		all.Services = append(all.Services, s)
	}
	lines := screen(t, 80, 24, all)
	if len(lines) != 13 || !strings.Contains(lines[0], "broken") || !strings.Contains(lines[11], "and 39 more services") {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
}
