package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/image"
)

// saving is an engine that exports images. Their layers are words; the reference of an image is "app:" and their first letters.
type saving struct {
	*Engine
	mu    sync.Mutex
	asked []string // the references of every export, in alphabetical order
	lacks string   // a reference that it does not hold
	midst func(refs string)
}

func newSaving(t *testing.T) *saving {
	s := &saving{midst: func(string) {}}
	s.Engine = fakeEngine(t, map[string]http.HandlerFunc{"GET /images/get": func(w http.ResponseWriter, r *http.Request) {
		refs := slices.Sorted(slices.Values(r.URL.Query()["names"]))
		s.mu.Lock()
		s.asked = append(s.asked, strings.Join(refs, " "))
		lacks := slices.Contains(refs, s.lacks)
		s.mu.Unlock()
		s.midst(strings.Join(refs, " "))
		if lacks {
			says(http.StatusNotFound, `{"message":"reference does not exist"}`)(w, r)
			return
		}
		_, _ = w.Write(archiveOf(t, refs))
	}}, "")
	return s
}

func (s *saving) exports() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// layersOf are the layers of an image of this engine.
func layersOf(ref string) []string { return strings.Split(strings.TrimPrefix(ref, "app:"), "") }

func archiveOf(t *testing.T, refs []string) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	written := map[string]bool{}
	put := func(name, data string) string {
		if !written[name] {
			written[name] = true
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o600}); err != nil {
				t.Error(err)
			}
			_, _ = w.Write([]byte(data))
		}
		return name
	}
	type object map[string]any
	var manifests []object
	for n, ref := range refs {
		var ids, files []string
		for _, l := range layersOf(ref) {
			ids, files = append(ids, image.Digest([]byte(l))), append(files, put(l+"/layer.tar", l))
		}
		config, _ := json.Marshal(object{"rootfs": object{"diff_ids": ids}, "of": ref})
		manifests = append(manifests, object{"Config": put(fmt.Sprintf("%d.json", n), string(config)), "RepoTags": []string{ref}, "Layers": files})
	}
	data, _ := json.Marshal(manifests)
	put("manifest.json", string(data))
	_ = w.Close() // into memory
	return out.Bytes()
}

// export exports an image of this engine of which some layers are wanted, and checks that it is what comes.
func (s *saving) export(ctx context.Context, t *testing.T, ref, wanted string) error {
	spool, err := image.NewSpool(t.TempDir())
	if err != nil {
		return err
	}
	defer spool.Close()
	w := image.Want{Ref: ref, Spool: spool}
	for _, l := range layersOf(ref) {
		id := image.Digest([]byte(l))
		w.Layers = append(w.Layers, id)
		if strings.Contains(wanted, l) {
			w.Wanted = append(w.Wanted, id)
		}
	}
	i, err := s.Engine.export(ctx, w)
	if err != nil {
		return err
	}
	var of struct{ Of string }
	if err := json.Unmarshal(i.Config, &of); err != nil || of.Of != ref {
		t.Errorf("%s has the configuration of %s, %v", ref, of.Of, err)
	}
	for n, l := range i.Layers {
		if (l.File != "") != w.Wants(l.DiffID) {
			t.Errorf("%s, layer %d: %+v", ref, n, l)
		}
		if l.File == "" {
			continue
		}
		if data, err := os.ReadFile(l.File); err != nil || string(data) != layersOf(ref)[n] {
			t.Errorf("%s, layer %d holds %q, %v", ref, n, data, err)
		}
	}
	return nil
}

// whileOneGoes exports others, each of which wants its last layer, while the export of app:a goes on until all of them wait, apart from app:x, which does not have to. meanwhile runs
// when they do. It returns what became of them.
func (s *saving) whileOneGoes(t *testing.T, meanwhile func(), others map[string]context.Context) map[string]error {
	begun, end := make(chan struct{}), make(chan struct{})
	s.midst = func(refs string) {
		if refs == "app:a" {
			close(begun)
			<-end
		}
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	errs := map[string]error{}
	export := func(ctx context.Context, ref string) {
		err := s.export(ctx, t, ref, ref[len(ref)-1:])
		mu.Lock()
		defer mu.Unlock()
		errs[ref] = err
	}
	all.Go(func() { export(t.Context(), "app:a") })
	<-begun
	for ref, ctx := range others {
		all.Go(func() { export(ctx, ref) })
	}
	export(t.Context(), "app:x")
	for s.waiting() < len(others) {
		time.Sleep(time.Millisecond)
	}
	meanwhile()
	close(end)
	all.Wait()
	return errs
}

// waiting is how many wait for an export that has not begun.
func (s *saving) waiting() int {
	s.Engine.exports.mu.Lock()
	defer s.Engine.exports.mu.Unlock()
	n := 0
	for _, x := range s.Engine.exports.all {
		if !x.begun {
			n += len(x.wants)
		}
	}
	return n
}

func TestImagesThatShareLayersAreExportedTogether(t *testing.T) {
	s := newSaving(t)
	errs := s.whileOneGoes(t, func() {}, map[string]context.Context{"app:ab": t.Context(), "app:ac": t.Context(), "app:acd": t.Context()})
	for ref, err := range errs {
		if err != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
	if got, want := fmt.Sprint(s.exports()), "[app:a app:x app:ab app:ac app:acd]"; got != want || len(s.exports()) != 3 {
		t.Errorf("exported %q, want %s, three times", s.exports(), want)
	}
	if len(s.Engine.exports.all) > 0 {
		t.Errorf("left: %+v", s.Engine.exports.all)
	}
}

func TestAnImageThatIsGoneDoesNotKeepOthersFromBeingExported(t *testing.T) {
	s := newSaving(t)
	s.lacks = "app:ac"
	errs := s.whileOneGoes(t, func() {}, map[string]context.Context{"app:ab": t.Context(), "app:ac": t.Context()})
	if errs["app:ab"] != nil || fault.Of(errs["app:ac"]) != fault.Machine || !strings.Contains(errs["app:ac"].Error(), "app:ac") {
		t.Errorf("%v", errs)
	}
}

func TestAnExportThatIsStoppedDoesNotStopOthers(t *testing.T) {
	s := newSaving(t)
	ctx, cancel := context.WithCancel(t.Context())
	errs := s.whileOneGoes(t, func() {
		cancel()
		for s.waiting() > 1 {
			time.Sleep(time.Millisecond)
		}
	}, map[string]context.Context{"app:ab": t.Context(), "app:ac": ctx})
	if errs["app:ab"] != nil || !errors.Is(errs["app:ac"], context.Canceled) {
		t.Errorf("%v", errs)
	}
	if got := s.exports(); got[len(got)-1] != "app:ab" {
		t.Errorf("exported %q, and nobody waits for app:ac any more", got)
	}
}

func TestAnExportThatNobodyWaitsForEnds(t *testing.T) {
	s := newSaving(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.midst = func(string) { cancel() }
	if err := s.export(ctx, t, "app:a", "a"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := s.Close(); err != nil { // waits for what still runs
		t.Error(err)
	}
	if len(s.Engine.exports.all) > 0 {
		t.Errorf("left: %+v", s.Engine.exports.all)
	}
}
