package digest_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/devenv-run/devenv/devenv/digest"
)

// node is a file in a drawn tree.
type node struct {
	content string
	link    string // a symbolic link if not empty
	exec    bool
}

var names = rapid.SampledFrom([]string{"a", "b", "c.go", "D", "e-f", "é", "x y"})

// trees draws contexts: files by path, of which none is a directory of another.
var trees = rapid.Custom(func(t *rapid.T) map[string]node {
	tree := map[string]node{}
	for range rapid.IntRange(0, 6).Draw(t, "files") {
		path := strings.Join(rapid.SliceOfN(names, 1, 3).Draw(t, "path"), "/")
		if slices.ContainsFunc(slices.Collect(maps.Keys(tree)), func(other string) bool {
			return strings.HasPrefix(other+"/", path+"/") || strings.HasPrefix(path+"/", other+"/")
		}) {
			continue
		}
		tree[path] = node{
			content: rapid.SampledFrom([]string{"", "1", "2", "a\x00b"}).Draw(t, "content"),
			link:    rapid.SampledFrom([]string{"", "", "", "a", "../b"}).Draw(t, "link"),
			exec:    rapid.Bool().Draw(t, "exec"),
		}
	}
	return tree
})

// plant writes a tree in the order of paths.
func plant(t *testing.T, paths []string, tree map[string]node) string {
	t.Helper()
	root, err := os.MkdirTemp(t.TempDir(), "tree")
	must(t, err)
	for _, path := range paths {
		n, full := tree[path], filepath.Join(root, path)
		if n.link != "" {
			must(t, os.MkdirAll(filepath.Dir(full), 0o755))
			must(t, os.Symlink(n.link, full))
			continue
		}
		mode := fs.FileMode(0o644)
		if n.exec {
			mode = 0o755
		}
		write(t, full, n.content, mode)
	}
	return root
}

// canonical is tree as far as an image can tell: a link has neither content nor mode.
func canonical(tree map[string]node) map[string]node {
	c := maps.Clone(tree)
	for path, n := range c {
		if n.link != "" {
			c[path] = node{link: n.link}
		}
	}
	return c
}

func TestDigestIsThatOfTheTree(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		one, two := trees.Draw(r, "one"), trees.Draw(r, "two")
		if rapid.Bool().Draw(r, "same") {
			two = one
		}
		paths := slices.Sorted(maps.Keys(one))
		rootOne := plant(t, paths, one)
		rootTwo := plant(t, rapid.Permutation(slices.Sorted(maps.Keys(two))).Draw(r, "order"), two)
		for _, path := range paths { // times never matter
			if one[path].link == "" {
				must(t, os.Chtimes(filepath.Join(rootOne, path), time.Time{}, time.Unix(1, 0)))
			}
		}
		digestOne := digest.Inputs{Context: walk(t, rootOne, nil, nil)}.Digest()
		digestTwo := digest.Inputs{Context: walk(t, rootTwo, nil, nil)}.Digest()
		if same := maps.Equal(canonical(one), canonical(two)); same != (digestOne == digestTwo) {
			r.Fatalf("trees equal: %v, digests %s and %s", same, digestOne, digestTwo)
		}
	})
}

func TestIgnoredFilesNeverMatter(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		kept, extra := trees.Draw(r, "kept"), trees.Draw(r, "extra")
		both := maps.Clone(kept)
		for path, n := range extra {
			both["ignored/"+path] = n
		}
		before := walk(t, plant(t, slices.Sorted(maps.Keys(kept)), kept), nil, nil)
		after := walk(t, plant(t, slices.Sorted(maps.Keys(both)), both), prune("ignored"), nil)
		if (digest.Inputs{Context: before}).Digest() != (digest.Inputs{Context: after}).Digest() {
			r.Fatal("an ignored file changed the digest")
		}
	})
}

func TestEveryInputCounts(t *testing.T) {
	base := func() digest.Inputs {
		return digest.Inputs{
			Context:    digest.Manifest{{Path: "a", Kind: digest.File, Mode: 0o644}},
			Dockerfile: []byte("FROM scratch"), Args: map[string]string{"A": "1"}, Target: "t", Platform: "linux/amd64",
			Bases: map[string]string{"debian:12": "sha256:1"}, Secrets: []string{"token"},
		}
	}
	want := base().Digest()
	const golden = "9472b6a617e7162695dc1123d275ca3ee0af962222a9a03730adfa4401f7d69a"
	for name, change := range map[string]func(*digest.Inputs){
		"path":           func(in *digest.Inputs) { in.Context[0].Path = "b" },
		"mode":           func(in *digest.Inputs) { in.Context[0].Mode = 0o755 },
		"content":        func(in *digest.Inputs) { in.Context[0].Hash[0] = 1 },
		"kind":           func(in *digest.Inputs) { in.Context[0].Kind = digest.Pipe },
		"dockerfile":     func(in *digest.Inputs) { in.Dockerfile = []byte("FROM scratch\n") },
		"argument value": func(in *digest.Inputs) { in.Args["A"] = "2" },
		"argument name":  func(in *digest.Inputs) { in.Args = map[string]string{"B": "1"} },
		"more arguments": func(in *digest.Inputs) { in.Args["B"] = "" },
		"target":         func(in *digest.Inputs) { in.Target = "" },
		"platform":       func(in *digest.Inputs) { in.Platform = "linux/arm64" },
		"base":           func(in *digest.Inputs) { in.Bases["debian:12"] = "sha256:2" },
		"secret":         func(in *digest.Inputs) { in.Secrets = append(in.Secrets, "key") },
		"target for arg": func(in *digest.Inputs) { in.Target, in.Platform = "tlinux/", "amd64" },
	} {
		in := base()
		change(&in)
		if in.Digest() == want {
			t.Errorf("%s does not count", name)
		}
	}
	same := base()
	same.Dir, same.DockerfilePath, same.Secrets = "services/x", "services/x/Dockerfile", []string{"token", "token"}
	if same.Digest() != want {
		t.Error("what is for messages only counts")
	}
	if want != golden {
		t.Errorf("the encoding changed: the digest is %s. If that is meant, give it a new version", want)
	}
}
