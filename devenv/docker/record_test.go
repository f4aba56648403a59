package docker

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	bkclient "github.com/moby/buildkit/client"
)

var (
	update = flag.Bool("update", false, "rewrite the golden files")
	record = flag.Bool("record", false, "with DEVENV_E2E=1: record what the engine tells during builds into testdata/progress")
)

// recordedLine is a line of a recording: the Dockerfile in the first, messages in those between, the error (if any) in the last.
type recordedLine struct {
	Dockerfile string `json:"dockerfile,omitempty"`
	*bkclient.SolveStatus
	Error string `json:"error,omitempty"`
}

var address = regexp.MustCompile(`\d+\.\d+\.\d+\.\d+:53\b`)

// TestRecordProgress makes the recordings that TestProgress reads: the messages of real builds.
func TestRecordProgress(t *testing.T) {
	if !*record {
		t.Skip("records only with -record")
	}
	e := realEngine(t)
	salt := fmt.Sprint(time.Now().UnixNano())
	dir := toolContext(t, map[string]string{"content": salt})
	for name, dockerfile := range map[string]string{
		"success":   "FROM scratch\nCOPY tool /tool\nRUN [\"/tool\", \"print\", \"compiling\", \"linking " + salt + "\"]\nCOPY content /\n",
		"step":      "FROM scratch\nCOPY tool /tool\nRUN [\"/tool\", \"fail\", \"main.go:3:1: syntax error\", \"" + salt + "\"]\n",
		"missing":   "FROM scratch\nCOPY nothere /\n",
		"base":      "FROM devenv.invalid/base:1\nCOPY tool /tool\n",
		"syntax":    "# syntax=devenv.invalid/frontend:1\nFROM scratch\nCOPY tool /tool\n",
		"parallel":  "FROM scratch AS a\nCOPY tool /tool\nRUN [\"/tool\", \"wait\", \"" + salt + "\"]\nFROM scratch AS b\nCOPY tool /tool\nRUN [\"/tool\", \"fail\", \"in b\", \"" + salt + "\"]\nFROM scratch\nCOPY --from=a /tool /a\nCOPY --from=b /tool /b\n",
		"unparsed":  "FROM scratch\nFOO bar\n",
		"no-secret": "FROM scratch\nCOPY tool /tool\nRUN --mount=type=secret,id=token,required=true [\"/tool\", \"print\", \"" + salt + "\"]\n",
	} {
		b := toolBuild(t, e, dir)
		b.Dockerfile = []byte(dockerfile)
		files, err := b.files()
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		lines := json.NewEncoder(&out)
		lines.Encode(recordedLine{Dockerfile: dockerfile})
		err = e.solve(t.Context(), b, export{entry: bkclient.ExportEntry{Type: "moby", Attrs: map[string]string{"name": b.Ref}}}, files, nil, false, func(s *bkclient.SolveStatus) { lines.Encode(s) })
		if err != nil {
			lines.Encode(recordedLine{Error: err.Error()})
		}
		text := strings.ReplaceAll(out.String(), salt, "salt")
		text = address.ReplaceAllString(text, "192.0.2.53:53") // of this machine's name server
		if err := os.WriteFile(filepath.Join("testdata", "progress", name+".jsonl"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
