package view

import (
	"regexp"
	"strings"

	"github.com/devenv-run/devenv/devenv/event"
)

// locked is a line for each entry of devenv.lock that is new, gone or another one, with its digests cut short.
func (p printer) locked(e event.Locked) string {
	var b strings.Builder
	for _, c := range e.Changes {
		switch {
		case c.Before == "":
			b.WriteString(p.paint(green, "+") + " " + c.Entry + p.paint(dim, "  "+shortDigests(c.After)))
		case c.After == "":
			b.WriteString(p.paint(red, "-") + " " + c.Entry + p.paint(dim, "  "+shortDigests(c.Before)))
		default:
			b.WriteString(p.paint(yellow, "~") + " " + c.Entry + p.paint(dim, "  "+shortDigests(c.Before)+" → "+shortDigests(c.After)))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

var longDigest = regexp.MustCompile(`(:[0-9a-f]{12})[0-9a-f]{20,}`)

func shortDigests(text string) string { return longDigest.ReplaceAllString(text, "$1…") }
