package docker

import (
	"strings"

	"github.com/devenv-run/devenv/devenv/secret"
)

// hiding is what takes the secrets of a build, and what the caller wants hidden beside them, out of what is shown. The image never holds them,
// but a step may print them, by the line: every line of a secret is one.
func hiding(b Build, secrets map[string][]byte) *secret.Redactor {
	hidden := b.Hidden
	if hidden == nil {
		hidden = &secret.Redactor{}
	}
	for _, v := range secrets {
		hidden.Add(v)
		for line := range strings.Lines(string(v)) {
			hidden.Add([]byte(strings.TrimSpace(line)))
		}
	}
	return hidden
}
