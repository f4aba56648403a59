package devenv

import (
	"os"
	"sync"
	"testing"

	"github.com/devenv-run/devenv/devenv/secret"
)

func TestTheKeyIsMadeOnceAndKeptForTheUserOnly(t *testing.T) {
	s := state{dir: t.TempDir()}
	keys := make([]secret.Key, 8)
	var group sync.WaitGroup
	for i := range keys {
		group.Go(func() {
			var err error
			if keys[i], err = s.secretKey(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, k := range keys {
		if k != keys[0] || k == (secret.Key{}) {
			t.Fatal("commands that began at once have different keys, or none")
		}
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("state directory: %v, %v", entries, err)
	}
	if info, err := entries[0].Info(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %v, %v", entries[0].Name(), info.Mode(), err)
	}
}

func TestADamagedKeyIsReplaced(t *testing.T) {
	s := state{dir: t.TempDir()}
	if err := os.WriteFile(s.path("secret.key"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	first, err := s.secretKey()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.secretKey(); err != nil || again != first {
		t.Errorf("the new key was not kept: %v", err)
	}
}

func TestAStateDirectoryThatCannotBeWritten(t *testing.T) {
	s := state{dir: t.TempDir()}
	if err := os.Mkdir(s.path("secret.key"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path("secret.key/x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := Project{state: s}
	if _, err := p.masker(); err == nil {
		t.Error("no error")
	}
}
