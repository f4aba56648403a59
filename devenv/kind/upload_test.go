package kind

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	"github.com/containerd/containerd/v2/core/content"
	contentproxy "github.com/containerd/containerd/v2/core/content/proxy"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/containerd/v2/plugins/services/content/contentserver"
	"github.com/containerd/errdefs"
	godigest "github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/devenv-run/devenv/devenv/image"
)

// storeOf is a store over a connection to a content service.
func storeOf(t *testing.T, service contentapi.ContentServer) *store {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	contentapi.RegisterContentServer(server, service)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // until it is stopped
	conn, err := grpc.NewClient("passthrough:///node", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		serving.Wait()
	})
	return &store{conn: conn, content: contentproxy.NewContentStore(conn), blobs: contentapi.NewContentClient(conn)}
}

// labelled keeps labels in memory.
type labelled map[godigest.Digest]map[string]string

func (l labelled) Get(d godigest.Digest) (map[string]string, error) { return l[d], nil }

func (l labelled) Set(d godigest.Digest, labels map[string]string) error {
	l[d] = labels
	return nil
}

func (l labelled) Update(d godigest.Digest, update map[string]string) (map[string]string, error) {
	l[d] = update
	return update, nil
}

// containerd is a node's own content store, and a connection to it.
func containerd(t *testing.T) (content.Store, *store) {
	t.Helper()
	kept, err := local.NewLabeledStore(t.TempDir(), labelled{})
	if err != nil {
		t.Fatal(err)
	}
	return kept, storeOf(t, contentserver.New(kept))
}

// is answers which for a blob.
func is(data []byte) func() (string, map[string]string) {
	return func() (string, map[string]string) {
		return image.Digest(data), map[string]string{"run.devenv/test": "1"}
	}
}

func TestUpload(t *testing.T) {
	kept, s := containerd(t)
	for _, size := range []int{1, uploadPiece - 1, uploadPiece, uploadPiece + 1, 3*piecesAhead*uploadPiece + 7} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			data := make([]byte, size)
			_, _ = rand.Read(data)
			for range 2 { // the second time it is there
				if err := s.upload(t.Context(), bytes.NewReader(data), is(data)); err != nil {
					t.Fatal(err)
				}
			}
			digest := godigest.Digest(image.Digest(data))
			info, err := kept.Info(t.Context(), digest)
			if err != nil || info.Size != int64(size) || info.Labels["run.devenv/test"] != "1" {
				t.Errorf("%+v, %v", info, err)
			}
			there, err := content.ReadBlob(t.Context(), kept, ocispec.Descriptor{Digest: digest, Size: int64(size)})
			if err != nil || !bytes.Equal(there, data) {
				t.Errorf("%d bytes, %v", len(there), err)
			}
		})
	}
	begun(t, kept)
}

// begun checks that nothing is left of what was begun.
func begun(t *testing.T, kept content.Store) {
	t.Helper()
	if left, err := kept.ListStatuses(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %+v, %v", left, err)
	}
}

func TestUploadLeavesNothingOfWhatIsNotWhatItShouldBe(t *testing.T) {
	data := bytes.Repeat([]byte("text"), uploadPiece)
	tests := map[string]io.Reader{
		"something else": bytes.NewReader(data[1:]),
		"the beginning":  io.MultiReader(bytes.NewReader(data[:uploadPiece+1]), failing{io.ErrUnexpectedEOF}), // as a compressed blob breaks off
		"nothing":        failing{errors.New("it did not come")},
	}
	for name, blob := range tests {
		t.Run(name, func(t *testing.T) {
			kept, s := containerd(t)
			asked := false
			err := s.upload(t.Context(), blob, func() (string, map[string]string) {
				asked = true
				return is(data)()
			})
			if one, ok := blob.(failing); ok && !errors.Is(err, one.err) || err == nil || asked != (name == "something else") {
				t.Errorf("%v, asked which it is: %v", err, asked)
			}
			begun(t, kept)
			for _, part := range [][]byte{data, data[1:], data[:uploadPiece+1], nil} {
				if _, err := kept.Info(t.Context(), godigest.Digest(image.Digest(part))); !errdefs.IsNotFound(err) {
					t.Errorf("it has %d bytes: %v", len(part), err)
				}
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// stubborn is a node that takes some pieces, and answers none of them, or fails.
type stubborn struct {
	contentapi.UnimplementedContentServer
	fails error
	took  chan struct{}
}

func (n stubborn) Write(session contentapi.Content_WriteServer) error {
	for {
		if _, err := session.Recv(); err != nil {
			return err
		}
		n.took <- struct{}{}
		if n.fails != nil {
			return n.fails
		}
	}
}

// endless is a blob without an end that counts what is read of it.
type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	e.n += len(p)
	return len(p), nil
}

func TestUploadSaysWhyTheNodeEndsIt(t *testing.T) {
	s := storeOf(t, stubborn{fails: status.Error(codes.Unknown, "no space left on device"), took: make(chan struct{}, 1)})
	if err := s.upload(t.Context(), &endless{}, is(nil)); err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Error(err)
	}
}

func TestUploadWaitsForANodeThatIsFarBehind(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	node := stubborn{took: make(chan struct{})}
	s := storeOf(t, node)
	blob := &endless{}
	done := make(chan error)
	go func() { done <- s.upload(ctx, blob, is(nil)) }()
	for range piecesAhead {
		<-node.took
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("it should have been stopped")
	}
	if most := (piecesAhead + 1) * uploadPiece; blob.n > most {
		t.Errorf("%d bytes were read, for a node that has answered nothing", blob.n)
	}
}
