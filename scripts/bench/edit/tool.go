package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// tool is the program that brings edits into the cluster: a shell command, in a process group of its own, so that all of it can be told to end.
type tool struct {
	cmd  *exec.Cmd
	log  io.Writer // gets all that it prints
	read sync.WaitGroup

	mu    sync.Mutex
	lines []string       // the last ones that it printed
	ways  map[string]int // by way: how many changes took it; where the tool is devenv
	ready chan struct{}  // closed once it has said that it is ready
	ended chan struct{}
	err   error // how it ended
}

const (
	readyPatience = 8 * time.Minute // a first start builds and loads everything
	endPatience   = time.Minute
	keptLines     = 40
)

// taken are the ways into the cluster of which a line of devenv's output says that changes took them.
func taken(line string) []string {
	var e struct {
		Type string
		OK   bool
		Way  string            // of dev.shortcut.done
		Ways map[string]string // of dev.cycle.done, by service
	}
	if json.Unmarshal([]byte(line), &e) != nil || !e.OK {
		return nil
	}
	switch e.Type {
	case "dev.shortcut.done":
		return []string{e.Way}
	case "dev.cycle.done":
		return slices.Collect(maps.Values(e.Ways))
	}
	return nil
}

// start starts a command in a directory and returns once a line that it printed matches ready.
func start(ctx context.Context, command, dir string, environ []string, ready *regexp.Regexp, log io.Writer) (*tool, error) {
	t := &tool{log: log, ways: map[string]int{}, ready: make(chan struct{}), ended: make(chan struct{})}
	t.cmd = exec.Command("/bin/sh", "-c", command)
	t.cmd.Dir, t.cmd.Env = dir, append(os.Environ(), environ...)
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	t.cmd.Stdout, t.cmd.Stderr = in, in
	err = t.cmd.Start()
	in.Close()
	if err != nil {
		out.Close()
		return nil, err
	}
	t.read.Go(func() { t.listen(out, ready) })
	go func() {
		t.err = t.cmd.Wait()
		close(t.ended)
	}()
	select {
	case <-t.ready:
		return t, nil
	case <-t.ended:
		err = fmt.Errorf("%s ended before it was ready: %w", command, orSuccess(t.err))
	case <-time.After(readyPatience):
		err = fmt.Errorf("%s was not ready after %s", command, readyPatience)
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(err, t.stop(), errors.New(t.tail()))
}

// orSuccess is an error to wrap also where there was none.
func orSuccess(err error) error {
	if err == nil {
		return errors.New("with success")
	}
	return err
}

func (t *tool) listen(out io.ReadCloser, ready *regexp.Regexp) {
	defer out.Close()
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	said := false
	for lines.Scan() {
		line := lines.Text()
		fmt.Fprintln(t.log, line)
		t.mu.Lock()
		t.lines = append(t.lines, line)
		t.lines = t.lines[max(0, len(t.lines)-keptLines):]
		for _, way := range taken(line) {
			t.ways[way]++
		}
		t.mu.Unlock()
		if !said && ready.MatchString(line) {
			said = true
			close(t.ready)
		}
	}
}

// tail is what it printed last.
func (t *tool) tail() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}

// stop ends it as Ctrl-C does, and by force if that does not help.
func (t *tool) stop() error {
	group := -t.cmd.Process.Pid
	err := syscall.Kill(group, syscall.SIGINT)
	select {
	case <-t.ended:
		err = nil
	case <-time.After(endPatience):
		err = errors.Join(err, fmt.Errorf("%s did not end within %s of being told to", t.cmd, endPatience))
	}
	_ = syscall.Kill(group, syscall.SIGKILL) // what it started may not have ended with it
	t.read.Wait()
	return err
}
