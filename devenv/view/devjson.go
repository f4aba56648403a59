package view

import "github.com/devenv-run/devenv/devenv/event"

// devBody is an event of `devenv dev` as machines see it, with times in milliseconds and errors in their parts; other events are returned
// as they are.
func devBody(e event.Event) any {
	switch e := e.(type) {
	case event.CycleDone:
		return struct {
			event.CycleDone
			Took   int64       `json:"tookMs"`
			Since  int64       `json:"sinceChangeMs,omitempty"`
			Errors []errorJSON `json:"errors,omitempty"`
		}{e, e.Took.Milliseconds(), e.Since.Milliseconds(), errorsOf(e.Err)}
	case event.ShortcutDone:
		return struct {
			event.ShortcutDone
			Took   int64       `json:"tookMs"`
			Errors []errorJSON `json:"errors,omitempty"`
		}{e, e.Took.Milliseconds(), errorsOf(e.Err)}
	case event.DevServices:
		type service struct {
			event.DevService
			Took int64 `json:"tookMs,omitempty"`
		}
		services := make([]service, len(e.Services))
		for i, s := range e.Services {
			services[i] = service{s, s.Took.Milliseconds()}
		}
		return struct {
			Services []service `json:"services"`
			Logs     []string  `json:"logs,omitempty"`
		}{services, e.Logs}
	case event.Away:
		return struct {
			Errors []errorJSON `json:"errors"`
		}{errorsOf(e.Err)}
	case event.Back:
		return struct {
			After int64 `json:"afterMs"`
		}{e.After.Milliseconds()}
	}
	return e
}
