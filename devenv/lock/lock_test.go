package lock_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/lock"
)

var update = flag.Bool("update", false, "write what the tests get as what they want")

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

// sum is a digest that is easy to tell from others.
func sum(c string) string { return "sha256:" + strings.Repeat(c, 64) }

const amd, arm = "linux/amd64", "linux/arm64"

// found is a project with everything that a lock can hold.
func found() lock.Found {
	return lock.Found{
		NodeImages: []lock.Use{
			{Name: "kindest/node:v1.36.3", Default: true, Platform: amd, Where: "devenv.yaml:5:1", Pin: lock.Pin{ID: sum("1"), Digests: []string{sum("a")}}},
			{Name: "kindest/node:v1.35.0", Platform: amd, Where: "devenv.yaml:30:1", Pin: lock.Pin{Digests: []string{sum("b"), sum("c")}}},
		},
		BaseImages: []lock.Use{
			{Name: "golang:1.26-bookworm", Platform: amd, Where: "services/grades/Dockerfile:1", Pin: lock.Pin{ID: sum("2")}},
			{Name: "alpine:3.22", Platform: amd, Where: "services/web/Dockerfile:9", Pin: lock.Pin{ID: sum("3"), Digests: []string{sum("d")}}},
		},
		Images: []lock.Use{
			{Name: "registry.example.com:5000/team/redis:8.2", Platform: amd, Where: "StatefulSet/academy/redis", Pin: lock.Pin{Digests: []string{sum("e")}}},
			{Name: "postgres:17@" + sum("f"), Platform: amd, Where: "StatefulSet/academy/postgres", Pin: lock.Pin{Digests: []string{sum("f")}}},
		},
		Charts: []lock.Chart{
			{Chart: "deploy/chart", Name: "redis", Version: "20.1.0", Repository: "https://charts.example.com/stable", Digest: sum("8")},
			{Chart: "deploy/chart", Name: "common", Version: "1.0.0", Repository: "file://../common", Digest: sum("9")},
		},
		ChartLocks: []lock.ChartLock{{Chart: "deploy/chart", Digest: sum("7")}},
	}
}

func TestText(t *testing.T) {
	f := new(lock.File).Update(found())
	golden(t, "full.lock", string(f.Text()))
	golden(t, "empty.lock", string(new(lock.File).Text()))
	if f.Len() != 9 || f.Locals() != 1 {
		t.Error(f.Len(), f.Locals())
	}
	if got := f.DefaultNodeImage(amd); got != "kindest/node:v1.36.3@"+sum("a") {
		t.Error(got)
	}
}

func TestNames(t *testing.T) {
	for ref, want := range map[string]string{
		"nginx":                         "nginx:latest",
		"docker.io/library/postgres:17": "postgres:17",
		"docker.io/team/x":              "team/x:latest",
		"registry.example.com/x:1":      "registry.example.com/x:1",
		"redis:8@" + sum("a"):           "redis:8@" + sum("a"),
		"not a reference":               "not a reference",
	} {
		if got := lock.Name(ref); got != want {
			t.Errorf("%s: %s", ref, got)
		}
	}
	for ref, want := range map[string][2]string{
		"kindest/node:v1@" + sum("a"): {"kindest/node:v1", sum("a")},
		"kindest/node@" + sum("a"):    {"kindest/node", sum("a")},
		"docker.io/kindest/node:v1":   {"kindest/node:v1", ""},
		"?":                           {"?", ""},
	} {
		if name, digest := lock.Split(ref); name != want[0] || digest != want[1] {
			t.Errorf("%s: %s %s", ref, name, digest)
		}
	}
}

// What is locked is found again; every way in which it can be another one is told, with what to do.
func TestMismatch(t *testing.T) {
	f := new(lock.File).Update(found())
	if d := append(f.Compare(found()), f.Outline(found())...); len(d) > 0 {
		t.Fatal(d)
	}
	now := found()
	now.NodeImages[0].Name, now.NodeImages[0].Pin = "devenv/node:v1.36.3", lock.Pin{ID: sum("5")}
	now.BaseImages[0].Pin.ID = sum("6")
	now.BaseImages[1].Pin = lock.Pin{ID: sum("3")}
	now.Images[0].Pin, now.Images[0].Unknown = lock.Pin{}, "not in the Docker Engine, and devenv is offline"
	now.Images[1] = lock.Use{Name: "busybox:1", Platform: amd, Where: "Job/academy/seed", Pin: lock.Pin{Digests: []string{sum("0")}}}
	now.Charts[0].Version, now.Charts[0].Digest = "20.2.0", sum("0")
	now.Charts[1].Name = "uncommon"
	now.ChartLocks[0].Digest = sum("0")
	drifts := append(f.Compare(now), f.Outline(now)...)
	err := lock.Mismatch("devenv.lock", drifts)
	if fault.Of(err) != fault.Mismatch || fault.Of(lock.Missing("devenv.lock")) != fault.Mismatch {
		t.Error("not a mismatch")
	}
	golden(t, "mismatch.txt", err.Error()+"\n"+err.Detail+"\nNext: "+err.Next+"\n\n"+lock.Summary(drifts)+"\n")
	if !drifts[3].Unknown || drifts[0].Unknown {
		t.Errorf("%+v", drifts)
	}
	one := lock.Mismatch("devenv.lock", drifts[:1])
	if one.What != "the lock does not match: one entry differs" {
		t.Error(one.What)
	}
}

// An image may have several digests in its registry, or be here without any registry saying so.
func TestWhatHolds(t *testing.T) {
	use := func(pin lock.Pin, platform string) lock.Found {
		return lock.Found{BaseImages: []lock.Use{{Name: "a:1", Platform: platform, Pin: pin}}}
	}
	registry := new(lock.File).Update(use(lock.Pin{ID: sum("1"), Digests: []string{sum("b")}}, amd))
	local := new(lock.File).Update(use(lock.Pin{ID: sum("1")}, amd))
	for _, c := range []struct {
		name  string
		file  *lock.File
		found lock.Found
		ok    bool
	}{
		{"one of several digests", registry, use(lock.Pin{ID: sum("1"), Digests: []string{sum("a"), sum("b")}}, amd), true},
		{"a registry's digest covers platforms", registry, use(lock.Pin{ID: sum("2"), Digests: []string{sum("b")}}, arm), true},
		{"the same image, but nobody says under which digest", registry, use(lock.Pin{ID: sum("1")}, amd), false},
		{"a local image that a registry knows by now", local, use(lock.Pin{ID: sum("1"), Digests: []string{sum("b")}}, amd), true},
		{"a local image of another platform", local, use(lock.Pin{ID: sum("1")}, arm), false},
		{"another local image", local, use(lock.Pin{ID: sum("2")}, amd), false},
		{"nothing known", local, use(lock.Pin{}, amd), false},
	} {
		if d := c.file.Compare(c.found); (len(d) == 0) != c.ok {
			t.Errorf("%s: %+v", c.name, d)
		}
	}

	// A digest that still holds stays, whichever machine has which others; local pins of two platforms stand side by side.
	kept := registry.Update(use(lock.Pin{Digests: []string{sum("a"), sum("b")}}, arm))
	if diff := cmp.Diff(registry.Text(), kept.Text()); diff != "" {
		t.Error(diff)
	}
	both := local.Update(use(lock.Pin{ID: sum("2")}, arm))
	if len(both.BaseImages) != 2 || len(both.Compare(use(lock.Pin{ID: sum("1")}, amd))) > 0 || len(both.Compare(use(lock.Pin{ID: sum("2")}, arm))) > 0 {
		t.Errorf("%s", both.Text())
	}
	if known := both.Update(use(lock.Pin{ID: sum("2"), Digests: []string{sum("b")}}, arm)); len(known.BaseImages) != 1 || known.Locals() > 0 {
		t.Errorf("%s", known.Text())
	}
}

func TestChanges(t *testing.T) {
	before := new(lock.File).Update(found())
	now := found()
	now.BaseImages[0].Pin.ID = sum("6")
	now.Images = now.Images[:1]
	now.Charts = append(now.Charts, lock.Chart{Chart: "b", Name: "x", Version: "1.0.0", Digest: sum("a")})
	want := []lock.Change{
		{What: "image postgres:17@" + sum("f"), Before: sum("f")},
		{What: "base image golang:1.26-bookworm for linux/amd64", Before: sum("2") + " (local image ID)", After: sum("6") + " (local image ID)"},
		{What: "dependency x of chart b", After: "1.0.0 " + sum("a")},
	}
	if diff := cmp.Diff(want, before.Changes(before.Update(now))); diff != "" {
		t.Error(diff)
	}
	if got := before.Changes(before.Update(found())); len(got) > 0 {
		t.Error(got)
	}
}

func TestParseErrors(t *testing.T) {
	digest := sum("a")
	var got strings.Builder
	for _, c := range []struct{ name, text string }{
		{"nothing", ""},
		{"a comment", "# nothing\n"},
		{"a text", "hello\n"},
		{"no version", "images: []\n"},
		{"no number", "version: one\n"},
		{"a newer version", "version: 2\nanything: {else: true}\n"},
		{"two documents", "version: 1\n---\nversion: 1\n"},
		{"not YAML", "version: 1\nimages: [\n"},
		{"a tab", "version: 1\nimages:\n\t- {}\n"},
		{"a conflict", "version: 1\nimages:\n<<<<<<< HEAD\n  - {image: a:1, digest: " + digest + "}\n=======\n  - {image: a:2, digest: " + digest + "}\n>>>>>>> theirs\n"},
		{"the middle of a conflict", "version: 1\n=======\r\n"},
		{"everything at once", `version: 1
nodeImages:
  - {image: n:1, digest: ` + digest + `, default: true}
  - {image: n:2, digest: ` + digest + `, default: true}
  - {image: n:3, digest: ` + digest + `, default: false}
baseImages:
  - {image: b:1}
  - {digest: abc}
  - {image: [b], digest: ` + digest + `}
  - {image: b:4, digest: ` + digest + `, digest: x, colour: red}
  - {image: b:5, digest: ` + digest + `, local: true}
  - {image: b:6, digest: ` + digest + `, default: true}
  - {image: b:7, digest: ` + digest + `}
  - {image: b:7, digest: ` + digest + `}
  - b:8
images: {a: b}
charts:
  - {chart: c, name: d, digest: ` + digest + `}
  - {chart: c, name: d, digest: ` + digest + `}
  - {chart: c}
chartLocks:
  - {chart: c, digest: ""}
extra: 1
`},
	} {
		_, err := lock.Parse("devenv.lock", []byte(c.text))
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Config || f.Next == "" || !strings.HasPrefix(f.Where, "devenv.lock:") {
			t.Fatalf("%s: %#v", c.name, err)
		}
		got.WriteString("== " + c.name + "\n" + strings.TrimSpace(f.Error()+"\n"+f.Detail) + "\n")
	}
	golden(t, "errors.txt", strings.ReplaceAll(got.String(), digest, "sha256:aaa"))
}

func TestParseIsLenientWhereItCanBe(t *testing.T) {
	const text = "\ufeff# mine\r\nversion: 1\r\nimages:\r\n    - image: a:1\r\n      digest: \"sha256:0123456789abcdef0123456789abcdef\"\r\n"
	f, err := lock.Parse("devenv.lock", []byte(text))
	if err != nil || len(f.Images) != 1 || f.Images[0].Line != 4 {
		t.Errorf("%+v %v", f, err)
	}
}

// anything draws what a project may use.
func anything(t *rapid.T) lock.Found {
	digests := rapid.SampledFrom([]string{sum("a"), sum("b"), sum("c")})
	words := rapid.SampledFrom([]string{"a", "b/c", "true", "1.0", "x, y", "- z", "file://../é", "@alias", "#", "null", ""})
	image := rapid.Custom(func(t *rapid.T) lock.Use {
		u := lock.Use{Name: rapid.SampledFrom([]string{"a:1", "b:1", "x.example.com:80/c:v1@" + sum("c")}).Draw(t, "name"), Platform: amd}
		u.Pin = lock.Pin{ID: digests.Draw(t, "id")}
		if rapid.Bool().Draw(t, "known") {
			u.Pin.Digests = rapid.SliceOfNDistinct(digests, 1, 2, rapid.ID).Draw(t, "digests")
		}
		return u
	})
	images := rapid.SliceOfNDistinct(image, 0, 3, func(u lock.Use) string { return u.Name })
	chart := rapid.Custom(func(t *rapid.T) lock.Chart {
		return lock.Chart{
			Chart: "c" + words.Draw(t, "chart"), Name: "n" + words.Draw(t, "name"), Version: words.Draw(t, "version"), Repository: words.Draw(t, "repository"),
			Digest: digests.Draw(t, "digest"),
		}
	})
	f := lock.Found{NodeImages: images.Draw(t, "nodes"), BaseImages: images.Draw(t, "bases"), Images: images.Draw(t, "images")}
	if len(f.NodeImages) > 0 {
		f.NodeImages[0].Default = rapid.Bool().Draw(t, "default")
	}
	f.Charts = rapid.SliceOfNDistinct(chart, 0, 4, func(c lock.Chart) string { return c.Chart + " " + c.Name }).Draw(t, "charts")
	for _, c := range f.Charts {
		f.ChartLocks = append(f.ChartLocks, lock.ChartLock{Chart: c.Chart, Digest: sum("d")})
	}
	return f
}

// Whatever a project uses: its lock is read as it was written, matches what it was made from, and making it again changes no byte.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		uses, before := anything(t), new(lock.File).Update(anything(t))
		f := before.Update(uses)
		text := f.Text()
		read, err := lock.Parse("devenv.lock", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		withoutLine := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Line" }, cmp.Ignore())
		if diff := cmp.Diff(f, read, withoutLine, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
		if d := append(read.Compare(uses), read.Outline(uses)...); len(d) > 0 {
			t.Fatalf("%+v\n%s", d, text)
		}
		if again := read.Update(uses).Text(); !bytes.Equal(text, again) {
			t.Fatal(cmp.Diff(string(text), string(again)))
		}
		if c := read.Changes(f); len(c) > 0 {
			t.Fatal(c)
		}
		if (len(before.Changes(f)) == 0) != bytes.Equal(before.Text(), text) {
			t.Fatalf("%v\n%s\n%s", before.Changes(f), before.Text(), text)
		}
	})
}

// FuzzParse feeds any bytes as a lock: it never panics, every error has a place, and what is accepted is written and read again.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"full.lock", "empty.lock"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, text := range []string{"", "version: 1\nimages: [&a {image: x, digest: *a}]\n", "version: 2", "<<<<<<< a\n", "version: 1\nimages: *x\n", "a: &a [*a]"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := lock.Parse("devenv.lock", data)
		if err != nil {
			var known *fault.Error
			if !errors.As(err, &known) || known.Kind != fault.Config || !strings.HasPrefix(known.Where, "devenv.lock:") || known.Next == "" {
				t.Fatalf("%#v", err)
			}
			return
		}
		text := file.Text()
		again, err := lock.Parse("devenv.lock", text)
		if err != nil || !bytes.Equal(text, again.Text()) {
			t.Fatalf("%v\n%s", err, text)
		}
	})
}
