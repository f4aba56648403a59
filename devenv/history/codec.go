package history

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// most is what a packed revision may unpack to, in bytes: more than an API server stores of a hundred objects.
const most = 256 << 20

// ErrDamaged is in the errors of revisions that are kept and cannot be decoded.
var ErrDamaged = errors.New("not a revision")

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

// Decode unpacks what Encode packed. All its errors are ErrDamaged.
func Decode(packed []byte) (Revision, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return Revision{}, fmt.Errorf("%w: unpack it: %w", ErrDamaged, err)
	}
	plain, err := io.ReadAll(io.LimitReader(z, most))
	if err != nil {
		return Revision{}, fmt.Errorf("%w: unpack it: %w", ErrDamaged, err)
	}
	var r Revision
	if err := json.Unmarshal(plain, &r); err != nil {
		return Revision{}, fmt.Errorf("%w: decode it: %w", ErrDamaged, err)
	}
	return r, nil
}
