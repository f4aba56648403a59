package docker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/cli/cli/config"
	"github.com/docker/docker/client"

	"github.com/devenv-run/devenv/devenv/fault"
)

// store writes a docker configuration directory: the current context, and contexts by name.
func store(t *testing.T, current string, contexts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"config.json": `{"currentContext":"` + current + `"}`}
	for name, meta := range contexts {
		sum := sha256.Sum256([]byte(name))
		files["contexts/meta/"+hex.EncodeToString(sum[:])+"/meta.json"] = meta
	}
	write(t, dir, files)
	return dir
}

const colima = `{"Name":"colima","Metadata":{"Description":"colima"},"Endpoints":{"docker":{"Host":"unix:///colima.sock","SkipTLSVerify":false}}}`

func TestFindEndpoint(t *testing.T) {
	contexts := map[string]string{
		"colima":  colima,
		"far":     `{"Name":"far","Endpoints":{"docker":{"Host":"ssh://dev@far.example.com"}}}`,
		"broken":  `{"Name":`,
		"cluster": `{"Name":"cluster","Endpoints":{"kubernetes":{}}}`,
	}
	tests := map[string]struct {
		current string
		env     map[string]string
		host    string
		origin  string
		environ []string
		err     string // in the fault
	}{
		"nothing said": {
			host: client.DefaultDockerHost, environ: []string{"DOCKER_HOST=", "DOCKER_CONTEXT=default"},
		},
		"the default by name": {
			current: "default", host: client.DefaultDockerHost, environ: []string{"DOCKER_HOST=", "DOCKER_CONTEXT=default"},
		},
		"the current context": {
			current: "colima", host: "unix:///colima.sock", origin: `Docker context "colima"`, environ: []string{"DOCKER_HOST=", "DOCKER_CONTEXT=colima"},
		},
		"DOCKER_CONTEXT before the current context": {
			current: "colima", env: map[string]string{"DOCKER_CONTEXT": "far"},
			host: "ssh://dev@far.example.com", origin: `Docker context "far"`, environ: []string{"DOCKER_HOST=", "DOCKER_CONTEXT=far"},
		},
		"DOCKER_CONTEXT=default before the current context": {
			current: "colima", env: map[string]string{"DOCKER_CONTEXT": "default"},
			host: client.DefaultDockerHost, environ: []string{"DOCKER_HOST=", "DOCKER_CONTEXT=default"},
		},
		"DOCKER_HOST before all": {
			current: "colima", env: map[string]string{"DOCKER_CONTEXT": "far", "DOCKER_HOST": "tcp://10.0.0.1:2375"},
			host: "tcp://10.0.0.1:2375", origin: "DOCKER_HOST", environ: []string{"DOCKER_HOST=tcp://10.0.0.1:2375", "DOCKER_CONTEXT="},
		},
		"TLS and nothing else": {
			env:  map[string]string{"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "testdata/tool"},
			host: "tcp://localhost:2376", origin: "DOCKER_TLS_VERIFY or DOCKER_TLS", environ: []string{"DOCKER_HOST=", "DOCKER_CONTEXT=default"},
		},
		"a context that does not exist": {current: "colimo", err: "broken, cluster"},
		"a context that is not valid":   {current: "broken", err: "not valid"},
		"a context without an engine":   {current: "cluster", err: "names no engine"},
		"certificates that are not there": {
			env:  map[string]string{"DOCKER_HOST": "tcp://10.0.0.1:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "testdata/tool"},
			host: "tcp://10.0.0.1:2376", origin: "DOCKER_HOST", environ: []string{"DOCKER_HOST=tcp://10.0.0.1:2376", "DOCKER_CONTEXT="},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if name == "a context that does not exist" {
				contexts := map[string]string{"broken": `{"Name":"broken"}`, "cluster": `{"Name":"cluster"}`}
				checkEndpointFault(t, store(t, test.current, contexts), test.env, test.err)
				return
			}
			dir := store(t, test.current, contexts)
			if test.err != "" {
				checkEndpointFault(t, dir, test.env, test.err)
				return
			}
			cfg, err := config.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			at, err := findEndpoint(lookUp(test.env), cfg, dir)
			if err != nil {
				t.Fatal(err)
			}
			if at.host != test.host || at.origin != test.origin || !slices.Equal(at.environ, test.environ) {
				t.Errorf("got %+v", at)
			}
			if _, err := at.options(); err != nil {
				t.Error(err)
			}
		})
	}
}

func lookUp(env map[string]string) func(string) string {
	return func(name string) string { return env[name] }
}

func checkEndpointFault(t *testing.T, dir string, env map[string]string, says string) {
	t.Helper()
	cfg, err := config.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = findEndpoint(lookUp(env), cfg, dir)
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Machine || !strings.Contains(f.Error()+f.Next, says) || !strings.Contains(f.What, cfg.CurrentContext) {
		t.Errorf("got %+v, want a fault.Machine that says %q", err, says)
	}
}

func TestContextCertificates(t *testing.T) {
	dir := store(t, "far", map[string]string{"far": `{"Name":"far","Endpoints":{"docker":{"Host":"tcp://far.example.com:2376"}}}`})
	sum := sha256.Sum256([]byte("far"))
	certs := filepath.Join(dir, "contexts", "tls", hex.EncodeToString(sum[:]), "docker")
	cert, key := certificate(t)
	write(t, certs, map[string]string{"ca.pem": cert, "cert.pem": cert, "key.pem": key})
	at, err := fromContext(dir, "far")
	if err != nil {
		t.Fatal(err)
	}
	if at.tls == nil || at.tls.RootCAs == nil || len(at.tls.Certificates) != 1 || at.tls.InsecureSkipVerify {
		t.Errorf("got %+v", at.tls)
	}
	write(t, certs, map[string]string{"ca.pem": "no certificate"})
	if _, err := fromContext(dir, "far"); err == nil || !strings.Contains(err.Error(), "ca.pem") {
		t.Errorf("got %v", err)
	}
}

func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}))
}

func TestUnreachableSaysWhatToDo(t *testing.T) {
	refused := &os.SyscallError{Syscall: "connect", Err: syscall.ECONNREFUSED}
	denied := &fs.PathError{Op: "dial", Path: "/var/run/docker.sock", Err: fs.ErrPermission}
	tests := map[string]struct {
		at   endpoint
		err  error
		next string
	}{
		"own engine":   {endpoint{host: client.DefaultDockerHost}, refused, "systemctl start docker"},
		"DOCKER_HOST":  {endpoint{host: "tcp://10.0.0.1:2375", origin: "DOCKER_HOST"}, refused, "unset DOCKER_HOST"},
		"context":      {endpoint{host: "unix:///colima.sock", origin: `Docker context "colima"`}, refused, `Docker context "colima"`},
		"no right":     {endpoint{host: client.DefaultDockerHost}, denied, "usermod"},
		"no right too": {endpoint{host: client.DefaultDockerHost}, errors.New("dial unix: connect: permission denied"), "usermod"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var f *fault.Error
			if !errors.As(test.at.unreachable(test.err), &f) || f.Kind != fault.Machine || !errors.Is(f, test.err) {
				t.Fatalf("got %+v", f)
			}
			if !strings.Contains(f.Next, test.next) || !strings.Contains(f.What, test.at.host) {
				t.Errorf("%s\n%s", f, f.Next)
			}
		})
	}
}
