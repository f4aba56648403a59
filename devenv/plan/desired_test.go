package plan_test

import (
	"testing"

	"github.com/devenv-run/devenv/devenv/plan"
)

func TestShortRef(t *testing.T) {
	for ref, want := range map[string]string{
		"registry.example.com:5000/academy/grades:devenv-3f2a9c0011": "grades:devenv-3f2a9c",
		"registry.example.com/academy/grades:devenv-hot-3f2a9c0011":  "grades:devenv-hot-3f2a9c",
		"registry.example.com/academy/grades:devenv-hot-3f2a9c-2":    "grades:devenv-hot-3f2a9c",
		"registry.example.com/academy/grades:devenv-3f2":             "grades:devenv-3f2",
		"docker.io/library/redis:7":                                  "redis:7",
		"redis@sha256:0011":                                          "redis@sha256:0011",
	} {
		if got := plan.ShortRef(ref); got != want {
			t.Errorf("%s is written %s, want %s", ref, got, want)
		}
	}
}
