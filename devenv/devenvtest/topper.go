package devenvtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/devenv-run/devenv/devenv/hot"
	"github.com/devenv-run/devenv/devenv/image"
)

// TopperSubject is an implementation of hot.Topper under test, with what a test needs to see.
type TopperSubject struct {
	hot.Topper
	Nodes []string // at least two
	// Base gives an image that all the nodes hold, without a file /note.
	Base func(t *testing.T) (ref string)
	// Ref gives a reference that no node knows.
	Ref func() string
	// Note runs a container of the image on the node and says what /note holds in it; empty if there is none.
	Note func(ctx context.Context, node, ref string) (string, error)
	// Known says whether the node knows the reference, complete or not.
	Known func(ctx context.Context, node, ref string) (bool, error)
	// Lose removes the content of the image's lowest layer from a node.
	Lose func(t *testing.T, node, ref string)
}

// TopperSuite holds an implementation against the contract of hot.Topper.
func TopperSuite(t *testing.T, fresh func(t *testing.T) TopperSubject) {
	t.Run("the image is that below with what is in the layer, on the nodes named", func(t *testing.T) {
		s, ctx := fresh(t), t.Context()
		base, ref := s.Base(t), s.Ref()
		first, second := s.Nodes[0], s.Nodes[1]
		layer := noteLayer(t, "one")
		for range 2 { // a second time nothing is different
			detail, err := s.Top(ctx, base, ref, layer, []string{first})
			if err != nil || !strings.Contains(detail, "1 node") {
				t.Fatalf("%q, %v", detail, err)
			}
			s.requireNote(t, first, ref, "one")
		}
		s.requireNote(t, first, base, "")
		s.requireUnknown(t, second, ref)
		if _, err := s.Top(ctx, base, ref, layer, s.Nodes); err != nil {
			t.Fatal(err)
		}
		s.requireNote(t, second, ref, "one")
	})

	t.Run("a layer on top of one that was put there", func(t *testing.T) {
		s := fresh(t)
		base, one, two := s.Base(t), s.Ref(), s.Ref()
		if _, err := s.Top(t.Context(), base, one, noteLayer(t, "one"), s.Nodes); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Top(t.Context(), one, two, noteLayer(t, "two"), s.Nodes); err != nil {
			t.Fatal(err)
		}
		s.requireNote(t, s.Nodes[1], two, "two")
		s.requireNote(t, s.Nodes[1], one, "one")
	})

	t.Run("a reference may come to mean another image", func(t *testing.T) {
		s := fresh(t)
		base, ref := s.Base(t), s.Ref()
		for _, note := range []string{"one", "two"} {
			if _, err := s.Top(t.Context(), base, ref, noteLayer(t, note), s.Nodes); err != nil {
				t.Fatal(err)
			}
			s.requireNote(t, s.Nodes[0], ref, note)
		}
	})

	t.Run("an image below that is not there is an error that names it", func(t *testing.T) {
		s := fresh(t)
		absent, ref := s.Ref(), s.Ref()
		_, err := s.Top(t.Context(), absent, ref, noteLayer(t, "one"), s.Nodes)
		if err == nil || !strings.Contains(err.Error(), absent) {
			t.Errorf("%v", err)
		}
		s.requireUnknown(t, s.Nodes[0], ref)
	})

	t.Run("an image below that is not complete is an error, and the reference stays unknown there", func(t *testing.T) {
		s := fresh(t)
		base, ref := s.Base(t), s.Ref()
		s.Lose(t, s.Nodes[1], base)
		_, err := s.Top(t.Context(), base, ref, noteLayer(t, "one"), s.Nodes)
		if err == nil || !strings.Contains(err.Error(), s.Nodes[1]) || strings.Contains(err.Error(), s.Nodes[0]+":") {
			t.Errorf("%v", err)
		}
		s.requireUnknown(t, s.Nodes[1], ref)
		s.requireNote(t, s.Nodes[0], ref, "one")
	})

	t.Run("a layer that is not what its diff ID says is an error, and the reference stays unknown", func(t *testing.T) {
		s := fresh(t)
		base, ref := s.Base(t), s.Ref()
		layer := noteLayer(t, "one")
		layer.DiffID = "sha256:" + strings.Repeat("0", sha256.Size*2)
		if _, err := s.Top(t.Context(), base, ref, layer, s.Nodes); err == nil {
			t.Error("it was taken")
		}
		s.requireUnknown(t, s.Nodes[0], ref)
	})

	t.Run("references that nobody uses are forgotten, also one of two of the same image", func(t *testing.T) {
		s, ctx := fresh(t), t.Context()
		base, one, same, other := s.Base(t), s.Ref(), s.Ref(), s.Ref()
		for ref, note := range map[string]string{one: "one", same: "one", other: "other"} {
			if _, err := s.Top(ctx, base, ref, noteLayer(t, note), s.Nodes); err != nil {
				t.Fatal(err)
			}
		}
		var uses []string
		drop := func(want int, prefixes ...string) {
			t.Helper()
			n, err := s.Drop(ctx, s.Nodes, prefixes, func(context.Context) ([]string, error) { return uses, nil })
			if err != nil || n != want*len(s.Nodes) {
				t.Fatalf("%d dropped, %v, want %d on each of %d nodes", n, err, want, len(s.Nodes))
			}
		}
		drop(1, one)
		uses = []string{other}
		for _, node := range s.Nodes {
			s.requireUnknown(t, node, one)
			s.requireNote(t, node, same, "one")
		}
		drop(1, same, other)
		for _, node := range s.Nodes {
			s.requireUnknown(t, node, same)
			s.requireNote(t, node, other, "other")
			s.requireNote(t, node, base, "")
		}
		if _, err := s.Drop(ctx, s.Nodes, []string{one}, func(context.Context) ([]string, error) { return nil, errors.New("asked for nothing") }); err != nil {
			t.Error(err)
		}
		want := errors.New("nobody knows")
		if _, err := s.Drop(ctx, s.Nodes, []string{other}, func(context.Context) ([]string, error) { return nil, want }); !errors.Is(err, want) {
			t.Errorf("%v", err)
		}
		s.requireNote(t, s.Nodes[0], other, "other")
	})

	t.Run("it can be stopped", func(t *testing.T) {
		s := fresh(t)
		base, ref := s.Base(t), s.Ref()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Top(ctx, base, ref, noteLayer(t, "one"), s.Nodes); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if _, err := s.Top(t.Context(), base, ref, noteLayer(t, "one"), s.Nodes); err != nil {
			t.Error(err)
		}
	})
}

// noteLayer is a layer whose only file is /note.
func noteLayer(t *testing.T, note string) hot.Layer {
	t.Helper()
	from := filepath.Join(t.TempDir(), "note")
	var archive strings.Builder
	if err := errors.Join(os.WriteFile(from, []byte(note), 0o600), image.WriteLayer(&archive, []image.Entry{{Path: "/note", From: from, Mode: 0o644}})); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "layer")
	if err := os.WriteFile(file, []byte(archive.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(archive.String()))
	return hot.Layer{File: file, DiffID: "sha256:" + hex.EncodeToString(sum[:]), Size: int64(archive.Len())}
}

func (s TopperSubject) requireNote(t *testing.T, node, ref, want string) {
	t.Helper()
	if got, err := s.Note(t.Context(), node, ref); err != nil || got != want {
		t.Errorf("%s on %s: the note says %q, %v, want %q", ref, node, got, err, want)
	}
}

func (s TopperSubject) requireUnknown(t *testing.T, node, ref string) {
	t.Helper()
	if known, err := s.Known(t.Context(), node, ref); err != nil || known {
		t.Errorf("%s knows %s: %v, %v", node, ref, known, err)
	}
}
