package docker

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestExecForReal(t *testing.T) {
	e := realEngine(t)
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "docker", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	id := run("run", "--detach", "--rm", "debian:bookworm-slim", "sleep", "600")
	defer run("rm", "--force", id)

	t.Run("what goes in comes out, and it ends with its input", func(t *testing.T) {
		var said bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		s, err := e.Exec(ctx, id, []string{"sh", "-c", "echo ready >&2; cat; echo over"}, &said)
		if err != nil {
			t.Fatal(err)
		}
		cancel() // it goes on
		data := make([]byte, 3<<20)
		_, _ = rand.Read(data)
		go func() { _, _ = s.Write(data) }()
		got := make([]byte, len(data))
		if _, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, data) {
			t.Errorf("not what went in: %v", err)
		}
		if err := s.Close(); err != nil || s.Close() != nil {
			t.Errorf("%v", err)
		}
		for begin := time.Now(); strings.Contains(run("top", id), "cat"); time.Sleep(20 * time.Millisecond) {
			if time.Since(begin) > 20*time.Second {
				t.Fatal("the command goes on")
			}
		}
		if said.String() != "ready\n" {
			t.Errorf("standard error: %q", said.String())
		}
	})

	t.Run("what is not there is said", func(t *testing.T) {
		var said bytes.Buffer
		s, err := e.Exec(t.Context(), id, []string{"no-such-program"}, &said)
		text := ""
		if err == nil {
			out, _ := io.ReadAll(s)
			text = string(out) + said.String()
			_ = s.Close()
		} else {
			text = err.Error()
		}
		if !strings.Contains(text, "no-such-program") {
			t.Errorf("%q, %v", text, err)
		}
		if _, err := e.Exec(t.Context(), "no-such-container", []string{"true"}, io.Discard); err == nil || !strings.Contains(strings.ToLower(err.Error()), "no such container") {
			t.Errorf("%v", err)
		}
	})

	t.Run("it can be stopped", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := e.Exec(ctx, id, []string{"cat"}, io.Discard); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}
