package digest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devenv-run/devenv/devenv/digest"
)

func inputs() digest.Inputs {
	return digest.Inputs{
		Context: digest.Manifest{
			{Path: "Dockerfile", Kind: digest.File, Mode: 0o644, Hash: [32]byte{9}},
			{Path: "cmd", Kind: digest.Dir, Mode: 0o755},
			{Path: "cmd/main.go", Kind: digest.File, Mode: 0o644, Hash: [32]byte{1}},
			{Path: "latest", Kind: digest.Link, Link: "v1"},
			{Path: "run.sh", Kind: digest.File, Mode: 0o755, Hash: [32]byte{2}},
		},
		Dockerfile: []byte("FROM golang:1.26-bookworm"), Args: map[string]string{"VERSION": "1", "TOKEN": "s3cret"},
		Platform: "linux/amd64", Bases: map[string]string{"golang:1.26-bookworm": "sha256:aaa"}, Secrets: []string{"npm"},
		Dir: "services/grades", DockerfilePath: "services/grades/Dockerfile",
	}
}

func TestDiffSaysWhatChanged(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*digest.Inputs)
		want   []string
	}{
		{"nothing", func(*digest.Inputs) {}, nil},
		{"content", func(in *digest.Inputs) { in.Context[2].Hash[0] = 7 }, []string{"services/grades/cmd/main.go changed"}},
		{"mode", func(in *digest.Inputs) { in.Context[4].Mode = 0o644 }, []string{"services/grades/run.sh mode changed from 755 to 644"}},
		{"link", func(in *digest.Inputs) { in.Context[3].Link = "v2" }, []string{"services/grades/latest changed"}},
		{"kind", func(in *digest.Inputs) { in.Context[3] = digest.Entry{Path: "latest", Kind: digest.Dir} }, []string{"services/grades/latest changed"}},
		{"added", func(in *digest.Inputs) {
			in.Context = append(in.Context, digest.Entry{Path: "src/a.go", Kind: digest.File})
		}, []string{"services/grades/src/a.go added"}},
		{"removed", func(in *digest.Inputs) { in.Context = in.Context[:4] }, []string{"services/grades/run.sh removed"}},
		{"Dockerfile, which is in the context", func(in *digest.Inputs) {
			in.Dockerfile, in.Context[0].Hash[0] = []byte("FROM scratch"), 8
		}, []string{"services/grades/Dockerfile changed"}},
		{"Dockerfile, which is not", func(in *digest.Inputs) {
			in.Dockerfile, in.DockerfilePath = []byte("FROM scratch"), "build/Dockerfile"
		}, []string{"build/Dockerfile changed"}},
		{"Dockerfile without a path", func(in *digest.Inputs) {
			in.Dockerfile, in.DockerfilePath = []byte("FROM scratch"), ""
		}, []string{"Dockerfile changed"}},
		{"argument", func(in *digest.Inputs) { in.Args["VERSION"] = "2" }, []string{"argument VERSION changed"}},
		{"arguments", func(in *digest.Inputs) { in.Args = map[string]string{"NEW": "", "VERSION": "1"} }, []string{"argument NEW added", "argument TOKEN removed"}},
		{"base", func(in *digest.Inputs) { in.Bases["golang:1.26-bookworm"] = "sha256:bbb" }, []string{"base image golang:1.26-bookworm changed"}},
		{"target", func(in *digest.Inputs) { in.Target = "debug" }, []string{"target changed from the last stage to debug"}},
		{"platform", func(in *digest.Inputs) { in.Platform = "linux/arm64" }, []string{"platform changed from linux/amd64 to linux/arm64"}},
		{"secrets", func(in *digest.Inputs) { in.Secrets = nil }, []string{"build secrets changed"}},
		{"everything at once, in order", func(in *digest.Inputs) {
			in.Context = digest.Manifest{{Path: "a", Kind: digest.File}, {Path: "cmd", Kind: digest.Dir, Mode: 0o700}}
			in.Args["VERSION"], in.Platform = "2", ""
		}, []string{
			"services/grades/cmd mode changed from 755 to 700", "services/grades/a added", "services/grades/Dockerfile removed",
			"services/grades/cmd/main.go removed", "services/grades/latest removed", "services/grades/run.sh removed",
			"argument VERSION changed", "platform changed from linux/amd64 to none",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, now := inputs(), inputs()
			c.change(&now)
			if diff := cmp.Diff(c.want, digest.Diff(stored(t, before), now.Summary())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// stored is a summary after its way through the state directory.
func stored(t *testing.T, in digest.Inputs) digest.Summary {
	t.Helper()
	text, err := json.Marshal(in.Summary())
	must(t, err)
	var s digest.Summary
	must(t, json.Unmarshal(text, &s))
	return s
}

func TestSince(t *testing.T) {
	before, now := inputs(), inputs()
	now.Args["VERSION"] = "2"
	text, err := json.Marshal(before.Summary())
	must(t, err)
	if changes, err := digest.Since(text, before.Summary()); err != nil || changes != nil {
		t.Error(changes, err)
	}
	// It does not decode what has the digest already.
	if changes, err := digest.Since(text[:len(text)-1], before.Summary()); err != nil || changes != nil {
		t.Error(changes, err)
	}
	if changes, err := digest.Since(text, now.Summary()); err != nil || digest.Cause(changes) != "argument VERSION changed" {
		t.Error(changes, err)
	}
	if _, err := digest.Since(text[:len(text)-1], now.Summary()); err == nil {
		t.Error("no error for half a file")
	}
}

func TestSummaryKeepsNoValues(t *testing.T) {
	text, err := json.Marshal(inputs().Summary())
	must(t, err)
	for _, value := range []string{"s3cret", "FROM"} {
		if strings.Contains(string(text), value) {
			t.Errorf("%q is in %s", value, text)
		}
	}
}

func TestCause(t *testing.T) {
	for _, c := range []struct {
		changes []string
		want    string
	}{
		{nil, ""},
		{[]string{"a changed"}, "a changed"},
		{[]string{"a changed", "b added", "c removed", "d removed"}, "a changed and 3 more"},
	} {
		if got := digest.Cause(c.changes); got != c.want {
			t.Errorf("%v: %q", c.changes, got)
		}
	}
}

func FuzzDiff(f *testing.F) {
	text, err := json.Marshal(inputs().Summary())
	must(f, err)
	f.Add(text, []byte(`{"digest":"x","files":{"cmd/main.go":"","run.sh":":","x":"f"}}`))
	f.Fuzz(func(t *testing.T, before, now []byte) {
		var a, b digest.Summary
		if json.Unmarshal(before, &a) != nil || json.Unmarshal(now, &b) != nil {
			return
		}
		changes := digest.Diff(a, b)
		if (len(changes) == 0) != (a.Digest == b.Digest) {
			t.Errorf("digests %q and %q, changes %q", a.Digest, b.Digest, changes)
		}
	})
}
