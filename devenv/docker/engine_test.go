package docker

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/devenv-run/devenv/devenv/fault"
)

// fakeEngine answers requests on a socket, by "METHOD path" without the API version; what it does not know is not found.
func fakeEngine(t *testing.T, answers map[string]http.HandlerFunc, configuration string) *Engine {
	t.Helper()
	e, err := openFake(t, answers, configuration)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func openFake(t *testing.T, answers map[string]http.HandlerFunc, configuration string) (*Engine, error) {
	t.Helper()
	dir := t.TempDir()
	socket, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]http.HandlerFunc{
		"HEAD /_ping":  says(http.StatusOK, ""),
		"GET /version": says(http.StatusOK, `{"Version":"20.10.24","Os":"linux","Arch":"amd64"}`),
	}
	for k, v := range answers {
		all[k] = v
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		path := strings.TrimPrefix(r.URL.Path, "/v1.41")
		if answer, ok := all[r.Method+" "+path]; ok {
			answer(w, r)
			return
		}
		says(http.StatusNotFound, `{"message":"No such image"}`)(w, r)
	}))
	server.Listener.Close()
	server.Listener = socket
	server.Start()
	t.Cleanup(server.Close)
	if configuration != "" {
		write(t, dir, map[string]string{"config.json": configuration})
	}
	return open(t.Context(), lookUp(map[string]string{"DOCKER_HOST": "unix://" + socket.Addr().String()}), dir)
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func TestOpen(t *testing.T) {
	e := fakeEngine(t, nil, "")
	if e.Platform() != "linux/amd64" || e.api.ClientVersion() != "1.41" {
		t.Errorf("platform %s, API %s", e.Platform(), e.api.ClientVersion())
	}
	if got := strings.Join(e.Environ(), " "); got != "DOCKER_HOST="+e.endpoint.host+" DOCKER_CONTEXT= DOCKER_DEFAULT_PLATFORM=" {
		t.Errorf("environ %s", got)
	}

	_, err := openFake(t, map[string]http.HandlerFunc{"GET /version": says(http.StatusOK, `{"Os":"windows","Arch":"amd64"}`)}, "")
	checkFault(t, err, fault.Machine, "windows containers")
	_, err = openFake(t, nil, "{")
	checkFault(t, err, fault.Machine, "config.json")
	_, err = open(t.Context(), lookUp(map[string]string{"DOCKER_HOST": "unix:///no/such/socket"}), t.TempDir())
	checkFault(t, err, fault.Machine, "unix:///no/such/socket")
	_, err = open(t.Context(), lookUp(map[string]string{"DOCKER_HOST": "nonsense"}), t.TempDir())
	checkFault(t, err, fault.Machine, "nonsense")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = open(ctx, lookUp(map[string]string{"DOCKER_HOST": e.endpoint.host}), t.TempDir()); fault.Of(err) != fault.Interrupted {
		t.Errorf("got %v", err)
	}
}

func checkFault(t *testing.T, err error, kind fault.Kind, words ...string) *fault.Error {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != kind || f.Next == "" {
		t.Errorf("got %+v, want a fault of kind %v that says what to do", err, kind)
		return &fault.Error{}
	}
	for _, w := range words {
		if !strings.Contains(f.Error()+f.Where+f.Next, w) {
			t.Errorf("%q\n%q\ndo not say %q", f.Error(), f.Next, w)
		}
	}
	return f
}

func TestResolve(t *testing.T) {
	const (
		id    = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
		known = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
		other = "sha256:3333333333333333333333333333333333333333333333333333333333333333"
	)
	inspected := func(digests ...string) http.HandlerFunc {
		d, _ := json.Marshal(digests)
		return says(http.StatusOK, `{"Id":"`+id+`","RepoDigests":`+string(d)+`}`)
	}
	tests := map[string]struct {
		ref     string
		answers map[string]http.HandlerFunc
		digest  string
		local   bool
		kind    fault.Kind
		says    []string
	}{
		"held, and known to its repository": {
			ref: "debian:12", digest: known, local: true,
			answers: map[string]http.HandlerFunc{"GET /images/docker.io/library/debian:12/json": inspected("mirror.example.com/debian@"+other, "debian@"+known)},
		},
		"held under several digests": {
			ref: "debian", digest: known, local: true,
			answers: map[string]http.HandlerFunc{"GET /images/docker.io/library/debian:latest/json": inspected("debian@"+other, "debian@"+known)},
		},
		"held, known to nobody": {
			ref: "example.com/a/b:1", digest: id, local: true,
			answers: map[string]http.HandlerFunc{"GET /images/example.com/a/b:1/json": inspected()},
		},
		"not held": {
			ref: "debian:12", digest: known,
			answers: map[string]http.HandlerFunc{
				"GET /distribution/docker.io/library/debian:12/json": says(http.StatusOK, `{"Descriptor":{"digest":"`+known+`"}}`),
			},
		},
		"by digest":           {ref: "debian:12@" + known, digest: known},
		"not a reference":     {ref: "Debian", kind: fault.Config, says: []string{"Debian"}},
		"not in the registry": {ref: "debian:13", kind: fault.Config, says: []string{"debian:13", "docker login docker.io"}},
		"private": {
			ref: "example.com/a:1", kind: fault.Config, says: []string{"docker login example.com"},
			answers: map[string]http.HandlerFunc{
				"GET /distribution/example.com/a:1/json": says(http.StatusUnauthorized, `{"message":"unauthorized: authentication required"}`),
			},
		},
		"no network": {
			ref: "example.com/a:1", kind: fault.Machine, says: []string{"no such host", "docker load"},
			answers: map[string]http.HandlerFunc{
				"GET /distribution/example.com/a:1/json": says(http.StatusInternalServerError, `{"message":"Get \"https://example.com/v2/\": dial tcp: lookup example.com: no such host"}`),
			},
		},
		"a certificate of nobody": {
			ref: "example.com/a:1", kind: fault.Machine, says: []string{"unknown authority"},
			answers: map[string]http.HandlerFunc{
				"GET /distribution/example.com/a:1/json": says(http.StatusInternalServerError, `{"message":"x509: certificate signed by unknown authority"}`),
			},
		},
		"an engine in trouble": {
			ref: "example.com/a:1", kind: fault.Machine, says: []string{"disk is full", "docker system df"},
			answers: map[string]http.HandlerFunc{
				"GET /images/example.com/a:1/json": says(http.StatusInternalServerError, `{"message":"write /x: no space left on device"}`),
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := fakeEngine(t, test.answers, "")
			digest, local, err := e.Resolve(t.Context(), test.ref)
			if test.kind != fault.Internal {
				checkFault(t, err, test.kind, test.says...)
				return
			}
			if err != nil || digest != test.digest || local != test.local {
				t.Errorf("got %s, %v, %v", digest, local, err)
			}
		})
	}
}

func TestCredentialsOfTheUser(t *testing.T) {
	var got map[string]string
	e := fakeEngine(t, map[string]http.HandlerFunc{
		"GET /distribution/example.com/a:1/json": func(w http.ResponseWriter, r *http.Request) {
			data, err := base64.URLEncoding.DecodeString(r.Header.Get("X-Registry-Auth"))
			if err != nil || json.Unmarshal(data, &got) != nil {
				t.Errorf("credentials %q: %v", data, err)
			}
			says(http.StatusOK, `{"Descriptor":{"digest":"sha256:1"}}`)(w, r)
		},
	}, `{"auths":{"example.com":{"auth":"`+base64.StdEncoding.EncodeToString([]byte("ann:pass"))+`"}}}`)
	if _, _, err := e.Resolve(t.Context(), "example.com/a:1"); err != nil {
		t.Fatal(err)
	}
	if got["username"] != "ann" || got["password"] != "pass" {
		t.Errorf("got %v", got)
	}
	e = fakeEngine(t, nil, `{"credHelpers":{"example.com":"devenv-no-such-helper"}}`)
	_, _, err := e.Resolve(t.Context(), "example.com/a:1")
	checkFault(t, err, fault.Machine, "docker-credential-devenv-no-such-helper", "docker login example.com")
}

func TestPull(t *testing.T) {
	stream := `{"status":"Pulling from library/debian","id":"12"}
{"status":"Downloading","id":"a","progressDetail":{"current":1000000,"total":2000000}}
{"status":"Downloading","id":"b","progressDetail":{"current":500000,"total":1000000}}
{"status":"Extracting","id":"a","progressDetail":{"current":1,"total":2}}
{"status":"Downloading","id":"a","progressDetail":{"current":2000000,"total":2000000}}
`
	var l lines
	e := fakeEngine(t, map[string]http.HandlerFunc{"POST /images/create": says(http.StatusOK, stream)}, "")
	if err := e.Pull(t.Context(), "debian:12", l.add); err != nil {
		t.Fatal(err)
	}
	if want := "pulling debian:12, 1MB of 2MB\npulling debian:12, 1.5MB of 3MB\npulling debian:12, 2.5MB of 3MB"; l.String() != want {
		t.Errorf("got\n%s\nwant\n%s", l.String(), want)
	}

	tests := map[string]struct {
		answer http.HandlerFunc
		kind   fault.Kind
		says   string
	}{
		"not there": {says(http.StatusNotFound, `{"message":"manifest for debian:12 not found: manifest unknown"}`), fault.Config, "Check the name"},
		"an error later": {
			says(http.StatusOK, stream+`{"errorDetail":{"message":"write /var/lib/x: no space left on device"},"error":"x"}`), fault.Machine, "disk is full",
		},
		"an account that breaks off": {says(http.StatusOK, stream+`{"status":`), fault.Machine, "unexpected EOF"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := fakeEngine(t, map[string]http.HandlerFunc{"POST /images/create": test.answer}, "")
			checkFault(t, e.Pull(t.Context(), "debian:12", func(string) {}), test.kind, test.says)
		})
	}
	checkFault(t, e.Pull(t.Context(), "Debian", func(string) {}), fault.Config, "Debian")
}

func TestImages(t *testing.T) {
	e := fakeEngine(t, map[string]http.HandlerFunc{
		"GET /images/a:1/json": says(http.StatusOK, `{"Id":"sha256:a"}`),
		"GET /images/json": func(w http.ResponseWriter, r *http.Request) {
			if got := r.URL.Query().Get("filters"); got != `{"label":{"run.devenv.service=a":true}}` {
				t.Errorf("filters %s", got)
			}
			says(http.StatusOK, `[{"Id":"sha256:a","RepoTags":["a:1"],"Created":1700000000,"Size":5,"Labels":{"run.devenv.service":"a"}},{"Id":"sha256:b","RepoTags":["<none>:<none>"]}]`)(w, r)
		},
		"DELETE /images/a:1":  says(http.StatusOK, `[]`),
		"DELETE /images/used": says(http.StatusConflict, `{"message":"image is being used by running container 0123"}`),
	}, "")
	held, err := e.Images(t.Context(), []string{"a:1", "b:1"})
	if err != nil || len(held) != 1 || held["a:1"] != "sha256:a" {
		t.Errorf("got %v, %v", held, err)
	}
	list, err := e.ImagesByLabel(t.Context(), "run.devenv.service=a")
	if err != nil || len(list) != 2 || list[0].Tags[0] != "a:1" || list[0].Size != 5 || list[0].Created.Unix() != 1700000000 || len(list[1].Tags) != 0 {
		t.Errorf("got %+v, %v", list, err)
	}
	if err := e.Remove(t.Context(), []string{"a:1", "gone"}); err != nil {
		t.Error(err)
	}
	checkFault(t, e.Remove(t.Context(), []string{"used", "a:1"}), fault.Machine, "used", "docker ps -a")
}

func TestExport(t *testing.T) {
	e := fakeEngine(t, map[string]http.HandlerFunc{
		"GET /images/get": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("names") == "broken" {
				w.Header().Set("Content-Length", "100")
				fmt.Fprint(w, "half")
				return
			}
			fmt.Fprint(w, "archive of ", r.URL.Query()["names"])
		},
	}, "")
	var b bytes.Buffer
	if err := e.Export(t.Context(), []string{"a:1", "b:1"}, &b); err != nil || b.String() != "archive of [a:1 b:1]" {
		t.Errorf("got %q, %v", b.String(), err)
	}
	full := errors.New("full")
	if err := e.Export(t.Context(), []string{"a:1"}, failingWriter{full}); err != full {
		t.Errorf("got %v", err)
	}
	checkFault(t, e.Export(t.Context(), []string{"broken"}, &b), fault.Machine, "unexpected EOF")
}

func TestBuildWithoutBuildKit(t *testing.T) {
	e := fakeEngine(t, nil, "")
	b := Build{Service: "grades", Ref: "grades:1", Context: t.TempDir(), Dockerfile: []byte("FROM scratch\n"), DockerfileName: "Dockerfile"}
	checkFault(t, e.Build(t.Context(), b, func(string) {}), fault.Machine, "offers no BuildKit", "20.10")
	os.Remove(strings.TrimPrefix(e.endpoint.host, "unix://"))
	e.Close()
	checkFault(t, e.Build(t.Context(), b, func(string) {}), fault.Machine, "stopped answering")
}

func TestInfo(t *testing.T) {
	e := fakeEngine(t, map[string]http.HandlerFunc{"GET /info": says(http.StatusOK, `{
		"ServerVersion":"29.0.0","OperatingSystem":"Docker Desktop","CgroupVersion":"2","CgroupDriver":"cgroupfs","NCPU":4,"MemTotal":8000000000,
		"SecurityOptions":["name=seccomp,profile=builtin","name=rootless","name=cgroupns"],
		"Driver":"overlayfs","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]]}`)}, "")
	i, err := e.Info(t.Context())
	if err != nil || !i.Rootless || i.UserNamespace || !i.ContainerdStore || i.CgroupVersion != "2" || i.CPUs != 4 || i.Memory != 8e9 {
		t.Errorf("got %+v, %v", i, err)
	}
}
