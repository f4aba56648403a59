package devenv

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/devenv-run/devenv/devenv/digest"
	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/plan"
	"github.com/devenv-run/devenv/devenv/secret"
)

// Why emits why a service or an object would be, or was last, rebuilt or applied, or why not; and if it is not ready, what it is waiting
// for. name is a service's, or an object's as findSubject takes it. It changes nothing.
func (p *Project) Why(ctx context.Context, name string) error {
	p.notices()
	g, err := p.gather(ctx, nil)
	if err != nil {
		return stopped(ctx, err)
	}
	defer g.close()
	about, err := findSubject(name, p.subjects(g))
	if err != nil {
		return err
	}
	mask, err := p.masker()
	if err != nil {
		return err
	}
	a := asked{gathered: g, mask: mask, todo: g.plan()}
	var answer event.Why
	if about.service != "" {
		answer, err = p.whyService(ctx, a, about.service)
	} else {
		answer, err = a.object(ctx, about)
	}
	if err != nil {
		return stopped(ctx, err)
	}
	p.sink.Emit(answer)
	return nil
}

// asked is everything that an answer is made from.
type asked struct {
	*gathered
	mask secret.Masker
	todo plan.Plan
}

// whyService answers for a service: what its image follows from, and what the pods that run it wait for.
func (p *Project) whyService(ctx context.Context, a asked, name string) (event.Why, error) {
	i := a.images[slices.IndexFunc(a.images, func(i image) bool { return i.service.Name == name })]
	s := &event.WhyService{Name: name, Image: i.ref}
	last, deployed := p.recall(name)
	if deployed {
		s.Deployed, s.At, s.Changes = last.Ref, utc(last.At), digest.Diff(last.Summary, i.inputs)
	}
	runs := func(o *plan.Object) bool { return slices.Contains(o.Images, i.ref) }
	w := event.Why{Subject: "service " + name, Service: s}
	w.Steps = a.todo.Concerning(func(step plan.Step) bool {
		return step.Image != nil && step.Image.Service == name || step.Object != nil && runs(step.Object) || step.Hook != nil && runs(&step.Hook.Object)
	})
	for o := range objects(a.desired.Sources) {
		if !runs(o) {
			continue
		}
		s.Objects = append(s.Objects, o.ID.String())
		if hot := a.observed.Hot[o.ID]; hot != "" {
			s.Hot = append(s.Hot, o.ID.String()+": "+hot)
		}
		if live := a.observed.Live[o.ID]; live.Exists && !live.Ready && a.cluster != nil {
			e, err := a.cluster.Explain(ctx, *o, a.mask.Object)
			if err != nil {
				return w, err
			}
			if e.Exists && !e.Ready {
				w.Waiting = append(w.Waiting, event.Waiting{ID: o.ID.String(), Message: e.Message, Reason: e.Hopeless, Detail: e.Detail, Next: e.Next})
			}
		}
	}
	w.Answer = answerFor(digest.Cause(s.Changes), s.At, w)
	return w, nil
}

// answerFor is an answer in one line: the cause of what would be done, and since when that is so; or that nothing would; and what is
// waited for. cause may be empty, then the plan's is told.
func answerFor(cause string, since time.Time, w event.Why) string {
	at := ""
	if !since.IsZero() {
		at = " since " + since.Local().Format(time.DateTime)
	}
	var said, hot []string
	if w.Service != nil {
		hot = w.Service.Hot
	}
	switch own := ownSteps(w); {
	case cause != "":
		said = append(said, cause+at)
	case len(own) > 0:
		said = append(said, own[0].Cause)
		hot = nil // the cause
	case at != "":
		said = append(said, "unchanged"+at)
	default:
		said = append(said, "nothing to do")
	}
	said = append(said, hot...)
	for _, waits := range w.Waiting {
		text := waits.ID + " is not ready: " + waits.Message
		if waits.Reason != "" {
			text = waits.ID + " will not become ready: " + waits.Reason
		}
		said = append(said, text)
	}
	return strings.Join(said, "; ")
}

// ownSteps are those that do something to the subject itself; waiting for it is not a cause.
func ownSteps(w event.Why) []plan.Step {
	return slices.DeleteFunc(slices.Clone(w.Steps), func(s plan.Step) bool {
		if s.Action == plan.Await {
			return true
		}
		if w.Service != nil {
			return (s.Image == nil || s.Image.Service != w.Service.Name) && s.Action != plan.Apply && s.Action != plan.Restart && s.Action != plan.Run
		}
		return s.Subject != w.Subject && s.Subject != "hook "+w.Subject
	})
}

// object answers for an object: what is declared against what is, who else changed it, and what it waits for.
func (a asked) object(ctx context.Context, about subject) (event.Why, error) {
	id := about.id
	o := &event.WhyObject{ID: id.String(), Source: about.source}
	w := event.Why{Subject: id.String(), Object: o}
	w.Steps = a.todo.Concerning(func(s plan.Step) bool {
		return s.Object != nil && s.Object.ID == id || s.Hook != nil && s.Hook.ID == id || s.ID != nil && *s.ID == id
	})
	if about.object == nil {
		o.Exists = true
		w.Answer = "no longer declared"
		for _, k := range a.todo.Kept {
			if k.ID == id {
				w.Answer += ", and kept: " + k.Reason
			}
		}
		return w, nil
	}
	o.Origin = about.object.Origin
	if a.cluster == nil {
		w.Answer = "the cluster is " + string(a.state.Status)
		return w, nil
	}
	if about.isHook {
		w.Answer = answerFor("", time.Time{}, w)
		if len(w.Steps) == 0 && a.observed.Hooks[id] == about.hookHash {
			w.Answer = "it ran as it is declared now"
		}
		return w, nil
	}
	e, err := a.cluster.Explain(ctx, *about.object, a.mask.Object)
	if err != nil {
		return w, err
	}
	o.Exists, o.Applied, o.Refused = e.Exists, utc(e.Applied), e.Refused
	for _, f := range e.Fields {
		o.Fields = append(o.Fields, event.FieldChange{Path: f.Path, Live: asJSON(f.Live), Declared: asJSON(f.Declared), Manager: f.Manager, At: utc(f.At)})
	}
	for _, by := range e.Writers {
		o.Writers = append(o.Writers, event.Writer{Manager: by.Manager, At: utc(by.At), Subresource: by.Subresource})
	}
	if e.Exists && !e.Ready {
		w.Waiting = []event.Waiting{{ID: o.ID, Message: e.Message, Reason: e.Hopeless, Detail: e.Detail, Next: e.Next}}
	}
	cause := ""
	if own := ownSteps(w); len(own) > 0 {
		cause = own[0].Cause
	}
	w.Answer = answerFor(cause, o.Applied, w)
	return w, nil
}

// utc is a time as events have it; the zero time stays what it is.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

// asJSON is a value as JSON; nil stays nil.
func asJSON(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil // nothing that was decoded from JSON
	}
	return text
}
