package docker

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/connhelper"
	"github.com/docker/docker/client"

	"github.com/devenv-run/devenv/devenv/fault"
)

// endpoint is where an engine is to be found, and how it is spoken to.
type endpoint struct {
	host    string      // unix:///var/run/docker.sock, tcp://…, ssh://…, npipe://…
	origin  string      // what named it: "DOCKER_HOST", `Docker context "colima"`; empty for the machine's own engine
	tls     *tls.Config // nil where the connection is not encrypted, or by ssh
	environ []string    // see Engine.Environ
}

// findEndpoint decides as the docker command does: DOCKER_HOST, then DOCKER_CONTEXT, then the configuration's current context,
// then the default. dir is the docker configuration directory.
func findEndpoint(getenv func(string) string, cfg *configfile.ConfigFile, dir string) (endpoint, error) {
	name, origin := getenv("DOCKER_CONTEXT"), "DOCKER_CONTEXT"
	if name == "" {
		name, origin = cfg.CurrentContext, "currentContext in "+filepath.Join(dir, "config.json")
	}
	if host := getenv("DOCKER_HOST"); host != "" || name == "" || name == "default" {
		return fromEnvironment(getenv, host, dir)
	}
	at, err := fromContext(dir, name)
	if err != nil {
		next := "`docker context use default` returns to the machine's own engine."
		if others := contextNames(dir); len(others) > 0 {
			next = "Choose one that exists (" + strings.Join(others, ", ") + ") with `docker context use`; default is the machine's own engine."
		}
		return endpoint{}, &fault.Error{
			Kind: fault.Machine, What: fmt.Sprintf("Docker context %q (from %s) cannot be used", name, origin), Err: err, Next: next,
		}
	}
	return at, nil
}

// fromEnvironment is the endpoint of DOCKER_HOST and the TLS variables that go with it, or the machine's own for an empty host.
func fromEnvironment(getenv func(string) string, host, dir string) (endpoint, error) {
	at := endpoint{host: host, origin: "DOCKER_HOST", environ: []string{"DOCKER_HOST=" + host, "DOCKER_CONTEXT="}}
	if host == "" {
		at = endpoint{host: client.DefaultDockerHost, environ: []string{"DOCKER_HOST=", "DOCKER_CONTEXT=default"}}
	}
	if verify := getenv("DOCKER_TLS_VERIFY"); verify != "" || getenv("DOCKER_TLS") != "" {
		if host == "" {
			at.host, at.origin = defaultTLSHost, fromTLS
		}
		certs := getenv("DOCKER_CERT_PATH")
		if certs == "" {
			certs = dir
		}
		var err error
		if at.tls, err = tlsConfig(certs, verify == ""); err != nil {
			return endpoint{}, &fault.Error{
				Kind: fault.Machine, What: "the certificates for DOCKER_HOST cannot be used", Err: err,
				Next: "Point DOCKER_CERT_PATH at the directory that holds ca.pem, cert.pem and key.pem, or unset DOCKER_TLS_VERIFY.",
			}
		}
	}
	return at, nil
}

// defaultTLSHost is where the docker command expects an engine if it is told to use TLS and not where.
const defaultTLSHost = "tcp://localhost:2376"

// fromTLS is the origin of that.
const fromTLS = "DOCKER_TLS_VERIFY or DOCKER_TLS"

// fromContext reads a context from the docker command's store: contexts/meta/<SHA-256 of the name>/meta.json, its
// certificates in contexts/tls/<SHA-256>/docker.
func fromContext(dir, name string) (endpoint, error) {
	sum := sha256.Sum256([]byte(name))
	id := hex.EncodeToString(sum[:])
	data, err := os.ReadFile(filepath.Join(dir, "contexts", "meta", id, "meta.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return endpoint{}, errors.New("there is no context of that name")
	}
	if err != nil {
		return endpoint{}, err
	}
	var meta contextMeta
	if err := json.Unmarshal(data, &meta); err != nil {
		return endpoint{}, fmt.Errorf("its description is not valid: %w", err)
	}
	if meta.Endpoints.Docker.Host == "" {
		return endpoint{}, errors.New("it names no engine")
	}
	at := endpoint{
		host:    meta.Endpoints.Docker.Host,
		origin:  fmt.Sprintf("Docker context %q", name),
		environ: []string{"DOCKER_HOST=", "DOCKER_CONTEXT=" + name},
	}
	certs := filepath.Join(dir, "contexts", "tls", id, "docker")
	if _, err := os.Stat(certs); err == nil || meta.Endpoints.Docker.SkipTLSVerify {
		if at.tls, err = tlsConfig(certs, meta.Endpoints.Docker.SkipTLSVerify); err != nil {
			return endpoint{}, err
		}
	}
	return at, nil
}

// contextMeta is what is read of a context's description.
type contextMeta struct {
	Name      string
	Endpoints struct {
		Docker struct {
			Host          string
			SkipTLSVerify bool
		} `json:"docker"`
	}
}

// contextNames lists the contexts that exist beside default, for messages; what cannot be read is left out.
func contextNames(dir string) []string {
	files, _ := filepath.Glob(filepath.Join(dir, "contexts", "meta", "*", "meta.json"))
	var names []string
	for _, f := range files {
		var meta contextMeta
		if data, err := os.ReadFile(f); err == nil && json.Unmarshal(data, &meta) == nil && meta.Name != "" {
			names = append(names, meta.Name)
		}
	}
	slices.Sort(names)
	return names
}

// tlsConfig reads ca.pem, cert.pem and key.pem, each of which may be absent.
func tlsConfig(dir string, skipVerify bool) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: skipVerify}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err == nil {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("%s holds no certificate", filepath.Join(dir, "ca.pem"))
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err == nil {
		c.Certificates = []tls.Certificate{pair}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return c, nil
}

// options make a client of the endpoint. An ssh host is reached the way the docker command reaches it: through the ssh program,
// with `docker system dial-stdio` at the other end.
func (at endpoint) options() ([]client.Opt, error) {
	helper, err := connhelper.GetConnectionHelper(at.host)
	if err != nil {
		return nil, err
	}
	if helper != nil {
		return []client.Opt{
			client.WithHTTPClient(&http.Client{Transport: &http.Transport{DialContext: helper.Dialer}}),
			client.WithHost(helper.Host),
			client.WithDialContext(helper.Dialer),
		}, nil
	}
	var opts []client.Opt
	if at.tls != nil && !at.local() {
		opts = append(opts, client.WithHTTPClient(&http.Client{
			Transport:     &http.Transport{TLSClientConfig: at.tls.Clone()},
			CheckRedirect: client.CheckRedirect,
		}))
	}
	return append(opts, client.WithHost(at.host)), nil
}

// local says whether the endpoint is a socket of this machine, for which TLS means nothing.
func (at endpoint) local() bool {
	return strings.HasPrefix(at.host, "unix://") || strings.HasPrefix(at.host, "npipe://")
}

// unreachable is the fault of an engine that does not answer at the endpoint.
func (at endpoint) unreachable(err error) error {
	f := &fault.Error{Kind: fault.Machine, What: "the Docker Engine at " + at.host + " does not answer", Err: err}
	switch {
	case errors.Is(err, fs.ErrPermission) || strings.Contains(err.Error(), "permission denied"):
		f.What = "the Docker Engine at " + at.host + " may not be used by this user"
		f.Next = `Join the group that may (` + "`sudo usermod -aG docker \"$USER\"`" + `) and log in again, or use rootless Docker.`
	case at.origin == "DOCKER_HOST":
		f.Next = "DOCKER_HOST names this engine: start it, or unset DOCKER_HOST to use the current Docker context."
	case at.origin == fromTLS:
		f.Next = "It is where docker looks if " + fromTLS + " is set and DOCKER_HOST is not: set DOCKER_HOST as well, or unset them."
	case at.origin != "":
		f.Next = "Start the engine of " + at.origin + ", or choose another with `docker context use`."
	default:
		f.Next = "Start Docker Desktop, or run `sudo systemctl start docker`. " +
			"Where no engine is installed, `scripts/setup` in devenv's repository sets one up."
	}
	return f
}
