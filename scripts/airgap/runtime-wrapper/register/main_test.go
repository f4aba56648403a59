package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestRegister(t *testing.T) {
	const wrapper = "/usr/local/lib/devenv/runtime-wrapper"
	tests := map[string]struct{ config, want, err string }{
		"no file": {
			config: "",
			want:   `{"default-runtime":"devenv","runtimes":{"devenv":{"path":"/usr/local/lib/devenv/runtime-wrapper"}}}`,
		},
		"other settings and runtimes stay": {
			config: `{"data-root":"/big","runtimes":{"gpu":{"path":"gpu-runtime","runtimeArgs":[]}},"mtu":1400}`,
			want: `{"data-root":"/big","mtu":1400,"default-runtime":"devenv","runtimes":{"gpu":{"path":"gpu-runtime","runtimeArgs":[]},
				"devenv":{"path":"/usr/local/lib/devenv/runtime-wrapper"}}}`,
		},
		"runc was chosen": {
			config: `{"default-runtime":"runc"}`,
			want:   `{"default-runtime":"devenv","runtimes":{"devenv":{"path":"/usr/local/lib/devenv/runtime-wrapper"}}}`,
		},
		"an old path is replaced": {
			config: `{"default-runtime":"devenv","runtimes":{"devenv":{"path":"/old"}}}`,
			want:   `{"default-runtime":"devenv","runtimes":{"devenv":{"path":"/usr/local/lib/devenv/runtime-wrapper"}}}`,
		},
		"another choice is left alone": {config: `{"default-runtime":"gpu"}`, err: `"gpu" already`},
		"no JSON":                      {config: `{"mtu":`, err: "unexpected end"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := register([]byte(test.config), wrapper)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want one that says %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var gotValue, wantValue any
			if err := json.Unmarshal(got, &gotValue); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(test.want), &wantValue); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(gotValue, wantValue) {
				t.Errorf("got %s, want %s", got, test.want)
			}
			again, err := register(got, wrapper)
			if err != nil || string(again) != string(got) {
				t.Errorf("a second call changes the file to %s (%v)", again, err)
			}
		})
	}
}

func TestRegisterInKeepsTheFileOnError(t *testing.T) {
	config := filepath.Join(t.TempDir(), "daemon.json")
	const before = `{"default-runtime":"gpu"}`
	if err := os.WriteFile(config, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := registerIn(config, "/wrapper"); err == nil {
		t.Fatal("no error")
	}
	if after, err := os.ReadFile(config); err != nil || string(after) != before {
		t.Errorf("file is %s (%v), want it unchanged", after, err)
	}
}
