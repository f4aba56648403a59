package digest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
)

// Inputs are everything that an image is made from.
type Inputs struct {
	Context    Manifest
	Dockerfile []byte            // whole text
	Args       map[string]string // build arguments
	Target     string            // stage, empty for the last
	Platform   string            // "linux/amd64"
	Bases      map[string]string // base images: reference as the Dockerfile has it → digest or image ID
	Secrets    []string          // ids only: like BuildKit's cache, a digest does not depend on a secret's value

	// Dir and DockerfilePath are for the phrases of Diff and not part of the digest: the context's directory and the
	// Dockerfile as the user knows them, such as services/grades and services/grades/Dockerfile.
	Dir            string
	DockerfilePath string
}

// version is the first thing in every digest: another encoding or meaning gets another one.
const version = "devenv inputs 1"

// Digest is the SHA-256 of the inputs in hexadecimal, 64 characters.
func (in Inputs) Digest() string {
	e := encoder{hash: sha256.New(), buf: make([]byte, 0, 1<<16)}
	in.encode(&e)
	e.flush()
	return hex.EncodeToString(e.hash.Sum(nil))
}

// encode writes the inputs so that different inputs are different bytes: every text is preceded by its length, every list by
// its count, and maps are in the order of their keys.
func (in Inputs) encode(e *encoder) {
	e.text(version)
	e.count(len(in.Context))
	for i := range in.Context {
		e.entry(&in.Context[i])
	}
	e.bytes(in.Dockerfile)
	e.pairs(in.Args)
	e.text(in.Target)
	e.text(in.Platform)
	e.pairs(in.Bases)
	secrets := slices.Compact(slices.Sorted(slices.Values(in.Secrets)))
	e.count(len(secrets))
	for _, id := range secrets {
		e.text(id)
	}
}

// encoder collects bytes before it hashes them.
type encoder struct {
	hash hash.Hash
	buf  []byte
}

func (e *encoder) flush() {
	e.hash.Write(e.buf)
	e.buf = e.buf[:0]
}

func (e *encoder) count(n int) { e.buf = binary.AppendUvarint(e.buf, uint64(n)) }

func (e *encoder) text(s string) {
	e.count(len(s))
	e.buf = append(e.buf, s...)
}

func (e *encoder) bytes(b []byte) {
	e.count(len(b))
	e.buf = append(e.buf, b...)
}

func (e *encoder) pairs(m map[string]string) {
	e.count(len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		e.text(k)
		e.text(m[k])
	}
}

func (e *encoder) entry(f *Entry) {
	if len(e.buf) > 1<<15 {
		e.flush()
	}
	e.text(f.Path)
	e.fact(f)
}

// fact is everything of an entry but its path.
func (e *encoder) fact(f *Entry) {
	e.buf = append(e.buf, byte(f.Kind))
	e.count(int(f.Mode))
	switch f.Kind {
	case File:
		e.buf = append(e.buf, f.Hash[:]...)
	case Link, Device:
		e.text(f.Link)
	}
}
