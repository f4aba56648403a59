package docker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/secret"
)

// TestProgress replays recordings of builds and compares what the user sees of them: progress, then the error.
func TestProgress(t *testing.T) {
	recordings, err := filepath.Glob("testdata/progress/*.jsonl")
	if err != nil || len(recordings) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, path := range recordings {
		name := strings.TrimSuffix(filepath.Base(path), ".jsonl")
		t.Run(name, func(t *testing.T) {
			golden := filepath.Join("testdata", "progress", name+".golden")
			got := replay(t, path)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func replay(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var shown bytes.Buffer
	p := newProgress(func(line string) { fmt.Fprintln(&shown, line) }, &secret.Redactor{})
	b := Build{Service: "grades", DockerfileName: "services/grades/Dockerfile"}
	var failure error
	for text := range strings.Lines(string(data)) {
		var l recordedLine
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatal(err)
		}
		switch {
		case l.Dockerfile != "":
			b.Dockerfile = []byte(l.Dockerfile)
		case l.Error != "":
			failure = errors.New(l.Error)
		default:
			p.update(l.SolveStatus)
		}
	}
	if failure == nil {
		return shown.String()
	}
	fmt.Fprintf(&shown, "--- frontend: %v\n", frontendOf(b.Dockerfile).failedIn(p, failure))
	var f *fault.Error
	if !errors.As((&Engine{}).buildFault(t.Context(), b, p, &secret.Redactor{}, failure), &f) {
		t.Fatal("not a fault")
	}
	fmt.Fprintf(&shown, "--- exit code %d\n%v\n--- detail\n%s\n--- next\n%s\n", f.Kind.ExitCode(), f, f.Detail, f.Next)
	return shown.String()
}

func TestTail(t *testing.T) {
	tests := map[string]struct {
		pieces []string
		last   string // of the last piece
		want   string
	}{
		"lines":              {[]string{"one\ntwo\n"}, "two", "one\ntwo"},
		"a line in pieces":   {[]string{"on", "e\ntw"}, "one", "one\ntw"},
		"blank lines at end": {[]string{"one\n\n\n"}, "one", "one"},
		"progress bar":       {[]string{"10%\r20%\r30%\ndone\n"}, "done", "30%\ndone"},
		"windows line ends":  {[]string{"one\r\ntwo\r\n"}, "two", "one\ntwo"},
		"colours":            {[]string{"\x1b[1;31merror\x1b[0m: x\x1b]\x07\n"}, "error: x", "error: x"},
		"cut in an escape":   {[]string{"error\x1b[1\n"}, "error", "error"},
		"no output":          {[]string{""}, "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var tl tail
			var last string
			for _, p := range test.pieces {
				last = tl.write([]byte(p))
			}
			if last != test.last || tl.String() != test.want {
				t.Errorf("last %q, all %q; want %q, %q", last, tl.String(), test.last, test.want)
			}
		})
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var tl tail
	for i := range 100 {
		tl.write(fmt.Appendf(nil, "line %d\n", i))
	}
	got := strings.Split(tl.String(), "\n")
	if got[0] != "(40 lines before these)" || got[1] != "line 40" || got[len(got)-1] != "line 99" {
		t.Errorf("got %q … %q", got[:2], got[len(got)-1])
	}
}

// TestTailOfPieces: how the output was cut into pieces changes nothing, and what is kept fits a terminal.
func TestTailOfPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune("ab \t\n\r\x1b[m1;é\x00")), 0, 400, -1).Draw(t, "text")
		var whole, pieces tail
		whole.write([]byte(text))
		for rest := []byte(text); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			pieces.write(rest[:n])
			rest = rest[n:]
		}
		if whole.String() != pieces.String() {
			t.Fatalf("whole %q, in pieces %q", whole.String(), pieces.String())
		}
		if strings.ContainsFunc(strings.NewReplacer("\n", "", "\t", "").Replace(whole.String()), unicode.IsControl) {
			t.Fatalf("control characters in %q", whole.String())
		}
	})
}

func FuzzTail(f *testing.F) {
	f.Add([]byte("one\r\x1b[1mtwo\nthree"))
	f.Add(bytes.Repeat([]byte("x"), 3*keptLineLength))
	f.Fuzz(func(t *testing.T, data []byte) {
		var tl tail
		for range 3 {
			tl.write(data)
		}
		if got := strings.Count(tl.String(), "\n"); got > keptLines+1 {
			t.Errorf("%d lines", got)
		}
		if len(tl.String()) > (keptLines+2)*(keptLineLength+10) {
			t.Errorf("%d bytes", len(tl.String()))
		}
	})
}
