package view

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// printer writes events as text for people, with or without colour, and times as the clock that it is given has them.
type printer struct {
	color bool
	now   func() time.Time
}

const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (p printer) paint(style, text string) string {
	if !p.color || text == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// duration is a time as a person reads it: 0.4s, 12.3s, 2m05s.
func duration(d time.Duration) string {
	if d >= time.Minute {
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

func (p printer) done(e event.StepDone) string {
	line := p.paint(green, "✓") + " " + e.Step.Done()
	why := e.Step.Cause
	if e.Step.Action == plan.Await {
		why = "" // what it waited for is what the line says
	}
	if e.Detail != "" {
		why = strings.Trim(why+"; "+e.Detail, "; ")
	}
	if why != "" {
		line += p.paint(dim, " ("+why+")")
	}
	if e.Took >= 100*time.Millisecond {
		line += " " + p.paint(dim, duration(e.Took))
	}
	return line
}

func (p printer) failed(e event.StepFailed) string {
	return p.paint(red, "✗") + " " + e.Step.Doing() + " failed " + p.paint(dim, duration(e.Took))
}

func (p printer) skipped(e event.StepSkipped) string {
	return p.paint(yellow, "-") + " skipped " + e.Step.Doing() + p.paint(dim, " (needs "+e.Because.Subject+", which failed)")
}

// error writes each of the errors that err joins: what, where and why, the tool's output indented, and what to do next.
func (p printer) error(err error) string {
	var b strings.Builder
	for _, err := range fault.All(err) {
		fmt.Fprintf(&b, "%s %s\n", p.paint(red, "Error:"), strings.TrimSpace(err.Error()))
		var f *fault.Error
		if !errors.As(err, &f) {
			if fault.Of(err) == fault.Internal {
				b.WriteString("  " + p.paint(cyan, "Next:") + " this is a fault in devenv; please report it with the debug log, devenv.log in the environment's state directory (docs/exit-codes.md)\n")
			}
			continue
		}
		if detail := strings.TrimRight(f.Detail, "\n"); detail != "" {
			for line := range strings.SplitSeq(detail, "\n") {
				b.WriteString("  " + p.paint(dim, "│") + " " + line + "\n")
			}
		}
		if f.Next != "" {
			b.WriteString("  " + p.paint(cyan, "Next:") + " " + strings.ReplaceAll(f.Next, "\n", "\n        ") + "\n")
		}
	}
	return b.String()
}

// answer is the text of events that answer a command, and "" for all others.
func (p printer) answer(e event.Event) string {
	switch e := e.(type) {
	case event.PlanComputed:
		if e.DryRun && len(e.Plan.Steps) == 0 {
			return "nothing to do\n"
		} else if e.DryRun {
			return e.Text
		}
	case event.Rendered:
		return e.YAML
	case event.Text:
		return strings.TrimRight(e.Text, "\n") + "\n"
	case event.Status:
		return p.status(e)
	case event.Parity:
		return p.parity(e)
	case event.Locked:
		return p.locked(e)
	case event.Version:
		return fmt.Sprintf("devenv %s (%s)\n%s, kind %s, Helm %s, Kubernetes client %s, %s\n",
			e.Version, e.Commit, e.Platform, e.Kind, e.Helm, e.Kubernetes, e.Go)
	case event.History:
		return p.history(e)
	case event.Why:
		return p.why(e)
	case event.LogLine:
		return p.paint(cyan, e.Pod+"/"+e.Container) + " " + e.Text + "\n"
	case event.Forwarding:
		return fmt.Sprintf("%s %s  →  %s\n", p.paint(bold, "http://"+e.Local), e.Service, e.Target)
	}
	return ""
}

func (p printer) status(s event.Status) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s", p.paint(bold, "cluster"), s.Cluster.Name, s.Cluster.Status)
	if s.Cluster.Kubernetes != "" {
		fmt.Fprintf(&b, ", Kubernetes %s", s.Cluster.Kubernetes)
	}
	b.WriteByte('\n')
	for _, n := range s.Cluster.Nodes {
		fmt.Fprintf(&b, "  node %s %s\n", n.Name, ready(n.Ready))
	}
	for _, service := range s.Services {
		fmt.Fprintf(&b, "%s %s  %s", p.paint(bold, "service"), service.Name, p.paint(dim, plan.ShortRef(service.Image)))
		switch {
		case len(service.Pods) == 0:
			b.WriteString("  no pods")
		case hotPods(service) > 0:
			b.WriteString("  " + p.paint(yellow, plan.Count(hotPods(service), "pod")+" hot") + p.paint(dim, ", until `devenv up`"))
		case !service.Current:
			b.WriteString("  " + p.paint(yellow, "not what the working tree declares"))
		}
		b.WriteByte('\n')
		for _, w := range service.Workloads {
			fmt.Fprintf(&b, "  %s %d of %d ready", w.ID, w.Ready, w.Desired)
			if w.Message != "" && w.Ready != w.Desired {
				b.WriteString(": " + w.Message)
			}
			b.WriteByte('\n')
		}
		t := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
		for _, pod := range service.Pods {
			fmt.Fprintf(t, "    %s\t%s\t%s\t%s\t%s", pod.Name, pod.Phase, ready(pod.Ready), plan.Count(pod.Restarts, "restart"), pod.Node)
			if pod.Hot != nil {
				fmt.Fprintf(t, "\thot since %s: %s", pod.Hot.Since.Local().Format(time.TimeOnly), pod.Hot)
			}
			fmt.Fprintln(t)
		}
		t.Flush()
		if len(service.Endpoints) > 0 && len(service.Pods) > 0 {
			fmt.Fprintf(&b, "  `devenv forward %s` opens %s\n", service.Name, strings.Join(service.Endpoints, " "))
		}
	}
	return b.String()
}

// hotPods counts a service's pods that run something else than is declared.
func hotPods(s event.Service) int {
	n := 0
	for _, pod := range s.Pods {
		if pod.Hot != nil {
			n++
		}
	}
	return n
}

func ready(ok bool) string {
	if ok {
		return "ready"
	}
	return "not ready"
}
