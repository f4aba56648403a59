package hot_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/hot"
)

// files is a file system: path → what is there, as text.
type files map[string]string

// put makes a path what a file says, as a container or a layer takes it.
func (fs files) put(t *rapid.T, f hot.File, tree digest.Manifest) {
	remove := func() {
		for p := range fs {
			if p == f.To || strings.HasPrefix(p, f.To+"/") {
				delete(fs, p)
			}
		}
	}
	if f.Gone {
		remove()
		return
	}
	if f.Kind != digest.Dir || fs[f.To] == "" || fs[f.To][0] != byte(digest.Dir) {
		remove()
	}
	if dir := path.Dir(f.To); dir != "/" && (fs[dir] == "" || fs[dir][0] != byte(digest.Dir)) {
		t.Fatalf("%s is put into %s, which is no directory", f.To, dir)
	}
	e := digest.Entry{Kind: f.Kind, Mode: f.Mode, Link: f.Link}
	if f.Kind == digest.File {
		e.Hash = hot.Find(tree, strings.TrimPrefix(f.From, "/context/")).Hash
	}
	fs[f.To] = fact(&e)
}

func fact(e *digest.Entry) string {
	return fmt.Sprintf("%c %o %s %x", e.Kind, e.Mode, e.Link, e.Hash[:4])
}

// build is what a Dockerfile makes of a tree: src and public are copied, from all of vendor a program makes one file, the rest is not read.
func build(tree digest.Manifest) files {
	fs := files{"/app": "d 755", "/app/public": "d 755", "/app/src": "d 755"}
	made := ""
	for i := range tree {
		e := &tree[i]
		switch {
		case strings.HasPrefix(e.Path, "src/"), strings.HasPrefix(e.Path, "public/"):
			fs["/app/"+e.Path] = fact(e)
		case strings.HasPrefix(e.Path, "vendor/"):
			made += e.Path + fact(e)
		}
	}
	sum := sha256.Sum256([]byte(made))
	fs["/app/made"] = fmt.Sprintf("f %x", sum[:4])
	return fs
}

// uses says the same of single paths.
func uses(p string, _ digest.Manifest) hot.Use {
	switch top, rest, _ := strings.Cut(p, "/"); {
	case (top == "src" || top == "public") && rest == "":
		return hot.Use{Why: "the directory itself", Final: true}
	case top == "src" || top == "public":
		return hot.Use{Places: []hot.Place{{To: "/app/" + p, Only: top == "public"}}}
	case top == "vendor":
		return hot.Use{Why: "a program reads it", Final: true}
	}
	return hot.Use{}
}

// edit changes one path of a tree, and what has to change with it.
func edit(t *rapid.T, tree map[string]digest.Entry) {
	p := rapid.SampledFrom([]string{
		"src/a", "src/b", "src/d", "src/d/x", "src/d/y", "src/d/e", "src/d/e/z", "public/p", "public/q", "public/q/r", "public/q/s", "vendor/v", "README", "other/x",
	}).Draw(t, "path")
	if in, ok := tree[path.Dir(p)]; path.Dir(p) != "." && (!ok || in.Kind != digest.Dir) {
		return
	}
	drop := func(all bool) {
		for other := range tree {
			if strings.HasPrefix(other, p+"/") || all && other == p {
				delete(tree, other)
			}
		}
	}
	e := digest.Entry{Path: p}
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		drop(true)
		return
	case 1:
		e.Kind, e.Link = digest.Link, rapid.SampledFrom([]string{"a", "../b"}).Draw(t, "link")
		drop(false)
	case 2:
		e.Kind, e.Mode = digest.Dir, rapid.SampledFrom([]uint32{0o755, 0o700}).Draw(t, "mode")
	default:
		e.Kind, e.Mode = digest.File, rapid.SampledFrom([]uint32{0o644, 0o755}).Draw(t, "mode")
		e.Hash = sha256.Sum256([]byte{byte(rapid.IntRange(0, 2).Draw(t, "content"))})
		drop(false)
	}
	tree[p] = e
}

func manifest(tree map[string]digest.Entry) digest.Manifest {
	m := slices.Collect(maps.Values(tree))
	slices.SortFunc(m, func(a, b digest.Entry) int { return strings.Compare(a.Path, b.Path) })
	return m
}

// Whatever is edited, a container has after each change what a build of the tree would give it: also one that was started anew meanwhile, which
// has only what its image has.
func TestContainersHaveWhatABuildWouldGiveThem(t *testing.T) {
	ways := map[hot.Way]int{}
	rapid.Check(t, func(t *rapid.T) {
		s := hot.Service{Root: "/context", Use: uses}
		if rapid.Bool().Draw(t, "sync") {
			s.Sync = []hot.Rule{{From: "src", To: "/app/src"}}
		}
		if rapid.Bool().Draw(t, "nested") {
			s.Sync = append(s.Sync, hot.Rule{From: "src/d/e", To: "/app/src/d/e"}, hot.Rule{From: "public/p", To: "/app/public/p"})
		}
		tree := map[string]digest.Entry{}
		for _, p := range []string{"src", "public", "vendor", "other"} {
			tree[p] = digest.Entry{Path: p, Kind: digest.Dir, Mode: 0o755}
		}
		for range 8 {
			edit(t, tree)
		}
		base := manifest(tree)
		image, contains := build(base), base
		container, had := maps.Clone(image), hot.Held{}
		for range rapid.IntRange(1, 12).Draw(t, "changes") {
			for range rapid.IntRange(1, 3).Draw(t, "edits") {
				edit(t, tree)
			}
			now := manifest(tree)
			d := hot.Decide(s, base, contains, now)
			ways[d.Way]++
			switch d.Way {
			case hot.Full:
				base, contains, image = now, now, build(now)
				container, had = maps.Clone(image), nil
			case hot.Image:
				image = build(base)
				for _, f := range d.Layer {
					image.put(t, f, now)
				}
				contains = d.Contains
				container, had = maps.Clone(image), nil
			}
			if rapid.IntRange(0, 3).Draw(t, "restart") == 0 {
				container, had = maps.Clone(image), nil
			}
			missing, lost := s.Missing(d.Files, had, contains, now)
			if lost != "" {
				t.Fatalf("%s cannot be brought back", lost)
			}
			for _, f := range missing {
				container.put(t, f, now)
			}
			had = hot.Has(d.Files, now)
			if diff := cmp.Diff(build(now), container); diff != "" {
				t.Fatalf("after %s (-build +container):\n%s\n%+v", d.Way, diff, d)
			}
			if again, _ := s.Missing(d.Files, had, contains, now); len(again) > 0 {
				t.Fatalf("what was written is still missing: %v", again)
			}
		}
	})
	for _, way := range []hot.Way{hot.None, hot.Sync, hot.Image, hot.Full} {
		if ways[way] == 0 {
			t.Errorf("no change took the way %s", way)
		}
	}
}
