package docker

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestWaysToTheEngine: builds work by whatever way the engine is reached, also those parts of them for which connections change their
// protocol.
func TestWaysToTheEngine(t *testing.T) {
	direct := realEngine(t)
	socket, ok := strings.CutPrefix(direct.endpoint.host, "unix://")
	if !ok {
		t.Skip("the engine is not on this machine")
	}
	ways := map[string]func(t *testing.T) (env map[string]string, configuration string){
		"ssh": func(t *testing.T) (map[string]string, string) {
			// A program called ssh that stays here: the docker command at the other end is this machine's.
			bin := t.TempDir()
			write(t, bin, map[string]string{"ssh": fmt.Sprintf("#!/bin/sh\nDOCKER_HOST=unix://%s exec docker system dial-stdio\n", socket)})
			if err := os.Chmod(filepath.Join(bin, "ssh"), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			return map[string]string{"DOCKER_HOST": "ssh://dev@far.example.com"}, t.TempDir()
		},
		"TLS": func(t *testing.T) (map[string]string, string) {
			cert, key := certificate(t)
			certs := t.TempDir()
			write(t, certs, map[string]string{"ca.pem": cert, "cert.pem": cert, "key.pem": key})
			pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
			if err != nil {
				t.Fatal(err)
			}
			clients := x509.NewCertPool()
			clients.AppendCertsFromPEM([]byte(cert))
			listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
				Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
			})
			if err != nil {
				t.Fatal(err)
			}
			newProxy(t, listener, socket)
			return map[string]string{"DOCKER_HOST": "tcp://" + listener.Addr().String(), "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": certs}, t.TempDir()
		},
		"context": func(t *testing.T) (map[string]string, string) {
			listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
			if err != nil {
				t.Fatal(err)
			}
			newProxy(t, listener, socket)
			return nil, store(t, "other", map[string]string{
				"other": fmt.Sprintf(`{"Name":"other","Endpoints":{"docker":{"Host":"unix://%s"}}}`, listener.Addr()),
			})
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			env, configuration := way(t)
			e, err := open(t.Context(), lookUp(env), configuration)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			b := toolBuild(t, direct, toolContext(t, nil), `RUN ["/tool", "print", "by `+name+`"]`)
			mustBuild(t, e, b)
			if held, err := direct.Images(t.Context(), []string{b.Ref}); err != nil || held[b.Ref] == "" {
				t.Errorf("got %v, %v", held, err)
			}
		})
	}
}

// proxy is a way to an engine that can be cut.
type proxy struct {
	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
	wg       sync.WaitGroup
}

// newProxy passes what comes to the listener on to a socket, until the test ends.
func newProxy(t *testing.T, listener net.Listener, socket string) *proxy {
	t.Helper()
	p := &proxy{listener: listener}
	p.wg.Go(func() {
		for {
			in, err := p.listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", socket)
			if err != nil {
				in.Close()
				return
			}
			p.mu.Lock()
			p.conns = append(p.conns, in, out)
			p.mu.Unlock()
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				p.wg.Go(func() {
					io.Copy(pair[0], pair[1])
					pair[0].Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) cut() {
	p.listener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
}
