package history

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
)

// most is what a packed revision may unpack to, in bytes: more than an API server stores of a hundred objects.
const most = 256 << 20

// Encode packs a revision: JSON, gzipped.
func Encode(r Revision) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	plain := json.NewEncoder(z)
	plain.SetEscapeHTML(false) // objects stay as they were applied, to the byte
	if err := plain.Encode(r); err != nil {
		return nil, fmt.Errorf("encode revision %d of %s: %w", r.Number, r.Service, err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("pack revision %d of %s: %w", r.Number, r.Service, err)
	}
	return b.Bytes(), nil
}

// Decode unpacks what Encode packed.
func Decode(packed []byte) (Revision, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return Revision{}, fmt.Errorf("unpack a revision: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(z, most))
	if err != nil {
		return Revision{}, fmt.Errorf("unpack a revision: %w", err)
	}
	var r Revision
	if err := json.Unmarshal(plain, &r); err != nil {
		return Revision{}, fmt.Errorf("decode a revision: %w", err)
	}
	return r, nil
}
