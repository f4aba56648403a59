package kind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/devenv-run/devenv/devenv/image"
)

func TestParseHolding(t *testing.T) {
	const a, b, packed = "sha256:aa", "sha256:bb", "sha256:cc"
	ids := []string{a, b}
	tests := []struct{ name, out, want string }{
		{"nothing", "", "map[]"},
		{"plain", a + " 10 6574632f containerd.io/distribution.source.x=y,containerd.io/uncompressed=" + a + "\n", "map[sha256:aa:{sha256:aa sha256:aa 10 0  }]"},
		{"compressed", packed + " 7 1f8b0800 containerd.io/uncompressed=" + a + "\n", "map[sha256:aa:{sha256:aa sha256:cc 7 1  }]"},
		{
			"both, in any order", packed + " 7 1f8b0800 containerd.io/uncompressed=" + a + "\n" + a + " 10 6574632f containerd.io/uncompressed=" + a + "\n" +
				packed + " 7 1f8b0800 containerd.io/uncompressed=" + a + "\n", "map[sha256:aa:{sha256:aa sha256:aa 10 0  }]",
		},
		{
			"one that an engine knows under another digest", a + " 10 6574632f containerd.io/uncompressed=" + a + ",run.devenv/pushed=" + packed + "\n",
			"map[sha256:aa:{sha256:aa sha256:aa 10 0  sha256:cc}]",
		},
		{"a layer of another image", "sha256:dd 7 1f8b0800 containerd.io/uncompressed=sha256:dd\n", "map[]"},
		{"a blob whose file is gone", a + "   containerd.io/uncompressed=" + a + "\n", "map[]"},
		{"an empty blob", a + " 0 6574632f containerd.io/uncompressed=" + a + "\n", "map[]"},
		{"a format that nobody knows", packed + " 7 01020304 containerd.io/uncompressed=" + a + "\n", "map[]"},
		{"no label", a + " 10 6574632f containerd.io/distribution.source.x=y\n", "map[]"},
		{"noise", "time=\"now\" level=warning msg=x\n\n", "map[]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := fmt.Sprint(parseHolding(tt.out, ids)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func FuzzParseHolding(f *testing.F) {
	f.Add("sha256:cc 7 1f8b0800 containerd.io/uncompressed=sha256:aa\n")
	f.Fuzz(func(t *testing.T, out string) {
		for id, l := range parseHolding(out, []string{"sha256:aa"}) {
			if id != "sha256:aa" || l.DiffID != id || l.Size <= 0 || l.Digest == "" || l.File != "" {
				t.Errorf("%q is held as %+v", id, l)
			}
		}
	})
}

// The script reads blobs where containerd keeps them, here in another directory.
func TestLayersScriptDescribesBlobs(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string]string{"aa": "layer", "cc": "\x1f\x8b\x08\x00more"} {
		path := filepath.Join(dir, "blobs", "sha256", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "ctr"), []byte(fakeCtr), 0o700); err != nil {
		t.Fatal(err)
	}
	script := strings.Replace(scriptLayers, "/var/lib/containerd/io.containerd.content.v1.content", dir, 1)
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", scriptLib+script, "sh", "sha256:aa", "sha256:bb", "sha256:dd")
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "CALLS="+filepath.Join(dir, "calls"),
		`CONTENT=DIGEST      SIZE  AGE  LABELS
sha256:aa   5B    7 seconds           containerd.io/distribution.source.x=y,containerd.io/uncompressed=sha256:aa
sha256:cc   8B    Less than a second  containerd.io/uncompressed=sha256:bb
sha256:dd   8B    2 hours             containerd.io/uncompressed=sha256:dd
sha256:ee   8B    2 hours             containerd.io/gc.ref.content.l.0=sha256:aa`)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	held := parseHolding(string(out), []string{"sha256:aa", "sha256:bb", "sha256:dd"})
	want := image.Holding{
		"sha256:aa": {DiffID: "sha256:aa", Digest: "sha256:aa", Size: 5},
		"sha256:bb": {DiffID: "sha256:bb", Digest: "sha256:cc", Size: 8, Format: image.Gzip},
	}
	if fmt.Sprint(held) != fmt.Sprint(want) {
		t.Errorf("got %v of\n%s", held, out)
	}
}

func TestClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c claims
		mine, others, first := c.take([]string{"a", "b"})
		if len(mine) != 2 || len(others) != 0 {
			t.Fatalf("nobody has taken anything: %v, %v", mine, others)
		}
		mine, others, second := c.take([]string{"b", "c"})
		if fmt.Sprint(mine, others) != "[c] [b]" {
			t.Fatalf("b is taken and c is not: %v, %v", mine, others)
		}
		if c.takeAll([]string{"c", "d"}) != nil {
			t.Fatal("c was taken twice")
		}
		waited := false
		go func() {
			waited = c.wait(t.Context(), []string{"b", "d"}) == nil
		}()
		second()
		second() // a second time is nothing
		synctest.Wait()
		if waited {
			t.Fatal("b is still taken")
		}
		first()
		synctest.Wait()
		if !waited {
			t.Fatal("b is free")
		}
		release := c.takeAll([]string{"b", "d"})
		if release == nil {
			t.Fatal("b and d are free, and were not given")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.wait(ctx, []string{"b"}); !errors.Is(err, context.Canceled) {
			t.Errorf("waiting for nothing any more: %v", err)
		}
		release()
	})
}
