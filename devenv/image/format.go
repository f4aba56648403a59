package image

import (
	"bytes"
	"compress/gzip"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Format is how a layer's blob is compressed.
type Format int

// The formats.
const (
	Plain Format = iota // an archive, not compressed
	Gzip
	Zstd
)

// magicSize is how many bytes tell a format.
const magicSize = 4

// FormatOf tells the format of a blob by its first four bytes, or all of it if it is shorter.
func FormatOf(start []byte) Format {
	switch {
	case bytes.HasPrefix(start, []byte{0x1f, 0x8b}):
		return Gzip
	case bytes.HasPrefix(start, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return Zstd
	}
	return Plain
}

// mediaType is how a manifest calls a layer in this format.
func (f Format) mediaType() string {
	const plain = "application/vnd.oci.image.layer.v1.tar"
	switch f {
	case Gzip:
		return plain + "+gzip"
	case Zstd:
		return plain + "+zstd"
	}
	return plain
}

// expand reads what a blob in this format holds.
func (f Format) expand(r io.Reader) (io.ReadCloser, error) {
	switch f {
	case Gzip:
		return gzip.NewReader(r)
	case Zstd:
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return io.NopCloser(r), nil
}
