package hot_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/hot"
)

// context reads a tree from text: "src/", "src/a=1", "src/l->a", each sorted in by itself; a mode may follow behind a colon.
func context(entries ...string) digest.Manifest {
	var m digest.Manifest
	for _, text := range entries {
		e := digest.Entry{Kind: digest.File, Mode: 0o644}
		text, mode, moded := strings.Cut(text, ":")
		path, content, _ := strings.Cut(text, "=")
		if name, target, link := strings.Cut(path, "->"); link {
			path, e.Kind, e.Link, e.Mode = name, digest.Link, target, 0
		} else if dir, is := strings.CutSuffix(path, "/"); is {
			path, e.Kind, e.Mode = dir, digest.Dir, 0o755
		} else {
			e.Hash = sha256.Sum256([]byte(content))
		}
		if moded {
			fmt.Sscanf(mode, "%o", &e.Mode)
		}
		e.Path = path
		m = append(m, e)
	}
	slices.SortFunc(m, func(a, b digest.Entry) int { return strings.Compare(a.Path, b.Path) })
	return m
}

// show is a decision as text.
func show(d hot.Decision) string {
	text := string(d.Way)
	if d.Way == hot.Full {
		return text + ": " + d.Reason
	}
	if d.Compile {
		text += " compile"
	}
	if len(d.Built) > 0 {
		text += " built by " + strings.Join(d.Built, ",")
	}
	one := func(f hot.File) string {
		switch {
		case f.Gone:
			return "-" + f.To
		case f.Kind == digest.Dir:
			return f.To + "/"
		case f.Kind == digest.Link:
			return f.To + "->" + f.Link
		}
		return strings.TrimPrefix(f.From, "/root/") + ">" + f.To
	}
	for _, f := range d.Layer {
		text += " " + one(f)
	}
	for _, f := range d.Files {
		text += " sync:" + one(f.File)
	}
	return text
}

// copies is a Use by prefix of the path: "src" → "/app/src", "!src" → not provable, "?src" → input of a compilation.
func copies(rules map[string]string, only bool) func(string, digest.Manifest) hot.Use {
	return func(path string, _ digest.Manifest) hot.Use {
		for prefix, to := range rules {
			rest, ok := strings.CutPrefix(path, strings.TrimLeft(prefix, "!?"))
			switch {
			case !ok:
			case prefix[0] == '!':
				return hot.Use{Why: to, Final: true}
			case prefix[0] == '?':
				return hot.Use{Why: to}
			default:
				return hot.Use{Places: []hot.Place{{To: to + rest, Only: only}}}
			}
		}
		return hot.Use{}
	}
}

func TestDecide(t *testing.T) {
	rules := []hot.Rule{{From: "src", To: "/app/src"}, {From: "src/conf/app.ini", To: "/etc/", Signal: "HUP"}}
	use := map[string]string{"src": "/app/src", "public": "/app/public", "!vendor": "RUN comes after it", "?cmd": "it is compiled"}
	base := context("src/", "src/a=1", "src/conf/", "src/conf/app.ini=1", "public/", "public/x=1", "vendor/", "vendor/v=1", "cmd/", "cmd/m=1", "README=1")
	edit := func(edits ...string) digest.Manifest {
		entries := map[string]digest.Entry{}
		for _, e := range base {
			entries[e.Path] = e
		}
		for _, edit := range edits {
			if gone, is := strings.CutPrefix(edit, "-"); is {
				delete(entries, gone)
				continue
			}
			for _, e := range context(edit) {
				entries[e.Path] = e
			}
		}
		var m digest.Manifest
		for _, e := range entries {
			m = append(m, e)
		}
		slices.SortFunc(m, func(a, b digest.Entry) int { return strings.Compare(a.Path, b.Path) })
		return m
	}
	tests := []struct {
		name    string
		now     digest.Manifest
		image   digest.Manifest // nil: base
		compile bool
		outputs string // why they cannot be built by themselves; "-": they can
		only    bool
		want    string
	}{
		{name: "nothing", now: base, want: "none"},
		{name: "what no instruction reads", now: edit("README=2"), want: "none"},
		{name: "a synced file", now: edit("src/a=2"), want: "sync sync:src/a>/app/src/a"},
		{name: "its mode", now: edit("src/a=1:755"), want: "sync sync:src/a>/app/src/a"},
		{name: "the longest rule counts", now: edit("src/conf/app.ini=2"), want: "sync sync:src/conf/app.ini>/etc/app.ini"},
		{name: "a new directory with a link", now: edit("src/n/", "src/n/l->../a"), want: "sync sync:/app/src/n/ sync:/app/src/n/l->../a"},
		{name: "a removed file", now: edit("-src/a"), want: "sync sync:-/app/src/a"},
		{name: "a removed directory from below which a file goes elsewhere", now: edit("-src/conf", "-src/conf/app.ini"), want: "sync sync:-/app/src/conf sync:-/etc/app.ini"},
		{name: "a synced file and one that is not read", now: edit("src/a=2", "README=2"), want: "sync sync:src/a>/app/src/a"},
		{name: "a copied file", now: edit("public/x=2"), want: "image public/x>/app/public/x"},
		{name: "both: all in one layer", now: edit("public/x=2", "src/a=2"), want: "image public/x>/app/public/x src/a>/app/src/a"},
		{name: "what is only synced is synced again", now: edit("public/x=2", "src/conf/app.ini=2"), want: "image public/x>/app/public/x src/conf/app.ini>/app/src/conf/app.ini sync:src/conf/app.ini>/etc/app.ini"},
		{name: "a copied file removed where others may have put one", now: edit("-public/x"), want: "full: public/x removed, and something else may have put a file at /app/public/x"},
		{name: "and where nobody can", now: edit("-public/x"), only: true, want: "image -/app/public/x"},
		{name: "a directory that becomes a file", now: edit("-public/x", "public=2"), only: true, want: "image public>/app/public"},
		{name: "not provable", now: edit("vendor/v=2"), want: "full: vendor/v: RUN comes after it"},
		{name: "compiled in the Dockerfile", now: edit("cmd/m=2"), want: "full: cmd/m: it is compiled"},
		{name: "compiled here", now: edit("cmd/m=2"), compile: true, want: "image compile"},
		{name: "compiled here, but not all", now: edit("cmd/m=2", "vendor/v=2"), compile: true, want: "full: vendor/v: RUN comes after it"},
		{name: "synced on top of what was compiled", now: edit("cmd/m=2", "src/a=2"), image: edit("cmd/m=2"), compile: true, want: "sync sync:src/a>/app/src/a"},
		{name: "compiled after something was copied: both in one layer on the base", now: edit("cmd/m=2", "public/x=2"), image: edit("public/x=2"), compile: true, want: "image compile public/x>/app/public/x"},
		{name: "built by stages that are copied from", now: edit("cmd/m=2"), outputs: "-", want: "image built by cmd/m"},
		{name: "what they make is no file", now: edit("cmd/m=2"), outputs: "it is a directory", want: "full: cmd/m: it is compiled, and it is a directory"},
		{name: "they and a copied file", now: edit("cmd/m=2", "public/x=2"), outputs: "-", want: "image built by cmd/m public/x>/app/public/x"},
		{name: "after something was copied: both in one layer", now: edit("cmd/m=2", "public/x=2"), image: edit("public/x=2"), outputs: "-", want: "image built by cmd/m public/x>/app/public/x"},
		{name: "they, but not all", now: edit("cmd/m=2", "vendor/v=2"), outputs: "-", want: "full: vendor/v: RUN comes after it"},
		{name: "what is declared to be compiled here is", now: edit("cmd/m=2"), compile: true, outputs: "-", want: "image compile"},
		{name: "all back as it was: the base", now: base, image: edit("public/x=2"), want: "image"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := hot.Service{Root: "/root", Sync: rules, Compile: tt.compile, Use: copies(use, tt.only)}
			if tt.outputs != "" {
				s.Outputs = func([]string, digest.Manifest) string { return strings.TrimPrefix(tt.outputs, "-") }
			}
			if tt.image == nil {
				tt.image = base
			}
			d := hot.Decide(s, base, tt.image, tt.now)
			if got := show(d); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestTwoFilesAtOnePlace(t *testing.T) {
	s := hot.Service{Root: "/root", Sync: []hot.Rule{{From: "a", To: "/x"}, {From: "b", To: "/x"}}, Use: copies(map[string]string{"!": "anything"}, false)}
	d := hot.Decide(s, context("a/", "a/f=1", "b/", "b/f=1"), context("a/", "a/f=1", "b/", "b/f=1"), context("a/", "a/f=2", "b/", "b/f=1"))
	if got := show(d); got != "full: a/f and b/f are both synced to /x/f" {
		t.Error(got)
	}
}

func TestADirectoryTakesNothingOfOthersWithIt(t *testing.T) {
	s := hot.Service{Root: "/root", Sync: []hot.Rule{{From: "a", To: "/x"}, {From: "b", To: "/x/sub/deep"}}, Use: copies(map[string]string{"!": "anything"}, false)}
	before := context("a/", "a/sub/", "a/sub/f=1", "b/", "b/f=1")
	d := hot.Decide(s, before, before, context("a/", "b/", "b/f=1"))
	if got := show(d); got != "full: a/sub is gone, and b is below it in containers" {
		t.Error(got)
	}
}
