package devenvtest

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestTopper(t *testing.T) {
	TopperSuite(t, func(*testing.T) TopperSubject {
		fake := &Topper{}
		nodes := []string{"a", "b"}
		made := 0
		ref := func() string {
			made++
			return fmt.Sprintf("registry.example.com/devenvtest/image:devenv-%d", made)
		}
		return TopperSubject{
			Topper: fake, Nodes: nodes, Ref: ref,
			Base: func(*testing.T) string {
				base := ref()
				for _, node := range nodes {
					fake.Hold(node, base)
				}
				return base
			},
			Note: func(_ context.Context, node, ref string) (string, error) {
				layers, ok := fake.Layers(node, ref)
				if !ok {
					return "", errors.New("no such image")
				}
				if len(layers) == 0 {
					return "", nil
				}
				archive := tar.NewReader(strings.NewReader(layers[len(layers)-1]))
				if _, err := archive.Next(); err != nil {
					return "", err
				}
				data, err := io.ReadAll(archive)
				return string(data), err
			},
			Known: func(_ context.Context, node, ref string) (bool, error) {
				_, ok := fake.Layers(node, ref)
				return ok, nil
			},
			Lose: func(_ *testing.T, node, ref string) { fake.Lose(node, ref) },
		}
	})
}
