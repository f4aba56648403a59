package history_test

import (
	"slices"
	"testing"

	"github.com/devenv-run/devenv/devenv/history"
)

func numbered(service string, contents ...string) []history.Head {
	var heads []history.Head
	for i, c := range contents {
		heads = append(heads, history.Head{Service: service, Number: i + 1, Content: c})
	}
	return heads
}

func TestOld(t *testing.T) {
	var heads []history.Head
	for n := 4; n < 4+history.Limit+2; n++ {
		heads = append(heads, history.Head{Number: n})
	}
	slices.Reverse(heads[2:5]) // in whichever order they are listed
	if old := history.Old(heads); len(old) != 2 || old[0].Number != 5 || old[1].Number != 4 {
		t.Errorf("old: %+v", old)
	}
	if old := history.Old(heads[:history.Limit]); len(old) != 0 {
		t.Errorf("old: %+v", old)
	}
}

func TestPrevious(t *testing.T) {
	for _, tt := range []struct {
		contents []string
		running  string
		want     int // 0: none
	}{
		{[]string{"a", "b"}, "b", 1},
		{[]string{"a", "b", "a"}, "a", 2}, // rolled back once: the next rollback goes forward again
		{[]string{"a", "b", "b"}, "b", 1},
		{[]string{"a", "b"}, "", 2}, // what runs was never ready
		{[]string{"a"}, "a", 0},
		{nil, "a", 0},
	} {
		got, ok := history.Previous(numbered("web", tt.contents...), tt.running)
		if got.Number != tt.want || ok != (tt.want != 0) {
			t.Errorf("of %v, running %q: %d, want %d", tt.contents, tt.running, got.Number, tt.want)
		}
	}
}

func TestNewest(t *testing.T) {
	heads := append(numbered("web", "a", "b"), numbered("grades", "c")...)
	newest := history.Newest(heads)
	if len(newest) != 2 || newest["web"].Number != 2 || newest["grades"].Number != 1 {
		t.Errorf("newest: %+v", newest)
	}
	if of := history.Of(heads, "grades"); len(of) != 1 || of[0].Content != "c" || len(heads) != 3 {
		t.Errorf("of grades: %+v", of)
	}
}

func TestCause(t *testing.T) {
	before := take(t, "ConfigMap/settings@1", "Deployment/web@1 runs web nginx uses settings")["web"]
	for _, tt := range []struct {
		name, image, want string
		lines             []string
	}{
		{"a file", "web/index.php changed", "web/index.php changed", []string{"ConfigMap/settings@1", "Deployment/web@2 runs web nginx:1 uses settings"}},
		{"an image, for a reason unknown", "", "image changed", []string{"ConfigMap/settings@1", "Deployment/web@2 runs web nginx:1 uses settings"}},
		{"configuration", "", "ConfigMap/academy/settings changed", []string{"ConfigMap/settings@2", "Deployment/web@1 runs web:1 nginx:1 uses settings"}},
		{"a file and configuration", "a changed", "a changed, ConfigMap/academy/settings changed",
			[]string{"ConfigMap/settings@2", "Deployment/web@2 runs web nginx:1 uses settings"}},
		{"the other image of the pod", "", "image of nginx changed", []string{"ConfigMap/settings@1", "Deployment/web@2 runs web:1 nginx uses settings"}},
		{"the declaration", "", "Deployment/academy/web changed", []string{"ConfigMap/settings@1", "Deployment/web@2 runs web:1 nginx:1 uses settings"}},
		{"much", "a changed", "a changed, and 2 more", []string{"ConfigMap/more@1", "Deployment/web@2 runs web nginx:1 uses more"}},
	} {
		now := take(t, tt.lines...)["web"]
		if got := history.Cause(&before, now, tt.image); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := history.Cause(nil, before, "a changed"); got != "first deployment" {
		t.Errorf("the first: %q", got)
	}
}
