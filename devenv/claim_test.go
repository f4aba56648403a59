package devenv

import (
	"strings"
	"testing"

	"github.com/devenv-run/devenv/devenv/fault"
)

func TestAnEnvironmentBelongsToOneProject(t *testing.T) {
	s := state{dir: t.TempDir()}
	for range 2 { // the same project, from another checkout for instance
		if err := s.claim("shop", "two"); err != nil {
			t.Fatal(err)
		}
	}
	err := s.claim("shop-two", "")
	if fault.Of(err) != fault.Refused || !strings.Contains(err.Error(), "the environment shop-two belongs to the project shop with --env two") {
		t.Errorf("got %v", err)
	}
	for range 2 {
		if err := s.release(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.claim("shop-two", ""); err != nil {
		t.Error(err)
	}
	if err := s.claim("shop", "two"); fault.Of(err) != fault.Refused || !strings.Contains(err.Error(), "belongs to the project shop-two") {
		t.Errorf("got %v", err)
	}
}
