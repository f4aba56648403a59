package view

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/devenv-run/devenv/devenv/event"
	"github.com/devenv-run/devenv/devenv/fault"
	"github.com/devenv-run/devenv/devenv/plan"
)

// machine is the JSON view: one object a line, each with v, time and type, then the event's own fields.
type machine struct {
	mu  sync.Mutex
	out io.Writer
	now func() time.Time
}

// stepJSON is a step as machines see it.
type stepJSON struct {
	Number  int         `json:"number"`
	Action  plan.Action `json:"action"`
	Subject string      `json:"subject"`
	Cause   string      `json:"cause"`
	Needs   []int       `json:"needs,omitempty"`
	Source  string      `json:"source,omitempty"`
	Service string      `json:"service,omitempty"`
	Image   string      `json:"image,omitempty"`
	Nodes   []string    `json:"nodes,omitempty"`
}

func stepOf(s plan.Step) stepJSON {
	j := stepJSON{Number: s.Number, Action: s.Action, Subject: s.Subject, Cause: s.Cause, Needs: s.Needs, Source: s.Source, Nodes: s.Nodes}
	if s.Image != nil {
		j.Service, j.Image = s.Image.Service, s.Image.Ref
	}
	return j
}

func stepsOf(steps []plan.Step) []stepJSON {
	all := make([]stepJSON, len(steps))
	for i, s := range steps {
		all[i] = stepOf(s)
	}
	return all
}

// errorJSON is an error as machines see it: fault.Error's parts.
type errorJSON struct {
	Message  string `json:"message"`
	What     string `json:"what,omitempty"`
	Where    string `json:"where,omitempty"`
	Cause    string `json:"cause,omitempty"`
	Detail   string `json:"detail,omitempty"`
	Next     string `json:"next,omitempty"`
	ExitCode int    `json:"exitCode"`
}

func errorsOf(err error) []errorJSON {
	var all []errorJSON
	for _, err := range fault.All(err) {
		j := errorJSON{Message: err.Error(), ExitCode: fault.Of(err).ExitCode()}
		var f *fault.Error
		if errors.As(err, &f) {
			j.What, j.Where, j.Detail, j.Next = f.What, f.Where, f.Detail, f.Next
			if f.Err != nil {
				j.Cause = f.Err.Error()
			}
		}
		all = append(all, j)
	}
	return all
}

// Emit implements event.Sink.
func (m *machine) Emit(e event.Event) {
	ms := func(d time.Duration) int64 { return d.Milliseconds() }
	body := devBody(e)
	switch e := e.(type) {
	case event.PlanComputed:
		body = struct {
			event.PlanComputed
			Steps []stepJSON `json:"steps"`
		}{e, stepsOf(e.Plan.Steps)}
	case event.Why:
		body = struct {
			event.Why
			Steps []stepJSON `json:"steps"`
		}{e, stepsOf(e.Steps)}
	case event.StepStarted:
		body = struct {
			Step stepJSON `json:"step"`
		}{stepOf(e.Step)}
	case event.StepProgress:
		body = struct {
			Step int    `json:"step"`
			Text string `json:"text"`
		}{e.Step.Number, e.Text}
	case event.StepDone:
		body = struct {
			Step   stepJSON `json:"step"`
			Took   int64    `json:"tookMs"`
			Detail string   `json:"detail,omitempty"`
		}{stepOf(e.Step), ms(e.Took), e.Detail}
	case event.StepFailed:
		body = struct {
			Step   stepJSON    `json:"step"`
			Took   int64       `json:"tookMs"`
			Errors []errorJSON `json:"errors"`
		}{stepOf(e.Step), ms(e.Took), errorsOf(e.Err)}
	case event.StepStopped:
		body = struct {
			Step stepJSON `json:"step"`
			Took int64    `json:"tookMs"`
		}{stepOf(e.Step), ms(e.Took)}
	case event.StepSkipped:
		body = struct {
			Step    stepJSON `json:"step"`
			Because int      `json:"because"`
		}{stepOf(e.Step), e.Because.Number}
	case event.Result:
		body = struct {
			event.Result
			Took   int64       `json:"tookMs"`
			Errors []errorJSON `json:"errors,omitempty"`
		}{e, ms(e.Took), errorsOf(e.Err)}
	}
	head, _ := json.Marshal(struct {
		V    int       `json:"v"`
		Time time.Time `json:"time"`
		Type string    `json:"type"`
	}{1, m.now().UTC(), e.Type()})
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		// Every event is made of plain fields; one that is not is a fault that the tests find.
		panic(err)
	}
	line := head
	if rest := bytes.TrimSpace(buf.Bytes()); len(rest) > len("{}") {
		line = append(append(head[:len(head)-1], ','), rest[1:]...)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.out.Write(append(line, '\n'))
}

// Close implements View.
func (m *machine) Close() {}
