package kind

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
)

const (
	// uploadPiece is how many bytes of a blob go in one message.
	uploadPiece = 1 << 18
	// piecesAhead is how many pieces may be on their way that the node has not answered: it writes one while the next ones come.
	piecesAhead = 8
)

// upload sends a blob to the node's content store, to its end, which then has it if it is what which says. That is asked once all of it was sent. A blob that
// is there already is no error.
func (s *store) upload(ctx context.Context, blob io.Reader, which func() (digest string, labels map[string]string)) error {
	sending, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.blobs.Write(sending)
	if err != nil {
		return errgrpc.ToNative(err)
	}
	u := &upload{stream: stream, ref: "devenv-" + strings.ToLower(rand.Text()), ahead: make(chan struct{}, piecesAhead), ended: make(chan struct{})}
	go u.hear()
	err = u.send(blob, which)
	if err != nil {
		cancel() // the node ends it too
	}
	<-u.ended
	if u.err != nil && (err == nil || errors.Is(err, errEnded)) {
		err = errgrpc.ToNative(u.err)
	}
	if err == nil || errdefs.IsAlreadyExists(err) {
		return nil
	}
	_ = s.content.Abort(context.WithoutCancel(ctx), u.ref) // else the collector does
	return err
}

// upload is a blob on its way into a node.
type upload struct {
	stream contentapi.Content_WriteClient
	ref    string
	ahead  chan struct{} // one for each piece that was not answered
	ended  chan struct{} // closed when nothing more is heard
	err    error         // why that ended before its time; nil: it did not
}

// errEnded says that the node ended it, for a reason that is heard.
var errEnded = errors.New("the node takes no more of it")

// hear takes the node's answers to its end.
func (u *upload) hear() {
	defer close(u.ended)
	for {
		if _, err := u.stream.Recv(); err != nil {
			if !errors.Is(err, io.EOF) {
				u.err = err
			}
			return
		}
		select {
		case <-u.ahead:
		default: // containerd answers the last one twice
		}
	}
}

// send sends the blob and its end.
func (u *upload) send(blob io.Reader, which func() (digest string, labels map[string]string)) error {
	piece := make([]byte, uploadPiece)
	for offset := int64(0); ; {
		n, err := fill(blob, piece)
		request := &contentapi.WriteContentRequest{Action: contentapi.WriteAction_WRITE, Ref: u.ref, Offset: offset, Data: piece[:n]}
		last := err == io.EOF //nolint:errorlint // what breaks off may wrap one, or be io.ErrUnexpectedEOF, which io.ReadFull would not tell from the end
		if last {
			request.Action, request.Total = contentapi.WriteAction_COMMIT, offset+int64(n)
			request.Expected, request.Labels = which()
		} else if err != nil {
			return err
		}
		select {
		case u.ahead <- struct{}{}:
		case <-u.ended:
			return errEnded
		}
		if u.stream.Send(request) != nil { // what it says is only that the stream has ended
			return errEnded
		}
		if last {
			return u.stream.CloseSend()
		}
		offset += int64(n)
	}
}

// fill reads until the piece is full, or as much as there is.
func fill(blob io.Reader, piece []byte) (n int, err error) {
	for n < len(piece) && err == nil {
		var more int
		more, err = blob.Read(piece[n:])
		n += more
	}
	return n, err
}
