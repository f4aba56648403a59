package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/plan"
)

// changing says whether something on the board moves.
func changing(b *event.DevServices) bool {
	return b != nil && slices.ContainsFunc(b.Services, func(s event.DevService) bool { return s.State == "changing" })
}

// rank puts services that are worth a look first, where there is not room for all.
var rank = map[string]int{"failed": 0, "changing": 1, "waiting": 2, "hot": 3, "current": 4}

// board is what stands at the bottom of a terminal while `devenv dev` runs: a line for each service, and what the keys do. Lines are at most
// width columns wide, and at most most of them are about services.
func (p printer) board(b *event.DevServices, frame string, now time.Time, width, most int) []string {
	if b == nil {
		return nil
	}
	services, left := b.Services, 0
	if most = max(most, 3); len(services) > most {
		services = slices.SortedStableFunc(slices.Values(services), func(x, y event.DevService) int {
			return cmp.Or(cmp.Compare(rank[x.State], rank[y.State]), y.At.Compare(x.At))
		})
		services, left = services[:most-1], len(services)-most+1
	}
	widest := 0
	for _, s := range services {
		widest = max(widest, utf8.RuneCountInString(s.Name))
	}
	lines := []string{p.paint(dim, strings.Repeat("─", max(1, min(width, 60))))}
	for _, s := range services {
		lines = append(lines, p.service(s, widest, frame, now, width))
	}
	if left > 0 {
		lines = append(lines, p.paint(dim, "  and "+plan.Count(left, "more service")))
	}
	keys := "l logs  r rebuild  s settle  q quit"
	if len(b.Logs) > 0 {
		keys = "l logs of " + strings.Join(b.Logs, ", ") + "  r rebuild  s settle  q quit"
	}
	return append(lines, p.paint(dim, clip(keys, width)))
}

// service is a service's line: state, the last change, how long it took and on which way, and what it waits for.
func (p printer) service(s event.DevService, widest int, frame string, now time.Time, width int) string {
	mark, style := "●", green
	switch s.State {
	case "changing":
		mark, style = frame, cyan
	case "failed":
		mark, style = "✗", red
	case "hot":
		mark, style = "◐", yellow
	case "waiting":
		mark, style = "…", yellow
	}
	state := s.State
	if s.State == "changing" && !s.Began.IsZero() {
		state += " " + duration(now.Sub(s.Began))
	}
	rest := fmt.Sprintf(" %-*s  %-14s", widest, s.Name, state)
	if s.Way != "" {
		rest += fmt.Sprintf(" %-5s %6s  %s  %s", s.Way, fmt.Sprintf("%.2fs", s.Took.Seconds()), s.At.Local().Format("15:04:05"), s.Cause)
	}
	if s.Waits != "" {
		rest += "  waits " + s.Waits
	}
	if s.Reason != "" {
		rest += "  (" + s.Reason + ")"
	}
	return p.paint(style, mark) + clip(rest, width-1)
}
