package digest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/digest"
)

// tree makes a context of n files of about 2 kB in directories of 50, and waits until they are old enough to be remembered.
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
	time.Sleep(150 * time.Millisecond)
	return root
}

const contextSize = 50_000

func BenchmarkWalkCold(b *testing.B) {
	root := tree(b, contextSize)
	for b.Loop() {
		m, err := digest.Walk(context.Background(), root, nil, digest.OpenCache(filepath.Join(b.TempDir(), "cache")))
		if err != nil || len(m) < contextSize {
			b.Fatal(len(m), err)
		}
	}
}

// BenchmarkWalkWarm is what every run without changes pays: loading the cache, walking, and the digest.
func BenchmarkWalkWarm(b *testing.B) {
	root, file := tree(b, contextSize), filepath.Join(b.TempDir(), "cache")
	cache := digest.OpenCache(file)
	if _, err := digest.Walk(context.Background(), root, nil, cache); err != nil {
		b.Fatal(err)
	}
	if err := cache.Save(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		m, err := digest.Walk(context.Background(), root, nil, digest.OpenCache(file))
		if err != nil {
			b.Fatal(err)
		}
		digest.Inputs{Context: m}.Digest()
	}
}

func BenchmarkOpenCache(b *testing.B) {
	root, file := tree(b, contextSize), filepath.Join(b.TempDir(), "cache")
	cache := digest.OpenCache(file)
	if _, err := digest.Walk(context.Background(), root, nil, cache); err != nil {
		b.Fatal(err)
	}
	if err := cache.Save(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		digest.OpenCache(file)
	}
}

func BenchmarkDigest(b *testing.B) {
	m, err := digest.Walk(context.Background(), tree(b, contextSize), nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		digest.Inputs{Context: m}.Digest()
	}
}

func BenchmarkSummary(b *testing.B) {
	m, err := digest.Walk(context.Background(), tree(b, contextSize), nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		digest.Inputs{Context: m}.Summary()
	}
}
