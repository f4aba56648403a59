package kind_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/devenv-run/devenv/devenv/docker"
	"github.com/devenv-run/devenv/devenv/kind"
	"github.com/devenv-run/devenv/devenv/plan"
)

// TestRealMirror runs a pod whose image only a mirror has, behind a certificate that only the configured authority vouches for.
func TestRealMirror(t *testing.T) {
	engine := needEngine(t)
	address := ownAddress(t)
	authority, certificate := certify(t, address)
	listener, err := net.Listen("tcp", net.JoinHostPort(address.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler:           registry.New(),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}},
		ReadHeaderTimeout: time.Minute,
	}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() { _ = server.Close() })
	i := newImage(t, 1<<10)
	push(t, engine, i, listener.Addr().String()+"/library/mirrored:1", authority)

	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newReal(t, kind.Spec{
		RegistryMirrors: map[string][]string{"docker.io": {"https://" + listener.Addr().String()}},
		CACertificates:  []string{ca},
	})
	r.create(t)
	node := r.resolved.Cluster.Nodes[0]
	for round, before := range []func(){func() {}, func() { must(t, "docker", "restart", "--time=1", node) }} {
		before()
		if err := r.Start(t.Context(), r.resolved.Cluster, progress(t)); err != nil {
			t.Fatal(err)
		}
		out, err := r.kubectl(t.Context(), "run", []string{"first", "second"}[round], "--image=mirrored:1", "--image-pull-policy=Always", "--restart=Never")
		if err != nil {
			t.Fatal(err, out)
		}
		if out, err := r.kubectl(t.Context(), "wait", "pod", []string{"first", "second"}[round], "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", "--request-timeout=70s"); err != nil {
			state, _ := r.kubectl(t.Context(), "get", "events")
			t.Fatal(err, out, state)
		}
	}
}

// ownAddress is an address of this machine that containers of its engine reach.
func ownAddress(t *testing.T) net.IP {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && ip.IP.IsGlobalUnicast() {
			return ip.IP
		}
	}
	t.Skip("this machine has no address that containers could reach")
	return nil
}

// certify makes a certificate authority and a certificate of it for an address.
func certify(t *testing.T, ip net.IP) (*x509.Certificate, tls.Certificate) {
	t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	ca.Subject.CommonName = "devenv test authority"
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, IPAddresses: []net.IP{ip}}
	der, err = x509.CreateCertificate(rand.Reader, leaf, authority, &key.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	return authority, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// push puts an image of the engine into a registry.
func push(t *testing.T, engine *docker.Engine, i plan.Image, to string, authority *x509.Certificate) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Export(t.Context(), []string{i.Ref}, f); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	image, err := tarball.ImageFromPath(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(to)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(authority)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	if err := remote.Write(ref, image, remote.WithContext(t.Context()), remote.WithTransport(transport)); err != nil {
		t.Fatal(err)
	}
}
