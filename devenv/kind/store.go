package kind

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"

	diffapi "github.com/containerd/containerd/api/services/diff/v1"
	"github.com/containerd/containerd/v2/core/content"
	contentproxy "github.com/containerd/containerd/v2/core/content/proxy"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	criapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/hot"
)

//go:embed script/relay.pl
var scriptRelay string

// store is the containerd of a node, spoken to directly: relay.pl in the node is the way to its socket. A question takes a millisecond, where a
// docker exec of ctr takes a hundred, and several go over the connection at once.
type store struct {
	stream      stream
	conn        *grpc.ClientConn
	sent        limits // how long the node may take over what it is sent
	content     content.Store
	blobs       contentapi.ContentClient // the same, for what comes into it
	images      imagesapi.ImagesClient
	snapshots   snapshotsapi.SnapshotsClient
	diffs       diffapi.DiffClient
	leases      leasesapi.LeasesClient
	kubelet     criapi.ImageServiceClient // what the kubelet asks
	snapshotter string                    // the one that is used for pods
	platform    platforms.MatchComparer   // the node's
}

// namespace is where Kubernetes has its images.
const namespace = "k8s.io"

// dial opens a store over a stream of relay.pl, which has to answer within the time. Later the node may take as long as a stall for any step that is not unpacking.
func dial(s stream, within time.Duration, sent limits) (*store, error) {
	in := bufio.NewReaderSize(s, 1<<16)
	timer := time.AfterFunc(within, func() { _ = s.Close() }) // it never fails
	line, err := in.ReadString('\n')
	if !timer.Stop() {
		return nil, fmt.Errorf("the node did not answer within %s", within)
	}
	if err != nil {
		return nil, missing(s, err)
	}
	fields := strings.Fields(line)
	if len(fields) != 3 || fields[0] != "ready" {
		return nil, fmt.Errorf("%w: %s", hot.ErrNotInside, strings.TrimSpace(line))
	}
	architecture := map[string]string{"x86_64": "amd64", "aarch64": "arm64"}[fields[2]]
	if architecture == "" {
		return nil, fmt.Errorf("%w: its machine is %s", hot.ErrNotInside, fields[2])
	}
	way := make(chan net.Conn, 1)
	way <- tunnel{stream: s, in: in}
	conn, err := grpc.NewClient("passthrough:///node", grpc.WithUnaryInterceptor(impatient(sent.stall)), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			select {
			case c := <-way:
				return c, nil
			default:
				return nil, errors.New("the connection into the node broke") // whoever needs it makes a new store
			}
		}))
	if err != nil {
		return nil, err
	}
	return &store{
		stream: s, conn: conn, sent: sent,
		content:     contentproxy.NewContentStore(conn),
		blobs:       contentapi.NewContentClient(conn),
		images:      imagesapi.NewImagesClient(conn),
		snapshots:   snapshotsapi.NewSnapshotsClient(conn),
		diffs:       diffapi.NewDiffClient(conn),
		leases:      leasesapi.NewLeasesClient(conn),
		kubelet:     criapi.NewImageServiceClient(conn),
		snapshotter: fields[1],
		platform:    platforms.Only(platforms.Normalize(platforms.Platform{OS: "linux", Architecture: architecture})),
	}, nil
}

// impatient bounds how long questions may take, except for the one that stands for the unpacking of a layer.
func impatient(stall time.Duration) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, question, answer any, conn *grpc.ClientConn, ask grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if method != "/containerd.services.diff.v1.Diff/Apply" {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeoutCause(ctx, stall, errSlow)
			defer cancel()
		}
		return ask(ctx, method, question, answer, conn, opts...)
	}
}

// missing is what a node lacks whose program ended before it said anything.
func missing(s stream, err error) error {
	return unstarted(&commandError{args: []string{"exec"}, output: s.said(), err: err})
}

// unstarted is a program that did not start in a node: the node lacks what it takes. A node that does not run, and a stop, are another matter.
func unstarted(err error) error {
	failed, told := (*commandError)(nil), (*fault.Error)(nil)
	switch {
	case errors.As(err, &failed):
	case errors.As(err, &told) && told.Err != nil: // the node's fault is told in other words than the engine's
		failed = &commandError{args: []string{"exec"}, output: told.Err.Error(), err: told.Err}
	default:
		failed = &commandError{args: []string{"exec"}, output: err.Error(), err: err}
	}
	if said(failed, noContainer, notRunning, isPaused) || errors.Is(err, context.Canceled) {
		return failed
	}
	return fmt.Errorf("%w: %w", hot.ErrNotInside, failed)
}

func (s *store) close() {
	_ = s.conn.Close() // it is closed already
	_ = s.stream.Close()
}

// broken reports whether nothing comes through any more, which err may be the sign of.
func (s *store) broken(err error) bool {
	state := s.conn.GetState()
	return status.Code(err) == codes.Unavailable || errdefs.IsUnavailable(err) || state == connectivity.TransientFailure || state == connectivity.Shutdown
}

// in is a context for calls to containerd.
func in(ctx context.Context) context.Context { return namespaces.WithNamespace(ctx, namespace) }

// tunnel is a stream as a connection. Nobody sets deadlines for it: it is closed.
type tunnel struct {
	stream
	in *bufio.Reader
}

func (t tunnel) Read(p []byte) (int, error)       { return t.in.Read(p) }
func (t tunnel) LocalAddr() net.Addr              { return nodeAddr{} }
func (t tunnel) RemoteAddr() net.Addr             { return nodeAddr{} }
func (t tunnel) SetDeadline(time.Time) error      { return nil }
func (t tunnel) SetReadDeadline(time.Time) error  { return nil }
func (t tunnel) SetWriteDeadline(time.Time) error { return nil }

type nodeAddr struct{}

func (nodeAddr) Network() string { return "exec" }
func (nodeAddr) String() string  { return "node" }
