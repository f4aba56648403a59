package docker

import (
	"cmp"
	"slices"
	"strings"
)

// shortestSecret is how many characters make a line of a secret worth hiding: hiding shorter ones would hide half of every output.
const shortestSecret = 4

// redactor takes the values of secrets out of what is shown. The image never holds them, but a step may print them. The zero value
// knows no secrets.
type redactor struct{ replacer *strings.Replacer }

func newRedactor(secrets map[string][]byte) redactor {
	var lines []string
	for _, v := range secrets {
		for line := range strings.Lines(string(v)) {
			if line = strings.TrimSpace(line); len(line) >= shortestSecret {
				lines = append(lines, line)
			}
		}
	}
	// Longest first: where one secret begins with another, the replacer takes the one that it was given first.
	slices.SortFunc(lines, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	var pairs []string
	for _, l := range lines {
		pairs = append(pairs, l, "***")
	}
	return redactor{strings.NewReplacer(pairs...)}
}

func (r redactor) clean(text string) string {
	if r.replacer == nil {
		return text
	}
	return r.replacer.Replace(text)
}
