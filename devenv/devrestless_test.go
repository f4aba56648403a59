package devenv

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/event"
)

func TestFilesThatChangeAllTheTimeAreNamedOnce(t *testing.T) {
	dir := t.TempDir()
	c := &config.Config{Dir: dir, Services: []config.Service{{Name: "app", Build: config.Build{Context: "app"}}}}
	var told []string
	s := &session{
		project: &Project{config: c}, tree: &tree{project: c}, restless: map[string][]string{}, warned: map[string]bool{},
		out: event.SinkFunc(func(e event.Event) { told = append(told, e.(event.Warning).Text) }),
	}
	say := func(paths ...string) {
		s.noteRestless("app", paths)
		s.tellRestless("app")
	}
	log := filepath.Join(dir, "app", "logs", "a.log")
	say(log)
	say(log)
	say(filepath.Join(dir, "app", "logs", "b.log")) // the next one of the same log
	if len(told) != 1 || !strings.HasPrefix(told[0], "app/logs/a.log changed each time that app ") || !strings.Contains(told[0], "`logs/a.log` in app/.dockerignore") {
		t.Errorf("%q", told)
	}
	say(filepath.Join(dir, "app", "main.go"))
	if len(told) != 2 {
		t.Errorf("another cause: %q", told)
	}
	s.tellRestless("gone")
}
