package devenv

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/devenv-run/devenv/devenv/docker"
	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/lock"
	"github.com/devenv-run/devenv/devenv/plan"
	"github.com/devenv-run/devenv/devenv/render"
)

const (
	lockedNode   = "example.com/node:v1.36.3"
	lockedRedis  = "registry.example.com/lock/redis:8"
	lockedDigest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
)

// lockedProject is a project on an engine that holds no image and whose registries answer for all.
type lockedProject struct {
	dir string
	// fails is which of the coming questions for the node image the engine fails to answer, counted from 1; 0 is none.
	fails atomic.Int32
}

func newLockedProject(t *testing.T) *lockedProject {
	t.Helper()
	l := &lockedProject{dir: t.TempDir()}
	answers := map[string]string{
		"/_ping":                                 "",
		"/version":                               `{"Version":"28.0.0","Os":"linux","Arch":"amd64"}`,
		"/distribution/" + lockedNode + "/json":  `{"Descriptor":{"digest":"` + lockedDigest + `"}}`,
		"/distribution/" + lockedRedis + "/json": `{"Descriptor":{"digest":"` + lockedDigest + `"}}`,
	}
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		w.Header().Set("Content-Type", "application/json")
		path := strings.TrimPrefix(r.URL.Path, "/v1.41")
		text, ok := answers[path]
		switch {
		case ok:
			fmt.Fprint(w, text)
		case path == "/images/"+lockedNode+"/json" && l.fails.Add(-1) == 0:
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, `{"message":"the disk is on fire"}`)
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"message":"No such image"}`)
		}
	}))
	t.Cleanup(engine.Close)
	for _, name := range []string{"DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_API_VERSION"} {
		t.Setenv(name, "")
	}
	t.Setenv("DOCKER_HOST", "tcp://"+engine.Listener.Addr().String())
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	l.write(t, "devenv.yaml", "apiVersion: devenv/v1\nname: locked\ncluster: {nodeImage: "+lockedNode+"}\ndeploy: [{name: redis, manifests: [redis.yaml]}]\n")
	l.write(t, "redis.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: redis, namespace: default}\nspec: {containers: [{name: redis, image: "+lockedRedis+"}]}\n")
	return l
}

func (l *lockedProject) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (l *lockedProject) open(t *testing.T, o Options) *Project {
	t.Helper()
	o.File, o.Sink = filepath.Join(l.dir, "devenv.yaml"), event.Discard
	p, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// lock makes the lock of the project as it is.
func (l *lockedProject) lock(t *testing.T) {
	t.Helper()
	if _, err := l.open(t, Options{}).Lock(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.open(t, Options{Locked: true}).Lock(t.Context()); err != nil {
		t.Fatalf("what was just locked: %v", err)
	}
}

// What does not render cannot be compared; that it does not render is what is wrong, and not the lock.
func TestLockedSaysWhatDoesNotRender(t *testing.T) {
	l := newLockedProject(t)
	l.lock(t)
	l.write(t, "redis.yaml", "kind: Pod\nmetadata: [\n")
	_, locking := l.open(t, Options{Locked: true}).Lock(t.Context())
	comparing := l.open(t, Options{Locked: true}).Parity(t.Context(), ParityOptions{})
	for command, err := range map[string]error{"lock": locking, "parity": comparing} {
		if fault.Of(err) != fault.Config || !strings.Contains(fmt.Sprint(err), "redis.yaml") {
			t.Errorf("devenv %s --locked: %v", command, err)
		}
	}
}

// Where it cannot be told which images the node image brings along, that is the reason, and no drift and no flag that nobody gave.
func TestLockSaysWhyTheNodeImageCannotBeRead(t *testing.T) {
	l := newLockedProject(t)
	l.lock(t)
	before, err := os.ReadFile(filepath.Join(l.dir, lock.FileName))
	if err != nil {
		t.Fatal(err)
	}
	check := func(command string, err error) {
		t.Helper()
		if fault.Of(err) != fault.Machine || !strings.Contains(fmt.Sprint(err), "on fire") || strings.Contains(fmt.Sprint(err), "offline") {
			t.Errorf("devenv %s: %v", command, err)
		}
	}
	const last = 3 // after its version and its pin
	l.fails.Store(last)
	_, err = l.open(t, Options{Locked: true}).Lock(t.Context())
	check("lock --locked", err)
	l.write(t, lock.FileName, "version: 1\n")
	l.fails.Store(last)
	_, err = l.open(t, Options{}).Lock(t.Context())
	check("lock", err)
	if text, err := os.ReadFile(filepath.Join(l.dir, lock.FileName)); err != nil || string(text) != "version: 1\n" {
		t.Errorf("the lock was written: %s%v", text, err)
	}

	l.write(t, lock.FileName, string(before))
	p := l.open(t, Options{Locked: true})
	engine, err := p.docker()
	if err != nil {
		t.Fatal(err)
	}
	g := &gathered{engine: engine, clusters: p.clusters(engine), nodeImageNamed: true}
	g.desired.Cluster = plan.Cluster{Name: "devenv-locked", NodeImage: lockedNode}
	g.state.Status = plan.Absent
	rendered := &render.Result{ThirdParty: []string{lockedRedis}}
	if err := p.checkLock(t.Context(), g, render.Input{}, rendered); err != nil {
		t.Errorf("devenv up --locked: %v", err)
	}
	l.fails.Store(1)
	check("up --locked", p.checkLock(t.Context(), g, render.Input{}, rendered))
}

// A node image that cannot be read keeps nobody from asking the registry; only who is offline is told to be.
func TestPinnerAsksOnWithoutTheNodeImage(t *testing.T) {
	l := newLockedProject(t)
	engine, err := docker.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	damaged := errors.New("damaged")
	node := func(context.Context) (map[string]string, error) { return nil, damaged }
	for _, ask := range []bool{true, false} {
		found := lock.Found{Images: []lock.Use{{Name: lockedRedis, Platform: "linux/amd64"}}}
		unread, failed := pinner{engine: engine, ask: ask, node: node}.all(t.Context(), found)
		u := found.Images[0]
		if !errors.Is(unread, damaged) || failed != nil || (len(u.Pin.Digests) == 1) != ask || (u.Unknown == unasked) == ask {
			t.Errorf("asking a registry: %v: %v, %v, %+v", ask, unread, failed, u)
		}
		if told := l.open(t, Options{Offline: !ask}).unpinned(found) != nil; told == ask {
			t.Errorf("asking a registry: %v: told to be offline: %v", ask, told)
		}
	}
	unasked := lock.Found{Images: []lock.Use{{Name: lockedRedis, Unknown: unasked}}}
	if err := l.open(t, Options{}).unpinned(unasked); err != nil {
		t.Errorf("not offline, and told to be: %v", err)
	}
}
