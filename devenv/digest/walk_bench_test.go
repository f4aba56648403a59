//go:build linux || darwin

package digest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/digest"
)

// tree makes a context of n files of about 2 kB in directories of 50.
func tree(b *testing.B, n int) string {
	b.Helper()
	root := b.TempDir()
	text := make([]byte, 2000)
	for i := range n {
		dir := filepath.Join(root, fmt.Sprintf("services/s%02d/pkg%03d", i/50%20, i/1000))
		if i%50 == 0 {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				b.Fatal(err)
			}
		}
		copy(text, fmt.Sprint("file ", i))
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file%05d.go", i)), text, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return root
}

// cpu reports the processor time of a benchmark, user and system, which other work on the machine disturbs less than the clock.
func cpu(b *testing.B) func() {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric(float64((used()-before).Milliseconds())/float64(b.N), "cpu-ms/op") }
}

// BenchmarkContext measures a context of 50,000 files.
func BenchmarkContext(b *testing.B) {
	const size = 50_000
	root, file := tree(b, size), filepath.Join(b.TempDir(), "cache")
	walk := func(b *testing.B, cache *digest.Cache) digest.Manifest {
		b.Helper()
		m, err := digest.Walk(context.Background(), root, nil, cache)
		if err != nil || len(m) < size {
			b.Fatal(len(m), err)
		}
		return m
	}
	b.Run("cold", func(b *testing.B) {
		defer cpu(b)()
		for b.Loop() {
			walk(b, digest.OpenCache(filepath.Join(b.TempDir(), "cache")))
		}
	})
	in := digest.Inputs{Context: walk(b, nil)} // by its end, the files are old enough to be remembered
	cache := digest.OpenCache(file)
	walk(b, cache)
	b.Run("save", func(b *testing.B) {
		for b.Loop() {
			cache := digest.OpenCache(filepath.Join(b.TempDir(), "cache"))
			b.StopTimer()
			walk(b, cache)
			b.StartTimer()
			if err := cache.Save(); err != nil {
				b.Fatal(err)
			}
		}
	})
	if err := cache.Save(); err != nil {
		b.Fatal(err)
	}
	// warm is what every run without changes pays: loading the cache, walking, and the digest.
	b.Run("warm", func(b *testing.B) {
		defer cpu(b)()
		for b.Loop() {
			digest.Inputs{Context: walk(b, digest.OpenCache(file))}.Digest()
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			digest.OpenCache(file)
		}
	})
	b.Run("digest", func(b *testing.B) {
		for b.Loop() {
			in.Digest()
		}
	})
	b.Run("summary", func(b *testing.B) {
		for b.Loop() {
			in.Summary()
		}
	})
}
