// Command register makes a program the Docker Engine's default runtime. It changes two keys of the engine's
// configuration file and keeps all others; a default runtime that somebody else chose is left alone, with an error.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// name is what the engine calls the runtime.
const name = "devenv"

func main() {
	config := flag.String("config", "/etc/docker/daemon.json", "the engine's configuration `file`")
	runtime := flag.String("runtime", "", "`path` of the runtime")
	flag.Parse()
	if err := registerIn(*config, *runtime); err != nil {
		fmt.Fprintln(os.Stderr, "register:", err)
		os.Exit(1)
	}
}

// registerIn registers the runtime in a configuration file, which need not exist. The file is replaced in one step.
func registerIn(config, runtime string) error {
	if !filepath.IsAbs(runtime) {
		return fmt.Errorf("-runtime %q is not an absolute path", runtime)
	}
	before, err := os.ReadFile(config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	after, err := register(before, runtime)
	if err != nil {
		return fmt.Errorf("%s: %w", config, err)
	}
	if bytes.Equal(before, after) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(config), 0o755); err != nil {
		return err
	}
	next := config + ".next"
	if err := os.WriteFile(next, after, 0o644); err != nil {
		return err
	}
	return os.Rename(next, config)
}

// register returns the configuration with the runtime in it.
func register(config []byte, runtime string) ([]byte, error) {
	settings := map[string]json.RawMessage{}
	if len(bytes.TrimSpace(config)) > 0 {
		if err := json.Unmarshal(config, &settings); err != nil {
			return nil, err
		}
	}
	var chosen string
	if raw, ok := settings["default-runtime"]; ok {
		if err := json.Unmarshal(raw, &chosen); err != nil {
			return nil, fmt.Errorf("default-runtime: %w", err)
		}
	}
	if chosen != "" && chosen != "runc" && chosen != name {
		return nil, fmt.Errorf("the default runtime is %q already; take it out, or add the missing capabilities to this machine", chosen)
	}
	runtimes := map[string]json.RawMessage{}
	if raw, ok := settings["runtimes"]; ok {
		if err := json.Unmarshal(raw, &runtimes); err != nil {
			return nil, fmt.Errorf("runtimes: %w", err)
		}
	}
	if chosen == name && string(runtimes[name]) != "" {
		var there struct {
			Path string `json:"path"`
		}
		if json.Unmarshal(runtimes[name], &there) == nil && there.Path == runtime {
			return config, nil
		}
	}
	var err error
	if runtimes[name], err = json.Marshal(map[string]string{"path": runtime}); err != nil {
		return nil, err
	}
	if settings["runtimes"], err = json.Marshal(runtimes); err != nil {
		return nil, err
	}
	if settings["default-runtime"], err = json.Marshal(name); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(settings, "", "  ")
	return append(text, '\n'), err
}
