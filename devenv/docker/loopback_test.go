package docker

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/devenv-run/devenv/devenv/image"
)

// startLoopback starts a registry and gives its address.
func startLoopback(t *testing.T, l *loopback) string {
	t.Helper()
	spool, err := image.NewSpool(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = spool.Close() })
	l.repository, l.spool = "run.devenv/test", spool
	if l.named == nil {
		l.named = func(string) bool { return false }
	}
	address, stop, err := l.listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return address
}

// randomImage is an image of layers of a kilobyte each, and their digests.
func randomImage(t *testing.T, layers int64) (v1.Image, []v1.Layer) {
	t.Helper()
	i, err := random.Image(1<<10, layers)
	if err != nil {
		t.Fatal(err)
	}
	all, err := i.Layers()
	if err != nil {
		t.Fatal(err)
	}
	return i, all
}

func digestIn(t *testing.T, l v1.Layer) string {
	t.Helper()
	d, err := l.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func pushTo(t *testing.T, address string, i v1.Image) error {
	t.Helper()
	ref, err := name.NewTag(address + "/run.devenv/test:1")
	if err != nil {
		t.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	return remote.Write(ref, i, remote.WithContext(t.Context()), remote.WithTransport(transport), remote.WithJobs(1), remote.WithRetryPredicate(func(error) bool { return false }))
}

func TestLoopbackTakesWhatIsNotThere(t *testing.T) {
	i, layers := randomImage(t, 3)
	there := digestIn(t, layers[0])
	l := &loopback{uploads: 3, size: 1 << 20, refuse: func(err error) { t.Errorf("refused: %v", err) }}
	l.named = func(digest string) bool { return digest == there }
	if err := pushTo(t, startLoopback(t, l), i); err != nil {
		t.Fatal(err)
	}
	for n, layer := range layers {
		b, came := l.spool.Get(digestIn(t, layer))
		if came != (n > 0) {
			t.Errorf("layer %d came: %v", n, came)
		}
		if id, err := layer.DiffID(); err != nil || came && b.Expanded != id.String() {
			t.Errorf("layer %d holds %s, not %s, %v", n, b.Expanded, id, err)
		}
	}
	if len(l.manifests) != 1 {
		t.Fatalf("%d manifests", len(l.manifests))
	}
	id, err := layers[0].DiffID()
	if err != nil {
		t.Fatal(err)
	}
	got, err := image.Assemble(l.manifests[0], l.spool, func(digest string) (image.Layer, bool) {
		return image.Layer{DiffID: id.String(), Digest: digest}, digest == there
	})
	if err != nil || len(got.Layers) != 3 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestLoopbackRefusesMoreThanIsWanted(t *testing.T) {
	for what, l := range map[string]*loopback{
		"too many blobs": {uploads: 2, size: 1 << 20},
		"too much":       {uploads: 4, size: 1 << 10},
	} {
		t.Run(what, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			l.refuse = cancel
			i, _ := randomImage(t, 3)
			if err := pushTo(t, startLoopback(t, l), i); err == nil || !errors.Is(context.Cause(ctx), errUntaught) {
				t.Errorf("%v, because of %v", err, context.Cause(ctx))
			}
		})
	}
}

func TestLoopbackGivesALesson(t *testing.T) {
	taught := lesson{image.Digest([]byte("base")), image.Digest([]byte("top"))}
	config, manifest, err := taught.image("linux/arm64")
	if err != nil {
		t.Fatal(err)
	}
	l := &loopback{repository: "run.devenv/test", serve: map[string][]byte{image.Digest(manifest): manifest, image.Digest(config): config}}
	address, stop, err := l.listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	ref, err := name.NewDigest(address + "/run.devenv/test@" + image.Digest(manifest))
	if err != nil {
		t.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	pulled, err := remote.Image(ref, remote.WithContext(t.Context()), remote.WithTransport(transport))
	if err != nil {
		t.Fatal(err)
	}
	c, err := pulled.ConfigFile()
	if err != nil || c.OS != "linux" || c.Architecture != "arm64" || len(c.RootFS.DiffIDs) != 2 || c.RootFS.DiffIDs[1].String() != taught[1] {
		t.Errorf("%+v, %v", c, err)
	}
	m, err := pulled.Manifest()
	if err != nil || len(m.Layers) != 2 || m.Layers[0].Digest.String() != taught[0] || m.Layers[1].Digest.String() != taught[1] {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestLoopbackKnowsOnlyItsRepository(t *testing.T) {
	address := startLoopback(t, &loopback{uploads: 1, size: 1 << 20, refuse: func(error) {}})
	for _, path := range []string{"/v2/other/blobs/" + image.Digest(nil), "/v2/run.devenv/test/manifests/1", "/v2/run.devenv/test/tags/list", "/v2/run.devenv/test/blobs/uploads/1", "/"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: %s", path, answer.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestLessonOf(t *testing.T) {
	tests := []struct{ layers, wanted, lesson string }{
		{"a b c", "c", "a b"},
		{"a b c", "a c", "a b"},
		{"a b c", "a", "a b c"},
		{"a b c", "a b c", ""},
		{"", "", ""},
	}
	for _, tt := range tests {
		got := strings.Join(lessonOf(image.Want{Layers: strings.Fields(tt.layers), Wanted: strings.Fields(tt.wanted)}), " ")
		if got != tt.lesson {
			t.Errorf("of %q without %q: %q, want %q", tt.layers, tt.wanted, got, tt.lesson)
		}
	}
}
