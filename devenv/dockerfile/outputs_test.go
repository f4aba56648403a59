package dockerfile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/devenv-run/devenv/devenv/dockerfile"
)

// describeOutputs is outputs as text: "0:/out/x > /x, 1:/y > /bin/y into 1:2 755", or why there are none.
func describeOutputs(outputs []dockerfile.Output, why string) string {
	if why != "" {
		return "not provable: " + why
	}
	var all []string
	for _, o := range outputs {
		text := fmt.Sprintf("%d:%s > %s", o.Stage, o.From, o)
		if o.Into {
			text += " into"
		}
		all = append(all, strings.Join(strings.Fields(text+" "+o.Chown+" "+o.Chmod), " "))
	}
	return strings.Join(all, ", ")
}

func TestWhatTheTargetTakesOfOtherStages(t *testing.T) {
	const build = "FROM golang:1.26 AS build\nWORKDIR /src\nCOPY . .\nRUN go build -o /out/x .\n"
	context := []string{"main.go", "go.mod", "web/app.ts", "web/package.json", "conf/x.ini", "bin/x"}
	tests := []struct{ name, file, path, want string }{
		{"a file", build + "FROM scratch\nCOPY --from=build /out/x /x\nENTRYPOINT [\"/x\"]\n", "main.go", "0:/out/x > /x"},
		{"by the number of the stage", build + "FROM scratch\nCOPY --from=0 /out/x /x\n", "main.go", "0:/out/x > /x"},
		{"owner and mode", build + "FROM scratch\nCOPY --from=build --chown=1000:1001 --chmod=0755 /out/x /x\n", "main.go", "0:/out/x > /x 1000:1001 0755"},
		{"a relative source is below the root", build + "FROM scratch\nCOPY --from=build out/x /x\n", "main.go", "0:/out/x > /x"},
		{"into a directory", build + "FROM debian:12\nCOPY --from=build /out/x /usr/bin/\n", "main.go", "0:/out/x > /usr/bin/x into"},
		{"into the working directory", build + "FROM debian:12\nWORKDIR /app\nCOPY --from=build /out/x .\n", "main.go", "0:/out/x > /app/x into"},
		{"several", build + "FROM debian:12\nCOPY --from=build /out/x /out/y /bin/\n", "main.go", "0:/out/x > /bin/x into, 0:/out/y > /bin/y into"},
		{"one after the other", build + "FROM debian:12\nCOPY --from=build /out/x /bin/\nCOPY --from=build /out/y /bin/\n", "main.go", "0:/out/x > /bin/x into, 0:/out/y > /bin/y into"},
		{"a layer of its own", build + "FROM debian:12\nCOPY --link --from=build /out/x /x\n", "main.go", "0:/out/x > /x"},
		{"in a stage that the target is from", build + "FROM debian:12 AS app\nCOPY --from=build /out/x /x\nFROM app\nCOPY conf /conf\n", "main.go", "0:/out/x > /x"},
		{"through another stage", build + "FROM debian:12 AS strip\nCOPY --from=build /out/x /x\nRUN strip /x\nFROM scratch\nCOPY --from=strip /x /x\n", "main.go", "1:/x > /x"},
		{"through a mount of another stage", build + "FROM debian:12 AS strip\nRUN --mount=from=build,target=/b strip -o /x /b/out/x\nFROM scratch\nCOPY --from=strip /x /x\n", "main.go", "1:/x > /x"},
		{"only of the stages that read it", "FROM node:22 AS web\nCOPY web .\nRUN build\nFROM golang:1.26 AS build\nCOPY main.go .\nRUN go build -o /x\nFROM scratch\nCOPY --from=web /dist /dist/\nCOPY --from=build /x /x\n", "main.go", "1:/x > /x"},
		{"nothing of the context is at its place", build + "FROM scratch\nWORKDIR /app\nCOPY --from=build /out/y .\nCOPY bin .\n", "main.go", "0:/out/y > /app/y into"},
		{"beside a program that ran before", build + "FROM debian:12\nRUN apt-get install x\nCOPY --from=build /out/x /x\n", "main.go", "0:/out/x > /x"},
		{"beside a mount of another stage", "FROM debian:12 AS tools\nRUN x\n" + build + "FROM debian:12\nRUN --mount=from=tools,target=/t /t/x\nCOPY --from=build /out/x /x\n", "main.go", "1:/out/x > /x"},
		{"beside an image", build + "FROM debian:12\nCOPY --from=busybox /bin/busybox /bin/\nCOPY --from=build /out/x /bin/\n", "main.go", "0:/out/x > /bin/x into"},

		{"a program runs afterwards", build + "FROM debian:12\nCOPY --from=build /out/x /x\nRUN setcap x /x\n", "main.go", "not provable: RUN in line 7 comes after it was copied"},
		{"a program mounts the stage", build + "FROM debian:12\nRUN --mount=from=build,target=/b cp /b/out/x /x\nCOPY --from=build /out/y /y\n", "main.go", "not provable: RUN in line 6 mounts the stage"},
		{"a pattern", build + "FROM debian:12\nCOPY --from=build /out/* /bin/\n", "main.go", "not provable: line 6 copies by a pattern or a variable, /out/*"},
		{"a variable", build + "FROM debian:12\nARG O=/out\nCOPY --from=build $O/x /x\n", "main.go", "not provable: line 7 copies by a pattern or a variable, $O/x"},
		{"a variable in the destination", build + "FROM debian:12\nENV D=/x\nCOPY --from=build /out/x $D\n", "main.go", "not provable: where line 7 copies to depends on the base image or on variables"},
		{"the base image's working directory", build + "FROM debian:12\nCOPY --from=build /out/x .\n", "main.go", "not provable: where line 6 copies to depends on the base image or on variables"},
		{"a directory", build + "FROM debian:12\nCOPY --from=build /out/ /bin/\n", "main.go", "not provable: line 6 copies a directory, /out/"},
		{"all of a stage", build + "FROM scratch\nCOPY --from=build / /\n", "main.go", "not provable: line 6 copies a directory, /"},
		{"a name for the owner", build + "FROM debian:12\nCOPY --from=build --chown=app /out/x /x\n", "main.go", "not provable: --chown=app in line 6 is no number"},
		{"a mode in letters", build + "FROM debian:12\nCOPY --from=build --chmod=+x /out/x /x\n", "main.go", "not provable: --chmod=+x in line 6 is no octal number"},
		{"parents", build + "FROM debian:12\nCOPY --parents --from=build /out/x /\n", "main.go", "not provable: line 6 copies with --parents"},
		{"exceptions", build + "FROM debian:12\nCOPY --exclude=y --from=build /out/x /\n", "main.go", "not provable: line 6 copies with --exclude"},
		{"twice to one place", build + "FROM debian:12\nCOPY --from=build /out/x /x\nCOPY --from=build /out/y /x\n", "main.go", "not provable: line 7 may write to /x too"},
		{"two of one name", build + "FROM debian:12\nCOPY --from=build /a/x /b/x /bin/\n", "main.go", "not provable: line 6 may write to /bin/x too"},
		{"an image may write there", build + "FROM debian:12\nCOPY --from=build /out/x /bin/x\nCOPY --from=busybox /bin /bin\n", "main.go", "not provable: line 7 may write to /bin/x too"},
		{"a stage that does not read it may write there", "FROM debian:12 AS tools\nRUN x\n" + build + "FROM debian:12\nCOPY --from=build /out/x /bin/x\nCOPY --from=tools /t /bin/\n", "main.go", "not provable: line 9 may write to /bin/x too"},
		{"a file of the context is put there", build + "FROM scratch\nWORKDIR /app\nCOPY --from=build /out/x .\nCOPY bin .\n", "main.go", "not provable: line 8 puts bin/x at /app/x too"},
		{"a pattern may put something there", build + "FROM scratch\nWORKDIR /app\nCOPY --from=build /out/x .\nCOPY bin/* .\n", "main.go", "not provable: line 8 may write to /app/x too"},
		{"an archive", build + "FROM scratch\nCOPY --from=build /out/x /x\nADD conf /\n", "main.go", "not provable: line 7 may write to /x too"},
		{"what is taken goes on", build + "FROM debian:12 AS a\nCOPY --from=build /out/x /x\nFROM a AS b\nRUN y\nFROM a\nCOPY --from=b /y /y\n", "main.go", "not provable: line 7 goes on from what was copied"},
		{"the name of the target", "ARG TARGETSTAGE\n" + build + "FROM scratch\nCOPY --from=build /out/x /x\n", "main.go", "not provable: the Dockerfile may ask which target is built (TARGETSTAGE)"},
		{"another frontend", "# syntax=example.com/other:1\n" + build + "FROM scratch\nCOPY --from=build /out/x /x\n", "main.go", "not provable: the frontend example.com/other:1 may read the Dockerfile in ways of its own"},
		{"nothing is read", "FROM golang:1.26 AS build\nCOPY main.go .\nFROM scratch\nCOPY --from=build /x /x\n", "conf/x.ini", "not provable: no COPY takes what the stage makes of it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			copies, err := dockerfile.ReadCopies([]byte(tt.file), "", nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := describeOutputs(copies.Outputs([]string{tt.path}, tree(context...))); got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.file, got, tt.want)
			}
		})
	}
}

func TestAStageForOutputs(t *testing.T) {
	outputs := []dockerfile.Output{{Stage: 1, From: "/out/x", To: "/bin/x", Chown: "1:2", Chmod: "755"}, {Stage: 0, From: `/a b"c`, To: "/y"}}
	const stage = "COPY --from=1 --chown=1:2 --chmod=755 [\"/out/x\",\"/0\"]\nCOPY --from=0 [\"/a b\\\"c\",\"/1\"]\n"
	tests := []struct {
		name, file, want string
		line             int
	}{
		{"at the end", "FROM a\nFROM b\n", "FROM a\nFROM b\nFROM scratch AS devenv-outputs\n" + stage, 3},
		{"after a line without an end", "FROM a\nFROM b", "FROM a\nFROM b\nFROM scratch AS devenv-outputs\n" + stage, 3},
		{"beside a stage of the name", "FROM a AS Devenv-Outputs\nFROM b\n", "FROM a AS Devenv-Outputs\nFROM b\nFROM scratch AS devenv-outputs-2\n" + stage, 3},
		{"with another escape character", "# escape=`\nFROM a\nFROM b\nRUN x `\n  y\n", "# escape=`\nFROM a\nFROM b\nRUN x `\n  y\nFROM scratch AS devenv-outputs\n" + stage, 6},
		{"not after a line that goes on", "FROM a\nFROM b\nRUN x \\", "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := dockerfile.ExtractOutputs([]byte(tt.file), outputs)
			if tt.want == "" {
				if err == nil {
					t.Errorf("no error for\n%s", e.Dockerfile)
				}
				return
			}
			if err != nil || string(e.Dockerfile) != tt.want || e.Line != tt.line {
				t.Errorf("line %d, %v\n%s", e.Line, err, e.Dockerfile)
			}
			if _, err := dockerfile.Parse(e.Dockerfile, e.Target, nil); err != nil {
				t.Error(err)
			}
		})
	}
}
