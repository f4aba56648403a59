package view

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/plan"
)

// when is a moment as people read it, in the zone of the view's clock.
func (p printer) when(t time.Time) string {
	return t.In(p.now().Location()).Format("2006-01-02 15:04:05")
}

// returned says what a workload goes on as.
func (p printer) returned(e event.Returned) string {
	line := fmt.Sprintf("%s %s goes on as in revision %d of %s", p.paint(yellow, "↩"), e.Workload, e.Revision, e.Service)
	if !e.Ready {
		line += ", not ready yet"
	}
	about := plan.ShortRef(e.Image) + ", ready since " + p.when(e.Since)
	if e.Shares != "" {
		about += "; it has " + e.Shares + " in common with what failed"
	}
	return line + p.paint(dim, " ("+about+")") + "\n"
}

// history is a table of revisions, with a star at the one that runs.
func (p printer) history(e event.History) string {
	if len(e.Revisions) == 0 {
		return "no revision of " + e.Service + " yet: `devenv up` records one when it is ready\n"
	}
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\tREVISION\tREADY\tIMAGE\tWHAT CHANGED")
	for _, r := range e.Revisions {
		mark := ""
		if r.Current {
			mark = "*"
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\n", mark, r.Number, p.when(r.At), plan.ShortRef(r.Image), r.Cause)
	}
	t.Flush()
	return b.String()
}
