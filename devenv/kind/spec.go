package kind

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/devenv-run/devenv/devenv/fault"
)

// Spec is what the user says of the cluster: the key cluster of devenv.yaml. Paths are absolute.
type Spec struct {
	Workers         int                 // worker nodes beside the control plane; 0: one node does everything
	NodeImage       string              // empty: that of Locked, else kind's default, or what stands in for it on this machine
	Locked          string              // node image that devenv.lock pins for clusters whose Spec names none; not a setting of a cluster
	RegistryMirrors map[string][]string // registry ("docker.io", "*" for all) → URLs that nodes try first, in order
	CACertificates  []string            // PEM files that nodes trust beside the public authorities
	KindConfig      string              // a kind configuration file that is merged under what devenv sets; empty: none
}

// loaded is a Spec with its files read and checked.
type loaded struct {
	Spec
	certificates [][]byte // PEM, one entry a file
	config       kindConfig
}

// load reads the files that s names. Its errors are fault.Config, all of them at once.
func (s Spec) load() (*loaded, error) {
	l := &loaded{Spec: s}
	var errs []error
	for _, path := range s.CACertificates {
		data, err := os.ReadFile(path)
		if err == nil {
			err = checkCertificates(data)
		}
		if err != nil {
			errs = append(errs, &fault.Error{
				Kind: fault.Config, What: "cluster.caCertificates", Where: path, Err: err,
				Next: "Name a file with certificates in PEM format, or remove the entry.",
			})
			continue
		}
		l.certificates = append(l.certificates, data)
	}
	for _, registry := range slices.Sorted(maps.Keys(s.RegistryMirrors)) {
		for _, mirror := range s.RegistryMirrors[registry] {
			if u, err := url.Parse(mirror); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
				errs = append(errs, &fault.Error{
					Kind: fault.Config, What: fmt.Sprintf("cluster.registryMirrors: %q for %s is not a URL", mirror, registry),
					Next: "Write it as https://host or http://host:port.",
				})
			}
		}
	}
	if s.KindConfig != "" {
		var err error
		if l.config, err = readKindConfig(s.KindConfig); err != nil {
			errs = append(errs, err)
		}
	}
	return l, errors.Join(errs...)
}

// checkCertificates reports what is wrong with a PEM file of certificates.
func checkCertificates(data []byte) error {
	found := 0
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("it holds a %s; only certificates belong there", strings.ToLower(block.Type))
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return err
		}
		found++
	}
	if found == 0 {
		return errors.New("it holds no certificate in PEM format")
	}
	return nil
}

// settings are what creating the cluster depends on, as far as the user decides it: files by digest, the rest readable. What devenv
// finds out about the machine is not part of it, nor is a node image that devenv chose: a new default is no
// reason to recreate a cluster.
func (l *loaded) settings() map[string]string {
	set := map[string]string{"workers": strconv.Itoa(l.Workers)}
	if l.NodeImage != "" {
		set["nodeImage"] = l.NodeImage
	}
	if len(l.RegistryMirrors) > 0 {
		mirrors, _ := json.Marshal(l.RegistryMirrors) // a map of strings always encodes, its keys sorted
		set["registryMirrors"] = string(mirrors)
	}
	if len(l.certificates) > 0 {
		var sums []string
		for _, c := range l.certificates {
			sums = append(sums, hashOf(c))
		}
		set["caCertificates"] = strings.Join(sums, " ")
	}
	if l.KindConfig != "" {
		set["kindConfig"] = hashOf(l.config.raw)
	}
	return set
}

// hashSettings is plan.Cluster.Spec.
func hashSettings(set map[string]string) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(set)) {
		fmt.Fprintf(&b, "%s=%q\n", key, set[key])
	}
	return hashOf([]byte(b.String()))
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Changes says what of the Spec is no longer as it was when the cluster was created, one line a setting ("workers: 0 then, 2 now");
// none where there is no cluster. A cluster does not follow such a change: it has to be made anew.
func (k *Clusters) Changes() ([]string, error) {
	identity, err := k.Identity()
	if err != nil || identity == nil {
		return nil, err
	}
	l, err := k.Spec.load()
	if err != nil {
		return nil, err
	}
	return settingChanges(identity.Settings, l.settings()), nil
}

func settingChanges(then, now map[string]string) []string {
	keys := maps.Clone(then)
	maps.Copy(keys, now)
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		was, is := then[key], now[key]
		switch {
		case was == is:
		case key == "caCertificates" || key == "kindConfig":
			lines = append(lines, key+": the file's content changed")
		default:
			lines = append(lines, fmt.Sprintf("%s: %s then, %s now", key, orNone(was), orNone(is)))
		}
	}
	return lines
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
