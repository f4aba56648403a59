package devenvtest

import (
	"slices"
	"testing"

	"github.com/devenv-run/devenv/devenv/hot"
)

func TestInside(t *testing.T) {
	InsideSuite(t, func(*testing.T) InsideSubject {
		fake, c := &Inside{}, hot.Container{Node: "a", ID: "1"}
		fake.Run(c)
		return InsideSubject{
			Inside: fake, Container: c,
			Look: func(_ *testing.T, path string) hot.File { return fake.Look(c, path) },
			Heard: func(t *testing.T, signal string) {
				if !slices.Contains(fake.Heard(c), signal) {
					t.Errorf("heard %v", fake.Heard(c))
				}
			},
			Stop: func(*testing.T) { fake.Stop(c) },
		}
	})
}
