package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/plan"
)

// parityClasses are the classes of differences in the order in which they matter to a reader, and how they look.
var parityClasses = []struct{ name, style string }{{"undeclared", red}, {"declared", yellow}, {"automatic", dim}}

// parity is a comparison with production: the objects that differ, below each the causes, below each the fields.
func (p printer) parity(e event.Parity) string {
	var b strings.Builder
	for i, o := range e.Objects {
		if len(o.Changes) == 0 || i > 0 && isAddon(o) && isAddon(e.Objects[i-1]) && e.Objects[i-1].Source == o.Source {
			continue
		}
		if isAddon(o) {
			b.WriteString(p.parityAddon(e.Objects[i:]))
			continue
		}
		title := p.paint(bold, o.ID.String())
		if o.Hook {
			title += " (hook)"
		}
		switch o.State {
		case "added":
			title += " is not in production"
		case "removed":
			title += " is only in production"
		}
		b.WriteString(title + "\n")
		for _, class := range parityClasses {
			p.parityClass(&b, o.Changes, class.name, class.style)
		}
	}
	for _, gap := range e.NotCompared {
		fmt.Fprintf(&b, "%s %s\n", p.paint(bold, gap.ID.String()), p.paint(red, "not compared: "+gap.Reason))
	}
	style := green
	if e.Counts.Undeclared+e.Counts.NotCompared > 0 {
		style = red
	}
	against := ""
	if e.Against != "" {
		against = p.paint(dim, " (production: "+e.Against+")")
	}
	b.WriteString(p.paint(style, e.Summary) + against + "\n")
	return b.String()
}

// isAddon says that a whole object is here which devenv adds by itself.
func isAddon(o event.ParityObject) bool {
	return o.State == "added" && len(o.Changes) == 1 && o.Changes[0].Class == "automatic"
}

// parityAddon sums up the objects of one add-on, which begin the list.
func (p printer) parityAddon(objects []event.ParityObject) string {
	first, n := objects[0], 0
	for n < len(objects) && isAddon(objects[n]) && objects[n].Source == first.Source {
		n++
	}
	c := first.Changes[0]
	return p.paint(bold, first.Source) + ": " + plan.Count(n, "object") + " not in production\n  " +
		p.paint(dim, c.Class+", "+c.By+": "+c.Cause) + "\n"
}

// parityClass writes the changes of one class, those of one cause together.
func (p printer) parityClass(b *strings.Builder, changes []event.ParityChange, class, style string) {
	type cause struct{ by, text, where string }
	var causes []cause
	fields := map[cause][]event.ParityChange{}
	for _, c := range changes {
		if c.Class != class {
			continue
		}
		of := cause{c.By, c.Cause, c.Where}
		if !slices.Contains(causes, of) {
			causes = append(causes, of)
		}
		fields[of] = append(fields[of], c)
	}
	for _, of := range causes {
		line := class
		if of.by != "" {
			line += ", " + of.by
		}
		if of.text != "" {
			line += ": " + of.text
		}
		line = p.paint(style, line)
		if of.where != "" {
			line += p.paint(dim, " ("+of.where+")")
		}
		b.WriteString("  " + line + "\n")
		for _, c := range fields[of] {
			if c.Path != "" {
				b.WriteString(p.parityField(c))
			}
		}
	}
}

// parityField writes a field and its two values, on one line where they fit.
func (p printer) parityField(c event.ParityChange) string {
	const wide = 110
	old, now := valueText(c.Old), valueText(c.New)
	values := p.paint(red, old) + " → " + p.paint(green, now)
	if utf8.RuneCountInString(c.Path)+utf8.RuneCountInString(old)+utf8.RuneCountInString(now) > wide {
		return "    " + c.Path + "\n      " + values + "\n"
	}
	return "    " + c.Path + "  " + values + "\n"
}

// valueText is a value on one line: text that reads as text is without quotation marks, everything else is JSON; "none" for no value.
func valueText(value any) string {
	if value == nil {
		return "none"
	}
	var encoded bytes.Buffer
	enc := json.NewEncoder(&encoded)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	line := strings.TrimSuffix(encoded.String(), "\n")
	if text, ok := value.(string); ok && line == `"`+text+`"` && text != "" && text != "none" && !json.Valid([]byte(text)) {
		line = text
	}
	const longest = 300
	if utf8.RuneCountInString(line) > longest {
		line = string([]rune(line)[:longest-1]) + "…"
	}
	return line
}
