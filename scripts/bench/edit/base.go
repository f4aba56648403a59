package main

import (
	"archive/tar"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os/exec"

	"github.com/devenv-run/devenv/scripts/bench/measure"
)

// makeBase puts the base of the big image into the engine, if it is not there: noise, which is the same to all who do not compress it.
func makeBase(ctx context.Context) error {
	if _, err := measure.Run(ctx, "", measure.Docker(), "image", "inspect", baseImage); err == nil {
		return nil
	}
	r, w := io.Pipe()
	go func() {
		archive := tar.NewWriter(w)
		err := archive.WriteHeader(&tar.Header{Name: "base", Mode: 0o644, Size: baseSize})
		if err == nil {
			_, err = io.CopyN(archive, rand.Reader, baseSize)
		}
		w.CloseWithError(errors.Join(err, archive.Close()))
	}()
	cmd := exec.CommandContext(ctx, measure.Docker(), "import", "-", baseImage)
	cmd.Stdin = r
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("docker import: %w\n%s", err, out)
	}
	return nil
}
