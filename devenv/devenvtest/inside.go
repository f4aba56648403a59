package devenvtest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/hot"
)

// InsideSubject is an implementation of hot.Inside under test, with a container that runs and holds nothing below /srv.
type InsideSubject struct {
	hot.Inside
	Container hot.Container
	// Look says what a path of the container is; links are not followed. Kind is 0 if there is nothing. From is the content of a regular file.
	Look func(t *testing.T, path string) hot.File
	// Heard waits until the container's first process got the signal, without its SIG.
	Heard func(t *testing.T, signal string)
	// Stop ends the container, and returns when it has ended.
	Stop func(t *testing.T)
}

// InsideSuite holds an implementation against the contract of hot.Inside.
func InsideSuite(t *testing.T, fresh func(t *testing.T) InsideSubject) {
	t.Run("files, directories and links become what they are said to be", func(t *testing.T) {
		s := fresh(t)
		files := []hot.File{
			s.file(t, "/srv/deep/er/a", "one", 0o640),
			s.file(t, "/srv/set-id", "#!", 0o6755),
			{To: "/srv/dir", Kind: digest.Dir, Mode: 0o1777},
			{To: "/srv/link", Kind: digest.Link, Link: "../gone/nowhere"},
			s.file(t, "/srv/empty", "", 0o600),
			s.file(t, "/srv/a name\nof ö", "odd", 0o644),
		}
		s.write(t, files...)
		s.require(t, append(files, hot.File{To: "/srv/deep", Kind: digest.Dir, Mode: 0o755})...)
	})

	t.Run("what is there is replaced, by other kinds too", func(t *testing.T) {
		s := fresh(t)
		s.write(t, s.file(t, "/srv/a", "a long text", 0o600), s.file(t, "/srv/d/x/y", "y", 0o644), s.file(t, "/srv/e/z", "z", 0o644),
			hot.File{To: "/srv/l", Kind: digest.Link, Link: "e"}, s.file(t, "/srv/f", "f", 0o644), hot.File{To: "/srv/m", Kind: digest.Link, Link: "e"})
		files := []hot.File{
			s.file(t, "/srv/a", "short", 0o755),
			s.file(t, "/srv/d", "was a directory", 0o644),
			{To: "/srv/e/z", Kind: digest.Link, Link: "was-a-file"},
			{To: "/srv/l", Kind: digest.Dir, Mode: 0o700}, // was a link to a directory
			{To: "/srv/f", Kind: digest.Dir, Mode: 0o755},
			s.file(t, "/srv/f/in", "in", 0o644),
			s.file(t, "/srv/m", "was a link", 0o644),
		}
		s.write(t, files...)
		s.write(t, files...) // a second time nothing is different
		s.require(t, files...)
	})

	t.Run("what is gone is removed with what is in it, and may be gone already", func(t *testing.T) {
		s := fresh(t)
		s.write(t, s.file(t, "/srv/d/x/y", "y", 0o644), s.file(t, "/srv/d/z", "z", 0o644), s.file(t, "/srv/stays", "", 0o644),
			hot.File{To: "/srv/d/link", Kind: digest.Link, Link: "../stays"})
		s.write(t, hot.File{To: "/srv/d/link", Gone: true}, hot.File{To: "/srv/d", Gone: true}, hot.File{To: "/srv/d/x", Gone: true},
			hot.File{To: "/srv/stays/not/a/directory", Gone: true})
		s.require(t, hot.File{To: "/srv/d"}, hot.File{To: "/srv/stays", Kind: digest.File, Mode: 0o644})
	})

	t.Run("they are done in order", func(t *testing.T) {
		s := fresh(t)
		s.write(t, s.file(t, "/srv/a", "1", 0o644), s.file(t, "/srv/a", "2", 0o644), hot.File{To: "/srv/b", Gone: true},
			s.file(t, "/srv/b/c", "3", 0o644), hot.File{To: "/srv/d", Kind: digest.Dir, Mode: 0o755}, hot.File{To: "/srv/d", Gone: true})
		s.require(t, s.file(t, "/srv/a", "2", 0o644), s.file(t, "/srv/b/c", "3", 0o644), hot.File{To: "/srv/d"})
	})

	t.Run("thousands at once", func(t *testing.T) {
		s := fresh(t)
		var files []hot.File
		for n := range 2000 {
			files = append(files, s.file(t, fmt.Sprintf("/srv/d%d/f%d", n%20, n), fmt.Sprint(n), 0o644))
		}
		s.write(t, files...)
		s.require(t, files[0], files[999], files[1999])
	})

	t.Run("a directory is followed to where a link leads", func(t *testing.T) {
		s := fresh(t)
		s.write(t, hot.File{To: "/srv/real", Kind: digest.Dir, Mode: 0o755}, hot.File{To: "/srv/way", Kind: digest.Link, Link: "/srv/real"},
			s.file(t, "/srv/way/a", "there", 0o644))
		s.require(t, s.file(t, "/srv/real/a", "there", 0o644), hot.File{To: "/srv/way", Kind: digest.Link, Link: "/srv/real"})
	})

	t.Run("a file that is not on this machine is an error that names it, and the next write works", func(t *testing.T) {
		s := fresh(t)
		err := s.Write(t.Context(), s.Container, []hot.File{
			s.file(t, "/srv/before", "b", 0o644), {To: "/srv/a", From: filepath.Join(t.TempDir(), "missing"), Kind: digest.File, Mode: 0o644},
		})
		if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "missing") {
			t.Fatalf("%v", err)
		}
		s.write(t, s.file(t, "/srv/b", "b", 0o644))
		s.require(t, s.file(t, "/srv/b", "b", 0o644), hot.File{To: "/srv/a"}, s.file(t, "/srv/before", "b", 0o644))
	})

	t.Run("a file that is not what was decided on does not get there, and the next write works", func(t *testing.T) {
		s := fresh(t)
		s.write(t, s.file(t, "/srv/a", "old", 0o644))
		now := s.file(t, "/srv/a", "in the middle of being changed", 0o644)
		now.Hash = sha256.Sum256([]byte("decided on"))
		gone := hot.File{To: "/srv/a", From: filepath.Join(t.TempDir(), "missing"), Kind: digest.File, Mode: 0o644, Hash: now.Hash}
		for _, f := range []hot.File{now, gone} {
			err := s.Write(t.Context(), s.Container, []hot.File{s.file(t, "/srv/before", "b", 0o644), f})
			if outrun := hot.Outrun(err); outrun == nil || !slices.Equal(outrun.Paths, []string{f.From}) {
				t.Fatalf("%v", err)
			}
			s.require(t, s.file(t, "/srv/a", "old", 0o644), s.file(t, "/srv/before", "b", 0o644))
		}
		right := s.file(t, "/srv/a", "decided on", 0o644)
		right.Hash = now.Hash
		s.write(t, right)
		s.require(t, right)
	})

	t.Run("a path that is no file's is refused", func(t *testing.T) {
		s := fresh(t)
		for _, to := range []string{"", "/", "srv/a", "/srv/../etc/a", "/srv/a/", "/srv/a\x00b"} {
			if err := s.Write(t.Context(), s.Container, []hot.File{{To: to, Gone: true}}); err == nil {
				t.Errorf("%q was taken for a path", to)
			}
		}
	})

	t.Run("a file in the way of a directory is an error that names it", func(t *testing.T) {
		s := fresh(t)
		s.write(t, s.file(t, "/srv/a", "1", 0o644))
		err := s.Write(t.Context(), s.Container, []hot.File{s.file(t, "/srv/a/b", "2", 0o644)})
		if err == nil || !strings.Contains(err.Error(), "/srv/a") {
			t.Fatalf("%v", err)
		}
		s.require(t, s.file(t, "/srv/a", "1", 0o644))
	})

	t.Run("a write that is stopped says so, and the next works", func(t *testing.T) {
		s := fresh(t)
		s.write(t, s.file(t, "/srv/a", "1", 0o644))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Write(ctx, s.Container, []hot.File{s.file(t, "/srv/a", "2", 0o644)}); !errors.Is(err, context.Canceled) {
			t.Fatalf("%v", err)
		}
		s.write(t, s.file(t, "/srv/a", "3", 0o644))
		s.require(t, s.file(t, "/srv/a", "3", 0o644))
	})

	t.Run("what is where is said without following links", func(t *testing.T) {
		s := fresh(t)
		s.write(t, s.file(t, "/srv/d/a", "1", 0o644), hot.File{To: "/srv/l", Kind: digest.Link, Link: "d"})
		got, err := s.Kinds(t.Context(), s.Container, []string{"/srv/d", "/srv/d/a", "/srv/l", "/srv/l/a", "/srv/none", "/srv/d/a/b"})
		if want := []digest.Kind{digest.Dir, digest.File, digest.Link, digest.Link, 0, 0}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
		if got, err := s.Kinds(t.Context(), s.Container, nil); err != nil || len(got) > 0 {
			t.Errorf("of nothing: %q, %v", got, err)
		}
	})

	t.Run("a signal reaches the first process", func(t *testing.T) {
		s := fresh(t)
		for _, signal := range []string{"USR2", "SIGUSR1"} { // not HUP: where these tests run under nohup a shell cannot catch it
			if err := s.Signal(t.Context(), s.Container, signal); err != nil {
				t.Fatal(err)
			}
			s.Heard(t, strings.TrimPrefix(signal, "SIG"))
		}
		if err := s.Signal(t.Context(), s.Container, "NONSENSE"); err == nil || !strings.Contains(err.Error(), "NONSENSE") {
			t.Errorf("%v", err)
		}
	})

	t.Run("a container that has ended is gone", func(t *testing.T) {
		s := fresh(t)
		s.write(t, s.file(t, "/srv/a", "1", 0o644))
		s.Stop(t)
		if err := s.Write(t.Context(), s.Container, []hot.File{s.file(t, "/srv/a", "2", 0o644)}); !errors.Is(err, hot.ErrGone) {
			t.Errorf("writing: %v", err)
		}
		if err := s.Signal(t.Context(), s.Container, "HUP"); !errors.Is(err, hot.ErrGone) {
			t.Errorf("a signal: %v", err)
		}
	})
}

// file is a regular file of the content.
func (s InsideSubject) file(t *testing.T, to, content string, mode uint32) hot.File {
	t.Helper()
	from := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(from, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return hot.File{To: to, From: from, Kind: digest.File, Mode: mode}
}

func (s InsideSubject) write(t *testing.T, files ...hot.File) {
	t.Helper()
	if err := s.Write(t.Context(), s.Container, files); err != nil {
		t.Fatal(err)
	}
}

// require compares what the container has with what it is to have. Of a file without From the content does not matter, and one without Kind must not exist.
func (s InsideSubject) require(t *testing.T, files ...hot.File) {
	t.Helper()
	for _, want := range files {
		got := s.Look(t, want.To)
		content := ""
		if want.From != "" {
			data, err := os.ReadFile(want.From)
			if err != nil {
				t.Fatal(err)
			}
			content = string(data)
		}
		if got.Kind != want.Kind || got.Link != want.Link || want.Kind != digest.Link && got.Mode != want.Mode || want.From != "" && got.From != content {
			t.Errorf("%q is %c %o %q %q, want %c %o %q %q", want.To, got.Kind, got.Mode, got.Link, got.From, want.Kind, want.Mode, want.Link, content)
		}
	}
}
