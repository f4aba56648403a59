package hot_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/hot"
)

func TestContentIsWhatWasDecidedOnOrAnError(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	decided := hot.File{To: "/a", From: path, Kind: digest.File, Hash: sha256.Sum256([]byte("decided"))}
	whatever := hot.File{To: "/a", From: path, Kind: digest.File}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(f hot.File, between func()) (string, error) {
		from, err := f.Open()
		if err != nil {
			return "", err
		}
		defer from.Close()
		var start [1]byte
		n, err := from.Read(start[:])
		if err != nil {
			return "", err
		}
		between()
		rest, err := io.ReadAll(from)
		return string(start[:n]) + string(rest), err
	}
	for name, between := range map[string]func(){
		"changed": func() { write("changes") }, "longer": func() { write("decided and more") }, "shorter": func() { write("dec") },
	} {
		write("decided")
		_, err := read(decided, between)
		if o := hot.Outrun(err); o == nil || !slices.Equal(o.Paths, []string{path}) {
			t.Errorf("%s while it was read: %v", name, err)
		}
		between()
		if _, err := read(decided, func() {}); hot.Outrun(err) == nil {
			t.Errorf("%s before: %v", name, err)
		}
		if _, err := read(whatever, between); err != nil {
			t.Errorf("%s, of no decided content: %v", name, err)
		}
	}
	write("decided")
	if text, err := read(decided, func() {}); text != "decided" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	for _, gone := range []hot.File{{From: dir, Hash: decided.Hash}, {From: path + "/x", Hash: decided.Hash}, {From: path + "x", Hash: decided.Hash}} {
		if _, err := gone.Open(); err == nil {
			t.Errorf("%s is taken for a file", gone.From)
		}
	}
	if _, err := (hot.File{From: path + "x"}).Open(); !errors.Is(err, os.ErrNotExist) || hot.Outrun(err) != nil {
		t.Errorf("%v", err)
	}
}

func TestOutrunNamesFiles(t *testing.T) {
	for want, paths := range map[string][]string{
		"files changed while they were being read":              nil,
		"a changed while it was being read":                     {"a"},
		"a, b, c and 2 more changed while they were being read": {"a", "b", "c", "d", "e"},
	} {
		err := fmt.Errorf("x: %w", &hot.OutrunError{Paths: paths})
		if o := hot.Outrun(err); o == nil || o.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if hot.Outrun(errors.New("x")) != nil {
		t.Error("any error is one")
	}
}
