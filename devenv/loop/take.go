package loop

import (
	"cmp"
	"slices"
	"time"
)

// reducer is one step.
type reducer struct {
	State
	now      time.Time
	commands []Command
}

func (r *reducer) do(c Command) { r.commands = append(r.commands, c) }

// take puts an event into the state.
func (r *reducer) take(e Event) {
	switch e := e.(type) {
	case Changed:
		r.changed(e)
	case Pressed:
		r.pressed(e.Key)
	case ShortcutEnded:
		r.shortcutEnded(e)
	case CycleEnded:
		r.cycleEnded(e)
	case Reloaded:
		r.reloaded(e.Services)
	case Left:
		if r.Away == nil {
			r.Away = e.Err
			r.do(AwaitReturn{})
		}
	case Returned:
		if r.Away != nil {
			r.Away = nil
			r.wantAll("engine and cluster are back")
		}
	case Tick:
	}
}

func (r *reducer) changed(e Changed) {
	together := len(e.Sources)+len(e.Config) > 0 || e.All
	for name, paths := range e.Services {
		s, known := r.Services[name]
		if !known {
			continue
		}
		if s.Retries > 0 {
			s.Retries, s.Rests = 0, time.Time{} // what was changed may be what helps
		}
		s.want(Short, "", paths, r.now)
		if together {
			s.want(Full, "what is deployed changed with it", nil, r.now)
		}
		s.Quiet = r.now
		r.Services[name] = s
	}
	if !together {
		return
	}
	if len(e.Config) > 0 {
		r.release()
	}
	r.Rest.Wanted = true
	r.Rest.Reload = r.Rest.Reload || len(e.Config) > 0
	r.Rest.All = r.Rest.All || e.All || len(e.Config) > 0
	r.Rest.Paths = merge(r.Rest.Paths, slices.Concat(e.Config, e.Sources))
	r.Rest.Since, r.Rest.Quiet = earlier(r.Rest.Since, r.now), r.now
	if e.All {
		r.Rest.Cause = "anything may have changed"
	}
}

func (s *Service) want(w Want, reason string, paths []string, since time.Time) {
	if w >= s.Want {
		s.Want, s.Reason = w, reason
	}
	s.Paths = merge(s.Paths, paths)
	s.Since = earlier(s.Since, since)
}

// wantAll asks for a cycle over everything.
func (r *reducer) wantAll(cause string) {
	r.Rest.Wanted, r.Rest.All = true, true
	r.Rest.Since = earlier(r.Rest.Since, r.now)
	if r.Rest.Cause == "" {
		r.Rest.Cause = cause
	}
}

func (r *reducer) pressed(k Key) {
	switch k {
	case Rebuild:
		r.release()
		r.wantAll("asked for")
	case Settle:
		r.settling = true
	case Quit:
		r.settling = r.Settings.SettleOnExit && !r.Leaving // asked twice, it leaves at once
		r.Leaving = true
	}
}

func (r *reducer) shortcutEnded(e ShortcutEnded) {
	s, known := r.Services[e.Service]
	if !known || s.Doing != InShortcut {
		return
	}
	taken, began := s.taken, s.Began
	s.Doing, s.taken, s.cancelled = Idle, Taken{}, false
	switch {
	case e.Outrun:
		s.giveBack(taken)
		r.outrun(e.Service, &s)
	case e.Stopped:
		s.giveBack(taken)
	case e.Fell:
		// What changed meanwhile goes along: a cycle takes the service as it is when it begins.
		s.want(Full, e.Full, taken.Paths, taken.Since)
	default:
		s.heat(s.Hot || e.Hot, r.now)
		retries := s.Retries
		s.end(Done{Way: e.Way, Cause: e.Cause, Took: r.now.Sub(began), At: r.now, Err: e.Err}, e.Unchanged)
		if e.Err != nil && e.Passes {
			r.again(&s, retries, Short, taken)
		}
	}
	r.Services[e.Service] = s
}

// heat notes whether a service is hot.
func (s *Service) heat(hot bool, now time.Time) {
	if hot && !s.Hot {
		s.Quiet = now
	}
	s.Hot = hot
}

// giveBack puts what a work took back, because it did not end it.
func (s *Service) giveBack(t Taken) {
	if t.Want > Nothing {
		reason := s.Reason
		if t.Want > s.Want {
			reason = t.Reason
		}
		s.want(max(t.Want, s.Want), reason, t.Paths, t.Since)
	}
}

// restless is how many works in a row files have to outrun before that is no chance.
const restless = 3

// outrun notes that files of a service changed while they were being read.
func (r *reducer) outrun(name string, s *Service) {
	s.Outruns++
	rests := r.Settings.Rests
	if s.Outruns < restless || len(rests) == 0 {
		return
	}
	s.Rests = r.now.Add(rests[min(s.Outruns-restless, len(rests)-1)])
	r.do(TellRestless{Service: name})
}

// again has what failed for something that passes be tried again: later, or now if something changed meanwhile.
func (r *reducer) again(s *Service, retries int, w Want, t Taken) {
	if s.Want == Nothing && len(r.Settings.Retries) > 0 {
		s.Retries = retries + 1
		s.Rests = r.now.Add(r.Settings.Retries[min(retries, len(r.Settings.Retries)-1)])
	}
	s.want(max(w, t.Want), t.Reason, t.Paths, r.now)
}

// release has nothing wait any longer.
func (r *reducer) release() {
	for name, s := range r.Services {
		s.Rests, s.Retries = time.Time{}, 0
		r.Services[name] = s
	}
}

// end notes how a work ended.
func (s *Service) end(d Done, unchanged bool) {
	s.Outruns, s.Retries, s.Rests = 0, 0, time.Time{}
	if s.Want == Nothing {
		s.Since = time.Time{}
	}
	if unchanged {
		return
	}
	s.Failed, s.Joins = d.Err != nil, false
	s.Last = d
}

func (r *reducer) cycleEnded(e CycleEnded) {
	c := r.Cycle
	if c == nil {
		return
	}
	r.Cycle = nil
	if c.last {
		r.settling = false
	}
	for _, name := range r.Names() {
		s := r.Services[name]
		if s.Doing != InCycle {
			continue
		}
		taken := s.taken
		s.Doing, s.taken = Idle, Taken{}
		o, told := e.Outcomes[name]
		switch {
		case slices.Contains(e.Outrun, name):
			s.giveBack(taken)
			s.want(Full, cmp.Or(taken.Reason, "its files changed while they were being read"), nil, earlier(taken.Since, r.now))
			r.outrun(name, &s)
		case e.Stopped:
			s.giveBack(taken)
		case told:
			retries := s.Retries
			s.heat(o.Err != nil && s.Hot, r.now) // what could not be settled is still hot
			s.end(Done{Way: "full", Cause: e.Cause, Reason: o.Reason, Took: r.now.Sub(c.Began), At: r.now, Err: o.Err}, false)
			s.Joins = o.Joins
			if o.Err != nil && o.Passes {
				r.again(&s, retries, Full, taken)
			}
		case e.Err != nil:
			s.end(Done{Way: "full", Cause: e.Cause, Took: r.now.Sub(c.Began), At: r.now, Err: e.Err}, false)
			s.Joins = true
		default:
			s.Hot, s.Failed, s.Joins = false, false, false
			s.end(Done{}, true)
		}
		r.Services[name] = s
	}
	if e.Stopped {
		r.restBack(c.rest)
		return
	}
	r.Rest.Failed = e.Err != nil
	if !r.Rest.Wanted {
		r.Rest.Since = time.Time{}
	}
}

func (r *reducer) restBack(t Rest) {
	if !t.Wanted {
		return
	}
	r.Rest.Wanted = true
	r.Rest.Reload, r.Rest.All = r.Rest.Reload || t.Reload, r.Rest.All || t.All
	r.Rest.Paths = merge(t.Paths, r.Rest.Paths)
	r.Rest.Since = earlier(r.Rest.Since, t.Since)
	if r.Rest.Quiet.Before(t.Quiet) {
		r.Rest.Quiet = t.Quiet
	}
	if r.Rest.Cause == "" {
		r.Rest.Cause = t.Cause
	}
}

// reloaded brings the services in line with devenv.yaml. A new one belongs to the cycle that runs, which takes every service.
func (r *reducer) reloaded(names []string) {
	for _, name := range r.Names() {
		if !slices.Contains(names, name) {
			delete(r.Services, name)
		}
	}
	for _, name := range names {
		if _, known := r.Services[name]; known {
			continue
		}
		s := Service{}
		if r.Cycle != nil {
			s.Doing, s.Began = InCycle, r.Cycle.Began
		} else {
			s.Want, s.Reason = Full, "it is new in devenv.yaml"
		}
		r.Services[name] = s
	}
}

// merge adds paths that are not there yet, up to a number that is enough to say what changed.
func merge(to, more []string) []string {
	const most = 1000
	known := make(map[string]bool, len(to))
	for _, p := range to {
		known[p] = true
	}
	to = slices.Clip(to)
	for _, p := range more {
		if len(to) >= most {
			break
		}
		if !known[p] {
			known[p] = true
			to = append(to, p)
		}
	}
	return to
}

// earlier is the earlier of two times, of which the first may be none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
