package dockerfile_test

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/dockerfile"
)

// tree is a context: directories end with a slash, links have their target behind an arrow.
func tree(paths ...string) dockerfile.Tree {
	kinds := map[string]digest.Kind{}
	var links []string
	for _, p := range paths {
		p, _, link := strings.Cut(p, "->")
		kind := digest.File
		if link {
			kind = digest.Link
			links = append(links, p)
		} else if strings.HasSuffix(p, "/") {
			kind = digest.Dir
		}
		p = strings.TrimSuffix(p, "/")
		kinds[p] = kind
		for d := path.Dir(p); d != "."; d = path.Dir(d) {
			kinds[d] = digest.Dir
		}
	}
	return dockerfile.Tree{Kind: func(p string) digest.Kind { return kinds[p] }, Links: links}
}

// describe is a use as text: "/app/x, /y 644 33:33 only", "nothing", "not provable (final): why".
func describe(u dockerfile.Use) string {
	var places []string
	for _, p := range u.Places {
		text := p.To
		if p.Mode != nil {
			text += fmt.Sprintf(" %o", *p.Mode)
		}
		if p.UID != 0 || p.GID != 0 {
			text += fmt.Sprintf(" %d:%d", p.UID, p.GID)
		}
		if p.Only {
			text += " only"
		}
		places = append(places, text)
	}
	slices.Sort(places)
	text := strings.Join(places, ", ")
	if u.Why != "" {
		whose := ""
		if u.Final {
			whose = " (final)"
		}
		text = strings.TrimPrefix(text+"; not provable"+whose+": "+u.Why, "; ")
	}
	if text == "" {
		return "nothing"
	}
	return text
}

func TestWhatBecomesOfAPath(t *testing.T) {
	const go2 = "FROM golang:1.26 AS build\nWORKDIR /src\nCOPY . .\nRUN go build -o /out/x .\nFROM scratch\n"
	context := []string{"src/a.php", "src/sub/b.php", "conf/x.ini", "README.md", "main.go", "go.mod", "cur->src", "assets/logo.png"}
	tests := []struct{ name, file, path, want string }{
		{"contents of a directory", "FROM php:8\nWORKDIR /app\nCOPY src src\n", "src/sub/b.php", "/app/src/sub/b.php"},
		{"nothing reads it", "FROM php:8\nWORKDIR /app\nCOPY src src\n", "README.md", "nothing"},
		{"all of the context", "FROM php:8\nCOPY . /app\n", "src/a.php", "/app/src/a.php"},
		{"on nothing it is alone", "FROM scratch\nCOPY src app\n", "src/a.php", "/app/a.php only"},
		{"but not with another there", "FROM scratch\nCOPY src /app\nCOPY conf /app/conf\n", "src/a.php", "/app/a.php"},
		{"a file into a directory", "FROM php:8\nCOPY conf/x.ini /etc/php/\n", "conf/x.ini", "/etc/php/x.ini"},
		{"a file under a name", "FROM php:8\nCOPY conf/x.ini /etc/php/y.ini\n", "conf/x.ini", "/etc/php/y.ini"},
		{"several files", "FROM php:8\nWORKDIR /app\nCOPY go.mod main.go ./\n", "main.go", "/app/main.go"},
		{"numbers for owner and mode", "FROM php:8\nCOPY --chown=33:34 --chmod=0640 src /app\n", "src/a.php", "/app/a.php 640 33:34"},
		{"a user alone is its own group", "FROM php:8\nCOPY --chown=33 src /app\n", "src/a.php", "/app/a.php 33:33"},
		{"a source with dots", "FROM php:8\nCOPY ./conf/../src/ /app/\n", "src/a.php", "/app/a.php"},
		{"a relative working directory", "FROM php:8\nWORKDIR /srv\nWORKDIR app\nCOPY src .\n", "src/a.php", "/srv/app/a.php"},
		{"twice, the same in the end", "FROM php:8\nWORKDIR /app\nCOPY main.go ./\nCOPY . .\n", "main.go", "/app/main.go"},
		{"in two places", "FROM php:8\nCOPY src /a\nCOPY src /b\n", "src/a.php", "/a/a.php, /b/a.php"},
		{"after a program that is not about it", "FROM php:8\nRUN mkdir /app\nCOPY src /app\n", "src/a.php", "/app/a.php"},
		{"in a stage that the last is from", "FROM php:8 AS base\nCOPY conf /etc/php\nFROM base\nCOPY src /app\n", "conf/x.ini", "/etc/php/x.ini"},
		{"beside a build stage that does not read it", "FROM golang:1.26 AS build\nCOPY main.go .\nRUN go build\nFROM scratch\nCOPY --from=build /x /x\nCOPY assets /assets\n", "assets/logo.png", "/assets/logo.png only"},
		{"a stage that is not needed", "FROM golang:1.26 AS test\nCOPY . .\nRUN go test\nFROM scratch\nCOPY assets /assets\n", "assets/logo.png", "/assets/logo.png only"},
		{"a program in a stage that goes on", "FROM php:8 AS app\nCOPY src /app\nFROM app\nRUN x\n", "src/a.php", "not provable (final): RUN in line 4 comes after it was copied"},
		{"a trigger of a local stage", "FROM php:8 AS base\nONBUILD COPY src /app\nFROM base\n", "src/a.php", "/app/a.php"},
		{"with a layer of its own", "FROM php:8\nCOPY --link src /app\n", "src/a.php", "/app/a.php"},

		{"compiled", go2 + "COPY --from=build /out/x /x\n", "main.go", "not provable: line 3 reads it in a stage that is copied from"},
		{"compiled and copied", go2 + "COPY --from=build /out/x /x\nCOPY assets /assets\n", "assets/logo.png", "/assets/logo.png only; not provable: line 3 reads it in a stage that is copied from"},
		{"a program runs afterwards", "FROM php:8\nCOPY src /app\nRUN composer install\n", "src/a.php", "not provable (final): RUN in line 3 comes after it was copied"},
		{"a program mounts it", "FROM php:8\nRUN --mount=type=bind,source=src,target=/x cp -r /x /y\n", "src/a.php", "not provable (final): RUN in line 2 mounts it"},
		{"a program mounts everything", "FROM php:8\nRUN --mount=target=/x cp -r /x /y\n", "README.md", "not provable (final): RUN in line 2 mounts it"},
		{"a build stage mounts it", "FROM php:8 AS b\nRUN --mount=target=/x cp -r /x /y\nFROM scratch\nCOPY --from=b /y /y\n", "README.md", "not provable: line 2 reads it in a stage that is copied from"},
		{"a pattern", "FROM php:8\nCOPY *.go /app/\n", "main.go", "not provable (final): line 2 copies by a pattern or a variable, *.go"},
		{"a pattern below a directory does not", "FROM php:8\nCOPY src/*.php /app/\n", "src/sub/b.php", "nothing"},
		{"a pattern may match it", "FROM php:8\nCOPY src/*.php /app/\n", "src/a.php", "not provable (final): line 2 copies by a pattern or a variable, src/*.php"},
		{"a pattern for other names", "FROM node:22\nWORKDIR /app\nCOPY package*.json *.go ./\nRUN npm ci\nCOPY src src\n", "src/a.php", "/app/src/a.php"},
		{"a pattern that may match a link", "FROM php:8\nCOPY cu? /app/\n", "README.md", "not provable (final): line 2 copies through a link, cu?"},
		{"a pattern for directories", "FROM php:8\nCOPY s*/sub /app/\n", "src/sub/b.php", "not provable (final): line 2 copies by a pattern or a variable, s*/sub"},
		{"a pattern of many levels", "FROM php:8\nCOPY src/**/x /app/\n", "src/a.php", "not provable (final): line 2 copies by a pattern or a variable, src/**/x"},
		{"a pattern elsewhere", "FROM php:8\nCOPY src/*.php /app/\n", "README.md", "nothing"},
		{"a variable in the source", "FROM php:8\nARG D=src\nCOPY $D /app/\n", "README.md", "not provable (final): line 3 copies by a pattern or a variable, $D"},
		{"a variable in the destination", "FROM php:8\nENV D=/app\nCOPY src $D\n", "src/a.php", "not provable (final): where line 3 copies it to depends on the base image or on variables"},
		{"the base image's working directory", "FROM php:8\nCOPY src src\n", "src/a.php", "not provable (final): where line 2 copies it to depends on the base image or on variables"},
		{"a name for the owner", "FROM php:8\nCOPY --chown=www-data src /app\n", "src/a.php", "not provable (final): --chown=www-data in line 2 is no number"},
		{"a mode in letters", "FROM php:8\nCOPY --chmod=u+x src /app\n", "src/a.php", "not provable (final): --chmod=u+x in line 2 is no octal number"},
		{"exceptions", "FROM php:8\nCOPY --exclude=*.md . /app\n", "src/a.php", "not provable (final): line 2 copies with --exclude"},
		{"parents", "FROM php:8\nCOPY --parents src /app\n", "src/a.php", "not provable (final): line 2 copies with --parents"},
		{"ADD", "FROM php:8\nADD src /app\n", "src/a.php", "not provable (final): ADD in line 2 may unpack it"},
		{"another instruction writes there", "FROM golang:1 AS b\nRUN x\nFROM php:8\nCOPY src /app\nCOPY --from=b /out /app/vendor\n", "src/a.php", "not provable (final): line 5 may write where it was copied to"},
		{"another file at its place", "FROM php:8\nCOPY src/a.php /app/x\nCOPY main.go /app/x\n", "src/a.php", "not provable (final): line 3 puts main.go at /app/x too"},
		{"through a link", "FROM php:8\nCOPY cur/a.php /app/\n", "src/a.php", "not provable (final): line 2 copies through a link, cur/a.php"},
		{"any path, where a link is copied", "FROM php:8\nCOPY cur /app\n", "README.md", "not provable (final): line 2 copies through a link, cur"},
		{"a source that is not there", "FROM php:8\nCOPY gone /app\n", "gone", "not provable (final): line 2 copies gone, which is not there"},
		{"the directory itself", "FROM php:8\nCOPY src /app\n", "src", "not provable (final): it is the directory itself that line 2 copies"},
		{"what is copied goes on in another stage", "FROM php:8 AS a\nCOPY src /app\nFROM a AS b\nRUN x\nFROM a\nCOPY --from=b /x /x\n", "src/a.php", "not provable (final): line 3 goes on from what was copied"},
		{"what is copied is copied on", "FROM php:8 AS a\nCOPY src /app\nFROM a\nCOPY --from=a /app /b\n", "src/a.php", "not provable (final): line 4 goes on from what was copied"},
		{"another frontend", "# syntax=example.com/other:1\nFROM php:8\nCOPY src /app\n", "src/a.php", "not provable (final): the frontend example.com/other:1 may read the Dockerfile in ways of its own"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			copies, err := dockerfile.ReadCopies([]byte(tt.file), "", nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := describe(copies.Of(tt.path, tree(context...))); got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.file, got, tt.want)
			}
		})
	}
}

func TestOnlyTheTargetCounts(t *testing.T) {
	const file = "FROM php:8 AS app\nCOPY src /app\nFROM app\nRUN x\n"
	copies, err := dockerfile.ReadCopies([]byte(file), "app", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := describe(copies.Of("src/a.php", tree("src/a.php"))); got != "/app/a.php" {
		t.Error(got)
	}
	if _, err := dockerfile.ReadCopies([]byte(file), "none", nil); err == nil {
		t.Error("a target that is not there is no error")
	}
}

// FuzzReadCopies looks for Dockerfiles that cannot be followed, and for places that are none.
func FuzzReadCopies(f *testing.F) {
	f.Add("FROM scratch\nCOPY a /b\n", "a")
	f.Add("FROM php:8 AS x\nONBUILD COPY . .\nFROM x\nWORKDIR /y\nCOPY --chown=1 --chmod=7 a/ b ./\nRUN --mount=type=bind,from=x y\n", "a/c")
	f.Add("FROM a AS b\nFROM b AS c\nCOPY --from=0 / /\nFROM c\nCOPY --from=b ../../.. /x/..\n", "c")
	f.Fuzz(func(t *testing.T, file, p string) {
		copies, err := dockerfile.ReadCopies([]byte(file), "", nil)
		if err != nil {
			return
		}
		for _, kind := range []digest.Kind{0, digest.File, digest.Dir, digest.Link} {
			u := copies.Of(p, dockerfile.Tree{Kind: func(string) digest.Kind { return kind }, Links: []string{"a/b"}})
			for _, place := range u.Places {
				if !path.IsAbs(place.To) || path.Clean(place.To) != place.To {
					t.Errorf("%q is put at %q", p, place.To)
				}
			}
			outputs, why := copies.Outputs([]string{p}, dockerfile.Tree{Kind: func(string) digest.Kind { return kind }})
			for _, o := range outputs {
				if !path.IsAbs(o.To) || path.Clean(o.To) != o.To || o.To == "/" || !path.IsAbs(o.From) {
					t.Errorf("%+v", o)
				}
			}
			if (why == "") != (len(outputs) > 0) {
				t.Errorf("%d outputs, and %q", len(outputs), why)
			}
			if e, err := dockerfile.ExtractOutputs([]byte(file), outputs); err == nil && len(outputs) > 0 {
				if _, err := dockerfile.Parse(e.Dockerfile, e.Target, nil); err != nil {
					t.Error(err)
				}
			}
			if u.Final && (u.Why == "" || len(u.Places) > 0) {
				t.Errorf("%+v", u)
			}
		}
	})
}
