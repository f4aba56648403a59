package image

import (
	"bytes"
	"fmt"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Assemble makes an image of a manifest and the blobs that came with it. Of the layers that the spool does not hold, held says which layer a
// digest stands for.
func Assemble(manifest []byte, s *Spool, held func(digest string) (Layer, bool)) (*Image, error) {
	m, err := v1.ParseManifest(bytes.NewReader(manifest))
	if err != nil {
		return nil, fmt.Errorf("%w: its manifest: %w", ErrDamaged, err)
	}
	c, ok := s.Get(m.Config.Digest.String())
	if !ok || c.Digest != m.Config.Digest.String() || c.Size > maxText {
		return nil, fmt.Errorf("%w: its configuration did not come", ErrDamaged)
	}
	i := &Image{}
	if i.Config, err = os.ReadFile(c.File); err != nil {
		return nil, err
	}
	conf, err := parseConfig(i.Config)
	if err != nil {
		return nil, err
	}
	if len(conf.RootFS.DiffIDs) != len(m.Layers) {
		return nil, fmt.Errorf("%w: %d layers, of which its configuration names %d", ErrDamaged, len(m.Layers), len(conf.RootFS.DiffIDs))
	}
	for n, d := range m.Layers {
		digest, diffID := d.Digest.String(), conf.RootFS.DiffIDs[n]
		var l Layer
		if b, ok := s.Get(digest); ok && b.Digest == digest {
			l = b.layer()
		} else if l, ok = held(digest); !ok {
			return nil, fmt.Errorf("%w: layer %s did not come", ErrDamaged, digest)
		}
		if l.DiffID != diffID {
			return nil, fmt.Errorf("%w: blob %s is not layer %s", ErrDamaged, digest, diffID)
		}
		i.Layers = append(i.Layers, l)
	}
	return i, nil
}
