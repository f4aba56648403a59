package docker

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/distribution/reference"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/pkg/jsonmessage"
	"github.com/docker/go-units"
)

// Pull brings an image from its registry into the engine, with the user's credentials. report takes lines such as
// "pulling golang:1.26, 12.3MB of 65.1MB".
func (e *Engine) Pull(ctx context.Context, ref string, report func(string)) error {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return notAReference(ref, err)
	}
	what := "pulling image " + ref
	auth, err := e.credentials(named)
	if err != nil {
		return err
	}
	r, err := e.api.ImagePull(ctx, named.String(), image.PullOptions{RegistryAuth: auth})
	if err != nil {
		return e.registryFault(ctx, what, named, err)
	}
	defer r.Close()
	if err := followPull(r, reference.FamiliarString(named), report); err != nil {
		return e.registryFault(ctx, what, named, err)
	}
	return nil
}

// followPull reads the engine's account of a pull to its end. An error in the account is the error of the pull.
func followPull(r io.Reader, name string, report func(string)) error {
	layers := transfers{}
	messages := json.NewDecoder(r)
	last := ""
	for {
		var m jsonmessage.JSONMessage
		err := messages.Decode(&m)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if m.Error != nil {
			return m.Error
		}
		if m.Progress == nil || m.Status != "Downloading" {
			continue
		}
		layers.set(m.ID, m.Progress.Current, m.Progress.Total)
		if line := "pulling " + name + ", " + layers.String(); line != last {
			report(line)
			last = line
		}
	}
}

// transfers sums up the parts of a download, of each of which the bytes that came and that will come are known.
type transfers map[string]struct{ current, total int64 }

func (t transfers) set(id string, current, total int64) {
	t[id] = struct{ current, total int64 }{current, max(current, total)}
}

// String is such as "12.3MB of 65.1MB".
func (t transfers) String() string {
	var current, total int64
	for _, x := range t {
		current += x.current
		total += x.total
	}
	return size(current) + " of " + size(total)
}

// size is a number of bytes as people read it: "12.3MB".
func size(bytes int64) string { return units.HumanSizeWithPrecision(float64(bytes), 3) }
