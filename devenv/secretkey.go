package devenv

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/secret"
)

// masker hides the values of Secrets behind hashes that are keyed with the environment's own key, so that the same value has the same
// hash in every run and on no other machine.
func (p *Project) masker() (secret.Masker, error) {
	key, err := p.state.secretKey()
	if err != nil {
		return secret.Masker{}, &fault.Error{
			Kind: fault.Machine, What: "the key for hashes of secrets cannot be kept", Err: err, Next: "Make the state directory writable.",
		}
	}
	return secret.NewMasker(key), nil
}

// secretKey reads the environment's key, or makes one, readable by the user only. Losing it does no harm: Secrets are applied once more. One that
// was cut short is replaced.
func (s state) secretKey() (secret.Key, error) {
	path := s.path("secret.key")
	for {
		data, err := os.ReadFile(path)
		if err == nil && len(data) == len(secret.Key{}) {
			return secret.Key(data), nil
		}
		if err == nil {
			err = os.Remove(path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return secret.Key{}, err
		}
		// Two commands may get here at once: the first to link its key wins, and both read that one.
		if err := s.offerKey(path, secret.NewKey()); err != nil && !errors.Is(err, fs.ErrExist) {
			return secret.Key{}, err
		}
	}
}

// offerKey puts a whole key at path if there is none yet.
func (s state) offerKey(path string, key secret.Key) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".secret.key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(key[:]); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Link(tmp.Name(), path)
}
