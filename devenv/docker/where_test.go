package docker

import "testing"

func TestStepLine(t *testing.T) {
	const dockerfile = `# syntax=docker/dockerfile:1
ARG GO=1.26
FROM golang:${GO} AS build
WORKDIR /src
COPY go.mod ./
ENV X=1
RUN go mod download && \
    go vet ./...
COPY --from=example.com/tools:2 /bin/tool /bin/
RUN echo $X

FROM debian:12
COPY --from=build /src/app /app
RUN echo same

FROM build AS test
RUN echo same
RUN <<EOF
go test ./...
EOF
`
	tests := map[string]int{
		"[build 2/6] WORKDIR /src":                                              4,
		"[build 4/6] RUN go mod download && go vet ./...":                       7,
		"[build 6/6] RUN echo 1":                                                10, // variables are expanded in names
		"[stage-1 2/3] COPY --from=build /src/app /app":                         13,
		"[stage-1 3/3] RUN echo same":                                           14,
		"[linux/arm64 stage-1 3/3] RUN echo same":                               14,
		"[3/3] RUN echo same":                                                   14,
		"[test 1/2] RUN echo same":                                              17,
		"[test 2/2] RUN <<EOF (go test ./...)":                                  18,
		"[build 2/7] WORKDIR /src":                                              0, // another Dockerfile's
		"[other 2/6] WORKDIR /src":                                              0,
		"[build 2/6] RUN something":                                             0,
		"[internal] load metadata for docker.io/library/debian:12":              12,
		"[linux/amd64 internal] load metadata for debian:12":                    12,
		"[internal] load metadata for example.com/tools:2":                      9,
		"[internal] load metadata for example.com/absent:2":                     0,
		"resolve image config for docker.io/docker/dockerfile:1":                1,
		"resolve image config for docker-image://docker.io/docker/dockerfile:1": 1,
		"[internal] load build context":                                         0,
		"exporting to image":                                                    0,
		"":                                                                      0,
	}
	for name, want := range tests {
		if got := stepLine([]byte(dockerfile), name); got != want {
			t.Errorf("%q: line %d, want %d", name, got, want)
		}
	}
	if got := stepLine([]byte("FROM scratch\nFOO\n"), "[1/1] COPY a /"); got != 0 {
		t.Errorf("line %d", got)
	}
}

func FuzzStepLine(f *testing.F) {
	f.Add([]byte("FROM scratch AS a\nRUN x\nFROM a\nCOPY --from=b c d\n"), "[a 1/1] RUN x")
	f.Add([]byte("# syntax=a\nFROM\nADD"), "[internal] load metadata for x")
	f.Fuzz(func(t *testing.T, dockerfile []byte, name string) {
		if line := stepLine(dockerfile, name); line < 0 {
			t.Errorf("line %d", line)
		}
	})
}
