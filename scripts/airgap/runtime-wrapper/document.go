package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// documentOf returns the file that holds the process description of a runc call: config.json of the bundle for a call
// that creates a container, the --process file for one that executes in a container, "" for every other call.
func documentOf(args []string) string {
	command, rest := commandOf(args)
	switch command {
	case "create", "run", "restore":
		bundle := flagValue(rest, "--bundle", "-b")
		if bundle == "" {
			bundle = "."
		}
		return filepath.Join(bundle, "config.json")
	case "exec":
		return flagValue(rest, "--process", "-p")
	}
	return ""
}

// flagsWithValue are runc's flags whose value may be an argument of its own, those before the command and those of the
// commands that documentOf looks at.
var flagsWithValue = map[string]bool{
	"--root": true, "--log": true, "--log-format": true, "--criu": true, "--rootless": true,
	"--bundle": true, "-b": true, "--console-socket": true, "--pidfd-socket": true, "--pid-file": true, "--preserve-fds": true,
	"--image-path": true, "--work-path": true, "--manage-cgroups-mode": true, "--empty-ns": true, "--lsm-profile": true,
	"--lsm-mount-context": true,
	"--process":           true, "-p": true, "--cwd": true, "--env": true, "-e": true, "--user": true, "-u": true,
	"--additional-gids": true, "-g": true, "--process-label": true, "--apparmor": true, "--cap": true, "-c": true,
	"--cgroup": true,
}

// commandOf splits a runc command line into the command and what follows it.
func commandOf(args []string) (string, []string) {
	for i := 0; i < len(args); i++ {
		if !strings.HasPrefix(args[i], "-") {
			return args[i], args[i+1:]
		}
		if flagsWithValue[args[i]] {
			i++
		}
	}
	return "", nil
}

// flagValue returns the value of a command's flag in any of its spellings: "--name value", "--name=value". Flags end
// where the container's name begins: what follows is the container's.
func flagValue(args []string, names ...string) string {
	for i := 0; i < len(args) && strings.HasPrefix(args[i], "-") && args[i] != "--"; i++ {
		name, value, attached := strings.Cut(args[i], "=")
		if !attached && flagsWithValue[name] {
			if i++; i == len(args) {
				return ""
			}
			value = args[i]
		}
		if slices.Contains(names, name) {
			return value
		}
	}
	return ""
}

// trimFile takes the capabilities that the bounding set lacks out of an OCI document. The file is replaced in one
// step, so that a crash leaves either version; one that needs no change is not written.
func trimFile(path string, b bounding) error {
	before, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	after, err := trim(before, b)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if after == nil {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	next := path + ".trimmed"
	if err := os.WriteFile(next, after, info.Mode().Perm()); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// trim returns the document without the capabilities that b lacks, or nil if it names none of them. It takes a
// container specification (capabilities under "process") or a process specification, and keeps every other key as it
// is, including those that it does not know.
func trim(document []byte, b bounding) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var top map[string]any
	if err := decoder.Decode(&top); err != nil {
		return nil, err
	}
	process := top
	if inner, ok := top["process"].(map[string]any); ok {
		process = inner
	}
	sets, _ := process["capabilities"].(map[string]any)
	changed := false
	for kind, value := range sets {
		names, ok := value.([]any)
		if !ok {
			continue
		}
		kept := make([]any, 0, len(names))
		for _, name := range names {
			if text, ok := name.(string); ok && !b.allows(text) {
				changed = true
				continue
			}
			kept = append(kept, name)
		}
		sets[kind] = kept
	}
	if !changed {
		return nil, nil
	}
	return json.Marshal(top)
}
