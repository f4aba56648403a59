package kind

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/fault"
)

func TestResolveChoosesTheNodeImage(t *testing.T) {
	const def, pinned = "kindest/node:v1.37.0", "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
	const locked, lockedPin = "kindest/node:v1.36.0", "kindest/node:v1.36.0@sha256:0000000000000000000000000000000000000000000000000000000000000000"
	local := nodeImage{RepoTags: []string{"devenv/node:v1.36.3"}, Created: time.Now()}
	local.Config.Labels = map[string]string{kubernetesLabel: "v1.36.3"}
	older := nodeImage{RepoTags: []string{"devenv/node:v1.35.0"}, Created: time.Now().Add(-time.Hour)}
	tests := []struct {
		name    string
		spec    Spec
		world   func(w *world)
		offline bool
		image   string
		version string
		notice  string
		fails   string
	}{
		{name: "the user's", spec: Spec{NodeImage: "kindest/node:v1.35.2"}, image: "kindest/node:v1.35.2", version: "v1.35.2"},
		{name: "kind's default, held", world: func(w *world) { w.images[pinned] = "sha256:1" }, image: pinned, version: "v1.37.0"},
		{name: "kind's default, loaded from a file", world: func(w *world) { w.images[def] = "sha256:1" }, image: def, version: "v1.37.0"},
		{name: "kind's default, to be pulled", world: func(w *world) {
			w.registry[def] = true
			w.labelled = []nodeImage{local}
		}, image: pinned, version: "v1.37.0", notice: "will be pulled"},
		{name: "a labelled one, the newest", world: func(w *world) { w.labelled = []nodeImage{older, {}, local} }, image: "devenv/node:v1.36.3", version: "v1.36.3", notice: "stands in for kind's default"},
		{name: "offline", offline: true, world: func(w *world) {
			w.registry[def] = true
			w.labelled = []nodeImage{local}
		}, image: "devenv/node:v1.36.3", version: "v1.36.3", notice: "devenv is offline"},
		{name: "none", fails: "there is no node image: kind's default"},
		{name: "the locked one, held", spec: Spec{Locked: lockedPin}, world: func(w *world) {
			w.images[lockedPin], w.images[pinned] = "sha256:1", "sha256:2"
		}, image: lockedPin, version: "v1.36.0"},
		{name: "the locked one, to be pulled", spec: Spec{Locked: lockedPin}, world: func(w *world) {
			w.images[pinned] = "sha256:2"
			w.registry[locked] = true
		}, image: lockedPin, version: "v1.36.0", notice: locked + " will be pulled"},
		{name: "the user's rather than the locked one", spec: Spec{NodeImage: "kindest/node:v1.35.2", Locked: lockedPin}, image: "kindest/node:v1.35.2", version: "v1.35.2"},
		{name: "a locked one that only another machine has", spec: Spec{Locked: "team/node:1"}, world: func(w *world) {
			w.labelled = []nodeImage{local}
		}, image: "devenv/node:v1.36.3", version: "v1.36.3", notice: "stands in for the one that devenv.lock pins, team/node:1"},
		{name: "a locked one and none", spec: Spec{Locked: lockedPin}, fails: "there is no node image: the one that devenv.lock pins"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld()
			if tt.world != nil {
				tt.world(w)
			}
			k := w.clusters(t.TempDir(), tt.spec)
			k.Offline = tt.offline
			r, err := k.Resolve(t.Context())
			if tt.fails != "" {
				requireKind(t, err, fault.Machine)
				if !strings.Contains(err.Error(), tt.fails) {
					t.Errorf("%v does not say %q", err, tt.fails)
				}
				return
			}
			if err != nil || r.Cluster.NodeImage != tt.image || r.Kubernetes != tt.version {
				t.Errorf("%+v, %v; want %s (%s)", r, err, tt.image, tt.version)
			}
			if !strings.Contains(r.Notice, tt.notice) || strings.Contains(r.Notice, "\n") || tt.notice == "" && r.Notice != "" {
				t.Errorf("notice %q, want %q in it", r.Notice, tt.notice)
			}
		})
	}
}

func TestClusterKeepsItsNodeImage(t *testing.T) {
	w, dir := newWorld(), t.TempDir()
	w.labelled = []nodeImage{{RepoTags: []string{testImage}, Created: time.Now()}}
	before, err := w.clusters(dir, Spec{}).Resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mustCreate(t, w.clusters(dir, Spec{}))
	w.labelled = []nodeImage{{RepoTags: []string{"devenv/node:newer"}, Created: time.Now()}}
	after, err := w.clusters(dir, Spec{}).Resolve(t.Context())
	if err != nil || fmt.Sprint(after.Cluster) != fmt.Sprint(before.Cluster) || after.Notice != "" || after.Kubernetes != "v1.36.3" {
		t.Errorf("%+v, %v; want the cluster of %+v, without a notice", after, err, before)
	}

	// A lock asks for what a new cluster would be made from, whatever there is.
	k := w.clusters(dir, Spec{})
	ref, version, named, err := k.NodeImage(t.Context())
	if err != nil || ref != "devenv/node:newer" || version != "" || named {
		t.Errorf("%s %s %v %v", ref, version, named, err)
	}
	state, err := k.Status(t.Context())
	if err != nil || state.NodeImage == "" {
		t.Errorf("%+v %v", state, err)
	}
	k.Spec.NodeImage = "kindest/node:v1.35.2"
	if ref, _, named, err := k.NodeImage(t.Context()); err != nil || ref != k.Spec.NodeImage || !named {
		t.Errorf("%s %v %v", ref, named, err)
	}
}
