package docker

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/devenv-run/devenv/devenv/image"
)

// loopback is a registry on this machine's loopback address for one push or one pull, in one repository. It knows as much of the protocol as
// an engine speaks. It needs no TLS: engines trust the loopback network.
type loopback struct {
	repository string       // the path of its only one
	spool      *image.Spool // gets what is pushed; nil: nothing is
	// named says which blobs need not be pushed.
	named func(digest string) bool
	// uploads is how many blobs may be pushed, size how many bytes they may hold together once expanded. Beyond that refuse is called.
	uploads int
	size    int64
	refuse  context.CancelCauseFunc
	early   func() image.Early // see image.Want
	// serve are manifests and configurations to give out, by digest.
	serve map[string][]byte

	mu        sync.Mutex
	begun     int               // uploads
	received  int64             // bytes, expanded
	uploaded  map[string]string // upload → digest of what it brought
	manifests [][]byte          // that were pushed
}

// listen starts the registry and returns its host:port. It stops when stop is called, which waits for it.
func (l *loopback) listen(ctx context.Context) (address string, stop func(), err error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	l.uploaded = map[string]string{}
	server := &http.Server{
		Handler: l, ReadHeaderTimeout: time.Minute,
		ErrorLog: log.New(io.Discard, "", 0), // engines try TLS first
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // until it is closed
	}()
	return listener.Addr().String(), func() {
		_ = server.Close()
		<-done
	}, nil
}

// ServeHTTP answers one request.
func (l *loopback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	rest, ours := strings.CutPrefix(r.URL.Path, "/v2/"+l.repository+"/")
	kind, name, _ := strings.Cut(rest, "/")
	reading := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case r.URL.Path == "/v2/":
		w.WriteHeader(http.StatusOK)
	case !ours:
		unknown(w, "NAME_UNKNOWN")
	case kind == "manifests" && reading:
		l.give(w, r, name, dockerManifest, "MANIFEST_UNKNOWN")
	case kind == "manifests" && r.Method == http.MethodPut:
		l.takeManifest(w, r, name)
	case kind == "blobs" && reading:
		l.giveBlob(w, r, name)
	case kind == "blobs" && strings.HasPrefix(name, "uploads"):
		l.take(w, r, strings.Trim(strings.TrimPrefix(name, "uploads"), "/"))
	default:
		unknown(w, "UNSUPPORTED")
	}
}

// unknown is a registry's answer about what it does not have.
func unknown(w http.ResponseWriter, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]string{"code": code}}}) // to a client that left
}

// give gives a manifest or a configuration.
func (l *loopback) give(w http.ResponseWriter, r *http.Request, digest, mediaType, lacks string) {
	data, ok := l.serve[digest]
	if !ok {
		unknown(w, lacks)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(data) // to a client that left
	}
}

func (l *loopback) takeManifest(w http.ResponseWriter, r *http.Request, name string) {
	const most = 8 << 20
	data, err := io.ReadAll(io.LimitReader(r.Body, most))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	l.mu.Lock()
	l.manifests = append(l.manifests, data)
	l.mu.Unlock()
	w.Header().Set("Location", "/v2/"+l.repository+"/manifests/"+name)
	w.Header().Set("Docker-Content-Digest", image.Digest(data))
	w.WriteHeader(http.StatusCreated)
}

// giveBlob says of a blob that came, or need not be pushed, that it is there.
func (l *loopback) giveBlob(w http.ResponseWriter, r *http.Request, digest string) {
	if l.spool == nil || r.Method != http.MethodHead {
		l.give(w, r, digest, "application/octet-stream", "BLOB_UNKNOWN")
		return
	}
	b, ok := l.spool.Get(digest)
	if ok = ok && b.Digest == digest; !ok && !l.named(digest) {
		unknown(w, "BLOB_UNKNOWN")
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Docker-Content-Digest", digest)
	// Of what need not be pushed the size is not known, and nobody asks for more than whether it is there.
	w.Header().Set("Content-Length", strconv.FormatInt(b.Size, 10))
	w.WriteHeader(http.StatusOK)
}

// errUntaught is why a push ends before its time: the engine begins to send what is there already.
var errUntaught = errors.New("the engine would send more than is wanted")

// take is one step of an upload: begun, sent, ended. Only whole blobs come; no engine sends one in pieces.
func (l *loopback) take(w http.ResponseWriter, r *http.Request, upload string) {
	switch r.Method {
	case http.MethodPost:
		l.mu.Lock()
		l.begun++
		upload, tooMany := strconv.Itoa(l.begun), l.begun > l.uploads
		l.mu.Unlock()
		if tooMany {
			l.refuse(errUntaught)
			panic(http.ErrAbortHandler)
		}
		l.accept(w, upload, http.StatusAccepted, 0)
	case http.MethodPatch:
		n := l.receive(r, upload)
		l.accept(w, upload, http.StatusAccepted, n)
	case http.MethodPut:
		if r.ContentLength != 0 {
			l.receive(r, upload)
		}
		digest := r.URL.Query().Get("digest")
		l.mu.Lock()
		brought := l.uploaded[upload]
		l.mu.Unlock()
		if brought != digest {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Docker-Content-Digest", digest)
		w.Header().Set("Location", "/v2/"+l.repository+"/blobs/"+digest)
		w.WriteHeader(http.StatusCreated)
	default:
		unknown(w, "UNSUPPORTED")
	}
}

// accept tells the engine how far an upload is.
func (l *loopback) accept(w http.ResponseWriter, upload string, status int, n int64) {
	w.Header().Set("Location", "/v2/"+l.repository+"/blobs/uploads/"+upload)
	w.Header().Set("Docker-Upload-Uuid", upload)
	w.Header().Set("Range", "0-"+strconv.FormatInt(max(n-1, 0), 10))
	w.WriteHeader(status)
}

// receive takes the content of an upload and returns how many bytes came. What goes wrong ends the push.
func (l *loopback) receive(r *http.Request, upload string) int64 {
	l.mu.Lock()
	left := l.size - l.received
	l.mu.Unlock()
	b, err := l.spool.AddPlain(r.Body, max(left, 0), l.early) // engines compress what they push, and nodes would have to expand it
	if errors.Is(err, image.ErrTooMuch) {
		err = errUntaught
	}
	if err != nil {
		l.refuse(err)
		panic(http.ErrAbortHandler)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.uploaded[upload] = b.Digest
	l.received += b.Holds
	return b.Size
}
