package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/fault"
)

// extracting is a build of tool's context whose last stage is an added one.
func extracting(t *testing.T, e *Engine, stages, added string) Build {
	t.Helper()
	b := toolBuild(t, e, toolContext(t, map[string]string{"content": "hello", "dir/in": "it"}))
	b.Dockerfile = []byte(stages + "FROM scratch AS added\n" + added)
	b.Target, b.Added = "added", strings.Count(stages, "\n")+1
	return b
}

func TestFilesThatABuildMakes(t *testing.T) {
	e := realEngine(t)
	b := extracting(t, e, "FROM scratch AS a\nCOPY --chmod=0751 --chown=7:8 tool /tool\nCOPY content /\nFROM scratch\nCOPY --from=a /tool /x\n",
		"COPY --from=0 [\"/tool\", \"/0\"]\nCOPY --from=0 --chown=1:2 --chmod=0640 [\"/content\", \"/1\"]\n")
	set := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	for _, name := range []string{"tool", "content"} {
		if err := os.Chtimes(b.Context+"/"+name, set, set); err != nil {
			t.Fatal(err)
		}
	}
	files, err := e.Files(t.Context(), b, t.TempDir(), func(string) {})
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for name, want := range map[string]struct{ from, what string }{"0": {"tool", "751 7:8"}, "1": {"content", "640 1:2"}} {
		f := files[name]
		got, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		original, err := os.ReadFile(b.Context + "/" + want.from)
		if err != nil || string(got) != string(original) {
			t.Errorf("%s: %d bytes of %d, %v", want.from, len(got), len(original), err)
		}
		if what := fmt.Sprintf("%o %d:%d", f.Mode, f.UID, f.GID); what != want.what || !f.Time.Equal(set) {
			t.Errorf("%s: %s, %s", want.from, what, f.Time)
		}
	}
	if held, err := e.Images(t.Context(), []string{b.Ref}); err != nil || held[b.Ref] != "" {
		t.Errorf("the engine has an image: %v, %v", held, err)
	}
}

// TestFilesShareTheCache: a build of the same stages after it runs none of their steps again.
func TestFilesShareTheCache(t *testing.T) {
	e := realEngine(t)
	stages := "FROM scratch AS a\nCOPY tool /tool\nRUN [\"/tool\", \"print\", \"compiling\"]\nFROM scratch\nCOPY content /\nCOPY --from=a /tool /x\n"
	b := extracting(t, e, stages, "COPY --from=0 [\"/tool\", \"/0\"]\n")
	var first lines
	if _, err := e.Files(t.Context(), b, t.TempDir(), first.add); err != nil {
		t.Fatal(err)
	}
	b.Dockerfile, b.Target, b.Added = []byte(stages), "", 0
	second := mustBuild(t, e, b)
	if !strings.Contains(first.String(), "compiling") || strings.Contains(second, "compiling") || strings.Contains(second, "RUN") {
		t.Errorf("first:\n%s\n\nthen:\n%s", first.String(), second)
	}
}

func TestFilesThatAreNone(t *testing.T) {
	e := realEngine(t)
	const stages = "FROM scratch AS a\nCOPY tool content /\nCOPY dir /dir\n"
	for name, tt := range map[string]struct{ added, name, is string }{
		"a directory":          {"COPY --from=0 [\"/content\", \"/0\"]\nCOPY --from=0 [\"/dir\", \"/1\"]\n", "1", "a directory"},
		"nothing of that name": {"COPY --from=0 [\"/other\", \"/0\"]\n", "", ""},
		"no instruction":       {"FOO\n", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := e.Files(t.Context(), extracting(t, e, stages, tt.added), t.TempDir(), func(string) {})
			if !errors.Is(err, ErrAdded) {
				t.Fatalf("%v", err)
			}
			if name, is, _ := NotPlain(err); name != tt.name || is != tt.is {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestFilesOfABuildThatFails(t *testing.T) {
	e := realEngine(t)
	b := extracting(t, e, "FROM scratch AS a\nCOPY tool /tool\nRUN [\"/tool\", \"fail\", \"main.go:3:1: syntax error\"]\nFROM scratch\nCOPY --from=a /tool /x\n",
		"COPY --from=0 [\"/tool\", \"/0\"]\n")
	_, err := e.Files(t.Context(), b, t.TempDir(), func(string) {})
	var f *fault.Error
	if !errors.As(err, &f) || errors.Is(err, ErrAdded) || f.Kind != fault.Build || f.Where != b.DockerfileName+":3" || f.Detail != "main.go:3:1: syntax error" {
		t.Errorf("%+v", err)
	}
}

func TestFilesStopInTheEngine(t *testing.T) {
	e := realEngine(t)
	wait := fmt.Sprint(time.Now().UnixNano())
	b := extracting(t, e, "FROM scratch AS a\nCOPY tool /tool\nRUN [\"/tool\", \"wait\", \""+wait+"\"]\n", "COPY --from=0 [\"/tool\", \"/0\"]\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := e.Files(ctx, b, t.TempDir(), func(s string) {
		if strings.HasSuffix(s, "waiting") {
			cancel()
		}
	})
	if fault.Of(err) != fault.Interrupted {
		t.Fatalf("got %v", err)
	}
	for deadline := time.Now().Add(time.Minute); processes(wait) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the stopped build still runs")
		}
	}
}
