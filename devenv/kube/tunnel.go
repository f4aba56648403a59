package kube

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/klog/v2"
	"k8s.io/streaming/pkg/httpstream"
)

// tunnel is an open way to one pod, through the API server and the kubelet. It carries any number of connections.
type tunnel struct {
	conn     httpstream.Connection
	requests atomic.Int64
}

// tunnel gives the open way to a pod, or opens one.
func (f *forwarder) tunnel(p *corev1.Pod) (*tunnel, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.tunnels[string(p.UID)]; t != nil {
		select {
		case <-t.conn.CloseChan():
		default:
			return t, nil
		}
	}
	conn, err := f.c.dial(p)
	if err != nil {
		return nil, err
	}
	t := &tunnel{conn: conn}
	f.tunnels[string(p.UID)] = t
	return t, nil
}

func (f *forwarder) drop(p *corev1.Pod, t *tunnel) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = t.conn.Close() // it is of no more use
	if f.tunnels[string(p.UID)] == t {
		delete(f.tunnels, string(p.UID))
	}
}

func (f *forwarder) closeTunnels() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.tunnels {
		_ = t.conn.Close() // ends what it carries
	}
	clear(f.tunnels)
}

// dial opens a way to a pod: over a websocket, or in the older way where the server does not know that.
func (c *Cluster) dial(p *corev1.Pod) (httpstream.Connection, error) {
	url := c.core.RESTClient().Post().Resource("pods").Namespace(p.Namespace).Name(p.Name).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(c.config)
	if err != nil {
		return nil, fmt.Errorf("prepare forwarding: %w", err)
	}
	older := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	newer, err := portforward.NewSPDYOverWebsocketDialerForStreamingWithLogger(klog.Logger{}, url, c.config)
	if err != nil {
		return nil, fmt.Errorf("prepare forwarding: %w", err)
	}
	conn, protocol, err := portforward.NewFallbackDialerForStreaming(newer, older, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}).Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, err
	}
	if protocol != portforward.PortForwardProtocolV1Name {
		return nil, errors.Join(fmt.Errorf("the server forwards by an unknown protocol %q", protocol), conn.Close())
	}
	return conn, nil
}

// carry carries one connection until either side ends it. began is false if the pod was not reached, and nothing was read
// from local.
func (t *tunnel) carry(local net.Conn, port int) (began bool, err error) {
	headers := http.Header{}
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.FormatInt(t.requests.Add(1), 10))
	trouble, err := t.conn.CreateStream(headers)
	if err != nil {
		return false, err
	}
	defer t.conn.RemoveStreams(trouble)
	_ = trouble.Close() // our half: nothing is written to it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := t.conn.CreateStream(headers)
	if err != nil {
		return false, err
	}
	defer t.conn.RemoveStreams(data)

	var copying sync.WaitGroup
	ended := make(chan struct{}, 2)
	copying.Go(func() {
		_, _ = io.Copy(local, data) // either end may go at any time; trouble says what was wrong
		ended <- struct{}{}
	})
	copying.Go(func() {
		if _, err := io.Copy(data, local); err != nil {
			ended <- struct{}{}
		}
		_ = data.Close() // our half: the pod may still answer
	})
	<-ended
	_ = data.Reset() // before trouble is read: data that nobody takes would block it
	_ = local.Close()
	copying.Wait()

	message, err := io.ReadAll(trouble)
	if err != nil {
		return true, fmt.Errorf("connection to the pod lost: %w", err)
	}
	if len(message) > 0 {
		return true, errors.New(strings.TrimSpace(string(message)))
	}
	return true, nil
}
