package hot_test

import (
	"testing"

	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/hot"
)

// A write that is stopped in the middle has put some of its files into the container: taking the change back has to put back all of them.
func TestWhatWasBegunIsMissing(t *testing.T) {
	s := hot.Service{Root: "/root", Sync: []hot.Rule{{From: "src", To: "/app/src"}}, Use: copies(map[string]string{"src": "/app/src"}, false)}
	image, now := context("src/", "src/a=1"), context("src/", "src/a=2", "src/new=1")
	d := hot.Decide(s, image, image, now)
	missing, _ := s.Missing(d.Files, nil, image, now)
	begun := hot.Begun(nil, missing, d.Files)
	if again, _ := s.Missing(d.Files, begun, image, now); len(again) != 2 {
		t.Errorf("of what was begun, %d are written again, want 2", len(again))
	}
	back, lost := s.Missing(nil, begun, image, image)
	if lost != "" || len(back) != 2 || !back[0].Gone || back[0].To != "/app/src/new" || back[1].To != "/app/src/a" || back[1].Gone {
		t.Errorf("taken back: %+v, lost %q", back, lost)
	}
}

func TestAModeOfTheDockerfileIsThatOfSyncedFilesToo(t *testing.T) {
	mode := uint32(0o755)
	s := hot.Service{Root: "/root", Sync: []hot.Rule{{From: "bin", To: "/app/bin"}}, Use: func(path string, _ digest.Manifest) hot.Use {
		return hot.Use{Places: []hot.Place{{To: "/app/" + path, Mode: &mode}}}
	}}
	before := context("bin/", "bin/run=1")
	d := hot.Decide(s, before, before, context("bin/", "bin/run=2"))
	if d.Way != hot.Sync || len(d.Files) != 1 || d.Files[0].Mode != mode {
		t.Errorf("%+v", d)
	}
}
