package devenv

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/digest"
)

func TestWhatCameAndWentIsNotNamed(t *testing.T) {
	dir := t.TempDir()
	service := config.Service{Name: "app", Build: config.Build{Context: "app"}}
	s := &session{project: &Project{config: &config.Config{Dir: dir, Services: []config.Service{service}}}}
	if err := os.Mkdir(filepath.Join(dir, "app"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "app", "main.go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	deployed := &image{context: digest.Manifest{{Path: "old.go", Kind: digest.File}}}
	got := s.lasting([]string{"app/main.go", "app/old.go", "app/sedXyz"}, service, deployed)
	if want := []string{"app/main.go", "app/old.go"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q: one is there, one is gone, one never counted", got, want)
	}
	if got := s.lasting([]string{"app/sedXyz"}, service, deployed); len(got) != 1 {
		t.Errorf("nothing is left to name: %q", got)
	}
}
