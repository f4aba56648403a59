package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestDocumentOf(t *testing.T) {
	tests := map[string]string{
		"--root /run/r --log /l --log-format json create --bundle /b --pid-file /p id": "/b/config.json",
		"--root=/run/r create --bundle=/b id":                                          "/b/config.json",
		"--systemd-cgroup run -b /b id":                                                "/b/config.json",
		"run id":                                                                       "config.json",
		"restore --image-path /i --bundle /b id":                                       "/b/config.json",
		"--root /run/r exec --process /p.json --detach --pid-file /f id":               "/p.json",
		"exec -p /p.json id":                                                           "/p.json",
		"exec id ls --process /decoy":                                                  "",
		"exec --env A=1 -e B=2 --tty --user 0 --process /p.json id":                    "/p.json",
		"exec id -- ls --process /decoy":                                               "",
		"--root create delete id":                                                      "",
		"kill id 9":                                                                    "",
		"--version":                                                                    "",
		"":                                                                             "",
	}
	for line, want := range tests {
		if got := documentOf(strings.Fields(line)); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestTrim(t *testing.T) {
	tests := map[string]struct{ document, want string }{
		"container: every set loses what the machine lacks": {
			document: `{"ociVersion":"1.0.2","process":{"args":["sh"],"capabilities":{
				"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE"],"effective":["CAP_SYS_RESOURCE"],"permitted":["CAP_CHOWN"]}}}`,
			want: `{"ociVersion":"1.0.2","process":{"args":["sh"],"capabilities":{
				"bounding":["CAP_CHOWN"],"effective":[],"permitted":["CAP_CHOWN"]}}}`,
		},
		"process: capabilities stand at the top": {
			document: `{"args":["sh"],"capabilities":{"bounding":["CAP_SYS_RESOURCE","CAP_KILL"]}}`,
			want:     `{"args":["sh"],"capabilities":{"bounding":["CAP_KILL"]}}`,
		},
		"numbers that do not fit a float stay": {
			document: `{"linux":{"id":9007199254740993},"process":{"capabilities":{"bounding":["CAP_SYS_RESOURCE"]}}}`,
			want:     `{"linux":{"id":9007199254740993},"process":{"capabilities":{"bounding":[]}}}`,
		},
		"nothing to take out":      {document: `{"process":{"capabilities":{"bounding":["CAP_CHOWN"]}}}`},
		"no capabilities":          {document: `{"process":{"args":["sh"]}}`},
		"capabilities of no shape": {document: `{"process":{"capabilities":{"bounding":"CAP_SYS_RESOURCE"}}}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := trim([]byte(test.document), withoutResource)
			if err != nil {
				t.Fatal(err)
			}
			if test.want == "" {
				if got != nil {
					t.Errorf("got %s, want no change", got)
				}
				return
			}
			if decode(t, string(got)) == nil || !reflect.DeepEqual(decode(t, string(got)), decode(t, test.want)) {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	if _, err := trim([]byte("{"), withoutResource); err == nil {
		t.Error("half a document: no error")
	}
}

func TestTrimFileKeepsTheMode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(`{"process":{"capabilities":{"bounding":["CAP_SYS_RESOURCE"]}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := trimFile(file, withoutResource); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v", info.Mode())
	}
	content, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(content), "CAP_SYS_RESOURCE") {
		t.Errorf("content is %s (%v)", content, err)
	}
	if err := trimFile(filepath.Join(t.TempDir(), "none"), withoutResource); err == nil {
		t.Error("a missing file: no error")
	}
}

// FuzzTrim: whatever the document, trimming ends without a panic, and a second time finds nothing to do.
func FuzzTrim(f *testing.F) {
	f.Add(`{"process":{"capabilities":{"bounding":["CAP_SYS_RESOURCE",1,null]}}}`)
	f.Add(`{"capabilities":[]}`)
	f.Fuzz(func(t *testing.T, document string) {
		trimmed, err := trim([]byte(document), withoutResource)
		if err != nil || trimmed == nil {
			return
		}
		if again, err := trim(trimmed, withoutResource); err != nil || again != nil {
			t.Errorf("again: %s (%v)", again, err)
		}
	})
}

func decode(t *testing.T, text string) any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return value
}
