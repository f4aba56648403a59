package kind

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
)

func failed(args []string, output string) error {
	return &commandError{args: args, output: output, err: errors.New("exit status 1")}
}

// run is the docker client.
func (w *world) run(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	line := strings.Join(args, " ")
	if err := w.call("docker " + line); err != nil {
		return nil, err
	}
	switch {
	case args[0] == "ps":
		w.mu.Lock()
		defer w.mu.Unlock()
		var ids []string
		for _, n := range w.containers {
			if strings.HasSuffix(line, "="+n.cluster) {
				ids = append(ids, n.ID)
			}
		}
		return []byte(strings.Join(ids, "\n")), nil
	case args[0] == "container":
		return w.inspect(args[2:])
	case args[0] == "rm":
		w.mu.Lock()
		defer w.mu.Unlock()
		w.containers = slices.DeleteFunc(w.containers, func(n *node) bool { return slices.Contains(args, n.ID) })
		return nil, nil
	case args[0] == "start" || args[0] == "unpause":
		w.mu.Lock()
		defer w.mu.Unlock()
		n := w.find(args[1])
		n.State, n.Started = "running", time.Now()
		return nil, nil
	case args[0] == "run":
		return []byte(w.probe), nil
	case args[0] == "image" && args[1] == "ls":
		if len(w.labelled) == 0 {
			return nil, nil
		}
		return []byte("sha256:9\n"), nil
	case args[0] == "image":
		if args[2] == "sha256:9" {
			out, err := json.Marshal(w.labelled)
			return out, err
		}
		return []byte("[{}]"), nil
	case args[0] == "exec":
		return w.exec(ctx, stdin, args[1:])
	}
	return nil, failed(args, "unknown command in this world: "+line)
}

func (w *world) inspect(ids []string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []inspected
	for _, id := range ids {
		n := w.find(id)
		if n == nil {
			continue
		}
		var i inspected
		i.ID, i.Name, i.Created, i.Image = n.ID, "/"+n.Name, n.Created, "sha256:1"
		i.State.Status, i.State.StartedAt = n.State, n.Started
		i.Config.Labels = map[string]string{roleLabel: n.Role}
		if n.running() {
			i.NetworkSettings.Networks = map[string]struct{ IPAddress string }{"kind": {n.IP}}
			if _, port, ok := strings.Cut(n.Endpoint, ":"); ok {
				i.NetworkSettings.Ports = map[string][]struct{ HostIP, HostPort string }{"6443/tcp": {{"127.0.0.1", port}}}
			}
		}
		list = append(list, i)
	}
	return json.Marshal(list)
}

func (w *world) exec(ctx context.Context, stdin io.Reader, args []string) ([]byte, error) {
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return strings.HasPrefix(a, "--") && a != "--all-platforms" })
	w.mu.Lock()
	n := w.find(args[0])
	var unwell string
	if n != nil {
		unwell = w.unwell[n.Name]
	}
	w.mu.Unlock()
	switch {
	case n == nil:
		return nil, failed(args, "Error: No such container: "+args[0])
	case unwell == "hangs":
		<-ctx.Done()
		return nil, ctx.Err()
	case n.State != "running":
		return nil, failed(args, "Error response from daemon: Container "+n.ID+" is not running")
	case unwell != "" && (args[1] != "/bin/sh" || !strings.HasPrefix(unwell, "import:")):
		return nil, failed(args, unwell)
	case args[1] == "cat":
		return adminConf, nil
	case args[1] == "journalctl":
		return []byte("kubelet: it is all too much\n"), nil
	}
	script, rest := args[3], args[4:]
	switch script {
	case scriptLib + scriptHeld:
		w.mu.Lock()
		defer w.mu.Unlock()
		var out []string
		for _, ref := range rest[1:] {
			if n.held[ref] {
				out = append(out, ref)
			}
		}
		return []byte(strings.Join(out, "\n") + "\n"), nil
	case scriptLib + scriptLayers:
		w.mu.Lock()
		defer w.mu.Unlock()
		return n.listLayers(rest[1:]), nil
	case scriptLib + scriptImport:
		return w.importArchive(ctx, n, unwell, stdin, args, rest)
	}
	_, err := io.Copy(io.Discard, stdin)
	return nil, err
}

func (w *world) importArchive(ctx context.Context, n *node, unwell string, stdin io.Reader, args, rest []string) ([]byte, error) {
	data, err := io.ReadAll(stdin)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if text, ok := strings.CutPrefix(unwell, "import:"); ok && (text != "all-platforms" || slices.Contains(rest, "--all-platforms")) {
		return nil, failed(args, "ctr: content digest sha256:0 not found: "+text)
	}
	ref, _, _ := strings.Cut(string(data), "\n")
	if layout := strings.HasPrefix(ref, "oci-layout"); layout && err == nil {
		if ref, err = w.importLayout(n, data); err != nil {
			return nil, failed(args, "ctr: "+err.Error())
		}
	} else if err != nil || len(data) != len(ref)+1+6<<20 {
		return nil, failed(args, "ctr: unexpected EOF")
	} else {
		for _, c := range w.content(strings.TrimPrefix(ref, "docker.io/library/")) {
			w.mu.Lock()
			n.content[digestOf(c)] = c
			w.mu.Unlock()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	n.held[ref] = true
	return []byte(ref + "\n"), nil
}

// Exec is an engine's. No node of this world has anything that could be spoken to.
func (w *world) Exec(_ context.Context, _ string, command []string, _ io.Writer) (io.ReadWriteCloser, error) {
	return nil, errors.New(command[0] + ": executable file not found")
}
