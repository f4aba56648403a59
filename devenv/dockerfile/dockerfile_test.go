package dockerfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/devenv-run/devenv/devenv/dockerfile"
	"github.com/devenv-run/devenv/devenv/fault"
)

func TestParseFindsWhatATargetDependsOn(t *testing.T) {
	const multi = `ARG GO=1.26
ARG BASE=golang:${GO}-bookworm
FROM --platform=$BUILDPLATFORM ${BASE} AS build
RUN go build ./...
FROM node:22 AS assets
FROM build AS test
RUN --mount=type=bind,from=redis:7,target=/redis go test ./...
FROM scratch AS final
COPY --from=build /app /app
COPY --from=Assets /dist /dist
COPY --from=registry.example.com/ca-certificates:2 /etc/ssl /etc/ssl
`
	const onbuild = "FROM debian:12 AS base\nONBUILD COPY --from=busybox:1 /bin/sh /bin/sh\nFROM base\n"
	host := "linux/" + runtime.GOARCH
	for _, c := range []struct {
		name, text, target string
		args               map[string]string
		want               []string // line reference platform
	}{
		{name: "one stage", text: "FROM debian:bookworm-slim\nRUN true\n", want: []string{"1 debian:bookworm-slim "}},
		{name: "no tag", text: "FROM debian\n", want: []string{"1 debian:latest "}},
		{name: "digest", text: "FROM debian@sha256:" + strings.Repeat("a", 64), want: []string{"1 debian@sha256:" + strings.Repeat("a", 64) + " "}},
		{name: "written out", text: "FROM docker.io/library/debian:12\n", want: []string{"1 debian:12 "}},
		{name: "scratch", text: "FROM scratch\nCOPY . /\n"},
		{name: "last stage", text: multi, want: []string{"3 golang:1.26-bookworm " + host, "5 node:22 ", "11 registry.example.com/ca-certificates:2 "}},
		{name: "target", text: multi, target: "test", want: []string{"3 golang:1.26-bookworm " + host, "7 redis:7 "}},
		{name: "target in another case", text: multi, target: "ASSETS", want: []string{"5 node:22 "}},
		{name: "argument", text: multi, target: "build", args: map[string]string{"GO": "1.25"}, want: []string{"3 golang:1.25-bookworm " + host}},
		{name: "argument that replaces", text: multi, target: "build", args: map[string]string{"BASE": "go:x"}, want: []string{"3 go:x " + host}},
		{name: "argument that nobody declared", text: "ARG A\nFROM debian:${A:-12}${B}\n", args: map[string]string{"B": "x"}, want: []string{"2 debian:12 "}},
		{name: "platform's arguments", text: "FROM base:$TARGETARCH\n", want: []string{"1 base:" + runtime.GOARCH + " "}},
		{name: "platform's argument given", text: "FROM base:$TARGETARCH\n", args: map[string]string{"TARGETARCH": "riscv64"}, want: []string{"1 base:riscv64 "}},
		{name: "target stage's argument", text: "FROM base:$TARGETSTAGE AS a\n", target: "a", want: []string{"1 base:a "}},
		{name: "stage by number", text: "FROM a:1\nFROM b:1\nFROM c:1\nCOPY --from=1 /x /x\n", want: []string{"2 b:1 ", "3 c:1 "}},
		{name: "same image twice", text: "FROM a:1 AS x\nFROM a:1\nCOPY --from=x /x /x\n", want: []string{"1 a:1 "}},
		{name: "a stage hides an image of its name", text: "FROM a:1 AS redis\nFROM redis\n", want: []string{"1 a:1 "}},
		{name: "a stage of its own name is an image", text: "FROM redis AS redis\n", want: []string{"1 redis:latest "}},
		{name: "trigger of a stage", text: onbuild, want: []string{"1 debian:12 ", "3 busybox:1 "}},
		{name: "escape directive", text: "# escape=`\nFROM a:1 `\n AS x\n", want: []string{"2 a:1 "}},
		{name: "check directive of an instruction", text: "FROM a:1\n# check=skip=all\nRUN true\n", want: []string{"1 a:1 "}},
		{name: "heredoc", text: "FROM a:1\nRUN <<EOF\nFROM b:1\nEOF\n", want: []string{"1 a:1 "}},
		{name: "cache mount has no image", text: "FROM a:1\nRUN --mount=type=cache,target=/root/.cache true\n", want: []string{"1 a:1 "}},
		{name: "local argument is not for FROM", text: "FROM a:1\nARG V=2\nFROM b:${V:-3}\n", want: []string{"3 b:3 "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := dockerfile.Parse([]byte(c.text), c.target, c.args)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, b := range f.Bases {
				got = append(got, fmt.Sprintf("%d %s %s", b.Line, b.Ref, b.Platform))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseForAnotherPlatform(t *testing.T) {
	f, err := dockerfile.ParseFor([]byte("FROM --platform=$TARGETPLATFORM base:$TARGETARCH$TARGETVARIANT\n"), "", "linux/arm/v7", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]dockerfile.Base{{Ref: "base:armv7", Platform: "linux/arm/v7", Line: 1}}, f.Bases); diff != "" {
		t.Error(diff)
	}
}

func TestParseSaysWhereItFails(t *testing.T) {
	for _, c := range []struct{ name, text, target, want string }{
		{"empty", "", "", "Dockerfile: the Dockerfile is not valid: file with no instructions"},
		{"no stage", "ARG A=1\n", "", "Dockerfile: the Dockerfile is not valid: the Dockerfile has no stage"},
		{"instruction", "FROM a:1\nRUNN true\n", "", "Dockerfile:2: the Dockerfile is not valid: dockerfile parse error on line 2: unknown instruction: RUNN"},
		{"before FROM", "RUN true\nFROM a:1\n", "", "Dockerfile:1: the Dockerfile is not valid: no build stage in current context"},
		{"target", "FROM a:1 AS x\nFROM b:1\n", "y", `Dockerfile: the Dockerfile is not valid: there is no stage "y"; the stages are x, number 1`},
		{"empty base", "ARG A\nFROM $A\n", "", "Dockerfile:2: the Dockerfile is not valid: the base image $A is empty with these build arguments"},
		{"reference", "FROM a:1\nCOPY --from=UPPER:1 /a /a\n", "", `Dockerfile:2: the Dockerfile is not valid: "UPPER:1" is no image reference: invalid reference format: repository name (library/UPPER) must be lowercase`},
		{"argument in --from", "ARG A=b:1\nFROM a:1\nCOPY --from=$A /a /a\n", "", "Dockerfile:3: the Dockerfile is not valid: --from=$A: an argument cannot be used here; give the image a stage of its own with FROM"},
		{"number", "FROM a:1\nCOPY --from=1 /a /a\n", "", "Dockerfile:2: the Dockerfile is not valid: --from=1: there is no stage of that number before this one"},
		{"substitution", "FROM a:${A\n", "", "Dockerfile:1: the Dockerfile is not valid: "},
		{"heredoc without end", "FROM a:1\nRUN <<EOF\ntrue\n", "", "Dockerfile:2: the Dockerfile is not valid: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := dockerfile.Parse([]byte(c.text), c.target, nil)
			var e *dockerfile.Error
			if !errors.As(err, &e) {
				t.Fatalf("%v", err)
			}
			f := e.Fault("Dockerfile")
			if got := f.Error(); !strings.HasPrefix(got, c.want) || f.Kind != fault.Build {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// syntaxes are Dockerfiles with a syntax line and what they are without it.
var syntaxes = []struct{ name, text, syntax, want string }{
	{"none", "FROM a\n", "", "FROM a\n"},
	{"alone", "# syntax=docker/dockerfile:1\nFROM a\n", "docker/dockerfile:1", "\nFROM a\n"},
	{"spaces", "#   syntax = docker/dockerfile:1  \nFROM a\n", "docker/dockerfile:1", "\nFROM a\n"},
	{"before others", "# syntax=x/y:1\n# escape=`\n# check=skip=all\nFROM a\n", "x/y:1", "# escape=`\n# check=skip=all\n\nFROM a\n"},
	{"between others", "# escape=`\n# syntax=x/y:1\n# check=skip=all\nFROM a\n", "x/y:1", "# escape=`\n# check=skip=all\n\nFROM a\n"},
	{"after others", "# escape=`\n# syntax=x/y:1\nFROM a\n", "x/y:1", "# escape=`\n\nFROM a\n"},
	{"after a comment it is a comment", "# hello\n# syntax=x/y:1\nFROM a\n", "", "# hello\n# syntax=x/y:1\nFROM a\n"},
	{"carriage returns", "# syntax=x/y:1\r\nFROM a\r\n", "x/y:1", "\nFROM a\r\n"},
	{"byte order mark", "\xef\xbb\xbf# syntax=x/y:1\nFROM a\n", "x/y:1", "\nFROM a\n"},
	{"shebang", "#!/usr/bin/env build\n# syntax=x/y:1\nFROM a\n", "x/y:1", "#!/usr/bin/env build\n\nFROM a\n"},
	{"without end of line", "# syntax=x/y:1", "x/y:1", "\n"},
}

func TestWithoutSyntax(t *testing.T) {
	for _, c := range syntaxes {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, string(dockerfile.WithoutSyntax([]byte(c.text)))); diff != "" {
				t.Error(diff)
			}
			if f, err := dockerfile.Parse([]byte(c.text), "", nil); err == nil && f.Syntax != c.syntax {
				t.Errorf("syntax %q", f.Syntax)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range syntaxes {
		f.Add([]byte(c.text), "", "A", "1")
	}
	f.Add([]byte("ARG A\nFROM $A AS x\nFROM scratch\nCOPY --from=x / /\nRUN --mount=from=b true\n"), "x", "A", "b:2")
	f.Fuzz(func(t *testing.T, data []byte, target, name, value string) {
		file, err := dockerfile.Parse(data, target, map[string]string{name: value})
		var e *dockerfile.Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("%T: %v", err, err)
		}
		without := dockerfile.WithoutSyntax(data)
		if err != nil || file.Syntax == "" {
			return
		}
		// What is left means the same, line by line, and asks for no frontend.
		if syntax, _, _, found := parser.DetectSyntax(without); found {
			t.Fatalf("still asks for %s: %q", syntax, without)
		}
		if before, after := dump(t, data), dump(t, without); before != after {
			t.Fatalf("before:\n%s\nafter:\n%s", before, after)
		}
	})
}

// dump is the parsed form of a Dockerfile with the lines of its instructions.
func dump(t *testing.T, data []byte) string {
	result, err := parser.Parse(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, n := range result.AST.Children {
		fmt.Fprintln(&b, n.StartLine, n.EndLine, n.Dump())
	}
	return b.String()
}
