package config

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Forward is a port on 127.0.0.1 that leads to one of a service's pods.
type Forward struct {
	Local  int    // port on this machine
	Remote string // a port of the service: its number, or its name
}

// forwardPattern is what JSON Schema is told; UnmarshalText is the judge.
const forwardPattern = `^[0-9]+(:([0-9]+|[a-z0-9-]+))?$`

var portName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$`)

// UnmarshalText reads 8081:8080, 8081:http or 8080.
func (f *Forward) UnmarshalText(text []byte) error {
	local, remote, two := strings.Cut(string(text), ":")
	if !two {
		remote = local
	}
	port, err := portNumber(local)
	if err != nil {
		return fmt.Errorf("%q is not LOCAL:REMOTE or PORT: %w", text, err)
	}
	if strings.Trim(remote, "0123456789") == "" {
		_, err = portNumber(remote)
	} else if !portName.MatchString(remote) {
		err = fmt.Errorf("%q is neither a port number nor the name of a port", remote)
	}
	if err != nil {
		return fmt.Errorf("%q is not LOCAL:REMOTE or PORT: %w", text, err)
	}
	f.Local, f.Remote = port, remote
	return nil
}

// MarshalText writes LOCAL:REMOTE.
func (f Forward) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// String is LOCAL:REMOTE.
func (f Forward) String() string { return strconv.Itoa(f.Local) + ":" + f.Remote }

func portNumber(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 65535 || text[0] == '+' {
		return 0, fmt.Errorf("%q is not a port from 1 to 65535", text)
	}
	return n, nil
}

// Secret is where a build secret's value comes from: a file or an environment variable, never devenv.yaml itself.
type Secret struct {
	File string // path, relative to the file's directory; empty if Env is set
	Env  string // name of an environment variable
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// UnmarshalText reads a path or env:NAME.
func (s *Secret) UnmarshalText(text []byte) error {
	name, env := strings.CutPrefix(string(text), "env:")
	switch {
	case env && !envName.MatchString(name):
		return fmt.Errorf("%q is not env:NAME with the name of an environment variable", text)
	case env:
		s.Env = name
	case name == "":
		return errors.New("a secret is the path of a file or env:NAME")
	default:
		s.File = name
	}
	return nil
}
