package view

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/plan"
)

// why writes the answer first, then what it follows from.
func (p printer) why(w event.Why) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", p.paint(bold, w.Subject), w.Answer)
	if w.Service != nil {
		p.whyService(&b, *w.Service)
	}
	if w.Object != nil {
		p.whyObject(&b, *w.Object)
	}
	for _, waits := range w.Waiting {
		fmt.Fprintf(&b, "  %s is not ready: %s\n", waits.ID, waits.Message)
		if waits.Reason != "" {
			fmt.Fprintf(&b, "    %s\n", p.paint(red, waits.Reason))
		}
		if waits.Detail != "" {
			for line := range strings.SplitSeq(waits.Detail, "\n") {
				fmt.Fprintf(&b, "    %s %s\n", p.paint(dim, "│"), line)
			}
		}
		if waits.Next != "" {
			fmt.Fprintf(&b, "    %s %s\n", p.paint(cyan, "Next:"), waits.Next)
		}
	}
	if len(w.Steps) == 0 {
		b.WriteString("  `devenv up` would do nothing to it\n")
		return b.String()
	}
	b.WriteString("  `devenv up` would do:\n")
	for _, s := range w.Steps {
		fmt.Fprintf(&b, "    %s\n", s)
	}
	return b.String()
}

func (p printer) whyService(b *strings.Builder, s event.WhyService) {
	fmt.Fprintf(b, "  image     %s\n", plan.ShortRef(s.Image))
	if s.Deployed != "" {
		fmt.Fprintf(b, "  deployed  %s at %s\n", plan.ShortRef(s.Deployed), moment(s.At))
	} else if !s.At.IsZero() {
		fmt.Fprintf(b, "  deployed  at %s\n", moment(s.At))
	} else {
		b.WriteString("  deployed  not yet, as far as is remembered here\n")
	}
	if len(s.Objects) > 0 {
		fmt.Fprintf(b, "  runs in   %s\n", strings.Join(s.Objects, ", "))
	}
	for _, h := range s.Hot {
		fmt.Fprintf(b, "  hot       %s\n", h)
	}
	if len(s.Changes) > 0 {
		b.WriteString("  changed since:\n")
		for _, c := range s.Changes {
			fmt.Fprintf(b, "    %s\n", c)
		}
	}
}

func (p printer) whyObject(b *strings.Builder, o event.WhyObject) {
	if o.Origin != "" {
		fmt.Fprintf(b, "  declared  in %s, source %s\n", o.Origin, o.Source)
	}
	switch {
	case !o.Applied.IsZero():
		fmt.Fprintf(b, "  applied   last changed by devenv at %s\n", moment(o.Applied))
	case !o.Exists && o.Origin != "":
		b.WriteString("  applied   not yet: it does not exist\n")
	}
	if o.Refused != "" {
		fmt.Fprintf(b, "  %s %s\n", p.paint(red, "the API server would refuse it:"), o.Refused)
	}
	if len(o.Fields) > 0 {
		b.WriteString("  not as declared:\n")
		for _, f := range o.Fields {
			fmt.Fprintf(b, "    %s: %s, declared %s%s\n", f.Path, value(f.Live), value(f.Declared), by(f))
		}
	}
	if len(o.Writers) > 0 {
		names := make([]string, len(o.Writers))
		for i, w := range o.Writers {
			names[i] = w.Manager
			if w.Subresource != "" {
				names[i] += " (" + w.Subresource + ")"
			}
			if !w.At.IsZero() {
				names[i] += " at " + moment(w.At)
			}
		}
		fmt.Fprintf(b, "  others    %s\n", strings.Join(names, ", "))
	}
}

// by says who holds a field and since when.
func by(f event.FieldChange) string {
	if f.Manager == "" {
		return ""
	}
	text := " (by " + f.Manager
	if !f.At.IsZero() {
		text += " at " + moment(f.At)
	}
	return text + ")"
}

// moment is a time as the reader's clock shows it.
func moment(t time.Time) string { return t.Local().Format(time.DateTime) }

// longestValue is how many characters of a field's value are worth showing.
const longestValue = 120

func value(v json.RawMessage) string {
	if len(v) == 0 {
		return "nothing"
	}
	return clip(string(v), longestValue)
}
