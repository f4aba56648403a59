package view

import (
	"fmt"
	"strings"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/plan"
)

// dev is the line, or the lines, of an event of `devenv dev`; "" for other events, and for those that have none.
func (p printer) dev(e event.Event) string {
	switch e := e.(type) {
	case event.Watching:
		return p.paint(green, "✓") + " watching " + p.paint(dim, strings.Join(e.Services, ", ")) + "\n"
	case event.Changed:
		return p.paint(cyan, "~") + " " + changedPaths(e.Paths) + " changed\n"
	case event.CycleDone:
		return p.cycleDone(e)
	case event.ShortcutDone:
		return p.shortcutDone(e)
	case event.Away:
		return p.paint(yellow, "!") + " waiting: " + e.Err.Error() + "\n"
	case event.Back:
		return p.paint(green, "✓") + " engine and cluster are back " + p.paint(dim, duration(e.After)) + "\n"
	}
	return ""
}

// changedPaths names the first of some paths and says how many more there are.
func changedPaths(paths []string) string {
	switch len(paths) {
	case 0:
		return "something"
	case 1:
		return paths[0]
	case 2:
		return paths[0] + " and " + paths[1]
	}
	return paths[0] + " and " + plan.Count(len(paths)-1, "more file")
}

func (p printer) cycleDone(e event.CycleDone) string {
	what := strings.Join(e.Services, ", ")
	if what == "" {
		what = "what is deployed"
	}
	why := e.Cause
	for _, name := range e.Services {
		if reason := e.Reasons[name]; reason != "" {
			why += "; " + reason
			break
		}
	}
	took := e.Took
	if e.Since > 0 {
		took = e.Since
	}
	if e.Stopped {
		why += "; something newer comes first"
	}
	tail := p.paint(dim, " ("+why+")") + " " + p.paint(dim, duration(took)) + "\n"
	switch {
	case e.OK:
		return p.paint(green, "✓") + " " + what + " up to date" + tail
	case e.Stopped:
		return p.paint(yellow, "-") + " " + what + " stopped" + tail
	}
	return p.paint(red, "✗") + " " + what + " failed; what ran before goes on" + tail + p.error(e.Err)
}

func (p printer) shortcutDone(e event.ShortcutDone) string {
	why := e.Cause
	for _, more := range []string{e.Detail, e.Reason} {
		if more != "" {
			why += "; " + more
		}
	}
	tail := p.paint(dim, " ("+why+")") + " " + p.paint(dim, fmt.Sprintf("%.2fs", e.Took.Seconds())) + "\n"
	if e.OK {
		return p.paint(green, "✓") + " " + e.Service + " " + e.Way + tail
	}
	return p.paint(red, "✗") + " " + e.Service + " " + e.Way + " failed; what ran before goes on" + tail + p.error(e.Err)
}
