package loop

import (
	"slices"
	"time"
)

// dispatch decides what to do now.
func (r *reducer) dispatch() {
	if r.left {
		return
	}
	if r.Leaving && !r.settling || r.Away != nil {
		r.cancelAll()
		if r.Leaving && r.idle() {
			r.left = true
			r.do(Leave{})
		}
		return
	}
	r.supersede()
	if !r.Leaving {
		r.shortcuts()
	}
	r.cycle()
	if r.Leaving && r.idle() {
		r.left = true // everything that was to be settled is, or failed to
		r.do(Leave{})
		return
	}
	r.wake()
}

// idle says whether nothing is in flight.
func (r *reducer) idle() bool {
	for _, s := range r.Services {
		if s.Doing == InShortcut {
			return false
		}
	}
	return r.Cycle == nil
}

func (r *reducer) cancelAll() {
	for _, name := range r.Names() {
		r.cancelShortcut(name)
	}
	r.cancelCycle()
}

func (r *reducer) cancelShortcut(name string) {
	if s := r.Services[name]; s.Doing == InShortcut && !s.cancelled {
		s.cancelled = true
		r.Services[name] = s
		r.do(CancelShortcut{Service: name})
	}
}

func (r *reducer) cancelCycle() {
	if r.Cycle != nil && !r.Cycle.cancelled {
		r.Cycle.cancelled = true
		r.do(CancelCycle{})
	}
}

// supersede cancels what newer changes have made stale.
func (r *reducer) supersede() {
	if r.Leaving {
		return // settling; what is saved now is for the next time
	}
	impatient := func(since time.Time) bool { return !since.IsZero() && r.now.Sub(since) > r.Settings.Patience }
	for _, name := range r.Names() {
		if s := r.Services[name]; s.Doing == InShortcut && (s.Want > Nothing || r.Rest.All) && !impatient(s.taken.Since) {
			r.cancelShortcut(name)
		}
	}
	c := r.Cycle
	if c == nil {
		return
	}
	stale, oldest := c.rest.Wanted && r.Rest.Wanted || r.Rest.Reload, c.rest.Since
	for _, s := range r.Services {
		if s.Doing == InCycle {
			stale = stale || s.Want > Nothing
			oldest = earlier(oldest, s.taken.Since)
		}
	}
	if stale && !impatient(oldest) {
		r.cancelCycle()
	}
}

// shortcuts begins the shortcuts of services that may have one.
func (r *reducer) shortcuts() {
	if r.Rest.Wanted && (r.Rest.All || r.Rest.Reload) && !r.held() || r.Cycle != nil && r.Cycle.rest.Reload {
		return // the cycle to come takes every service, or what a service is changes
	}
	for _, name := range r.Names() {
		s := r.Services[name]
		if s.Want != Short || s.Doing != Idle || r.rests(s) || r.Cycle.works(name) {
			continue
		}
		r.do(TryShortcut{Service: name, Paths: s.Paths, Changed: s.Quiet, Again: s.Retries > 0})
		r.Services[name] = s.begin(InShortcut, r.now)
	}
}

// rests says whether a service waits for its files to rest, or to be tried again.
func (r *reducer) rests(s Service) bool { return r.now.Before(s.Rests) }

// held says whether the next cycle waits for files to rest, because it takes their service in any case.
func (r *reducer) held() bool {
	for _, s := range r.Services {
		if r.rests(s) && s.Retries == 0 && r.Rest.Wanted && r.Rest.All && !r.Leaving {
			return true
		}
	}
	return false
}

// begin has a work take what the service wants.
func (s Service) begin(d Doing, now time.Time) Service {
	s.taken = Taken{Want: s.Want, Reason: s.Reason, Paths: s.Paths, Since: s.Since}
	s.Doing, s.Began = d, now
	s.Want, s.Reason, s.Paths = Nothing, "", nil
	return s
}

// due says whether a hot service is to be settled now.
func (r *reducer) due(s Service) bool {
	if !s.Hot || s.Doing != Idle {
		return false
	}
	return r.settling || !s.Failed && !r.rests(s) && !r.now.Before(s.Quiet.Add(r.Settings.SettleAfter))
}

// cycle begins a cycle, if something wants one.
func (r *reducer) cycle() {
	if r.Cycle != nil || r.held() {
		return
	}
	wanted := r.Rest.Wanted && !r.Leaving
	all := wanted && r.Rest.All
	for _, s := range r.Services {
		switch {
		case s.Doing == InShortcut && (all || wanted && r.Rest.Reload || r.settling || r.undecided(s)):
			return // its end will be the next event, or time
		case s.Doing == Idle && s.Want == Full && !r.Leaving && !r.rests(s), r.due(s):
			wanted = true
		}
	}
	if !wanted {
		r.settling = false // there is nothing that is hot
		return
	}
	r.cycles++
	c := &Cycle{Number: r.cycles, All: all, Began: r.now, last: r.Leaving}
	command := StartCycle{Number: c.Number, All: all, Again: !r.Rest.Wanted && !r.settling, Reasons: map[string]string{}}
	if !r.Leaving {
		c.rest, r.Rest = r.Rest, Rest{Failed: r.Rest.Failed}
		command.Reload, command.Cause, command.Paths, command.Changed = c.rest.Reload, c.rest.Cause, c.rest.Paths, c.rest.Quiet
	}
	for _, name := range r.Names() {
		s := r.Services[name]
		due := r.due(s)
		if s.Doing != Idle || r.rests(s) && !all && !due || !all && s.Want != Full && !due && (!s.Joins || s.Want != Nothing) || r.Leaving && !due {
			continue
		}
		if s.Want == Full && s.Reason != "" {
			command.Reasons[name] = s.Reason
		}
		command.Paths = merge(command.Paths, s.Paths)
		if s.Want != Nothing && command.Changed.Before(s.Quiet) {
			command.Changed = s.Quiet
		}
		c.Settle = c.Settle || due
		c.Services = append(c.Services, name)
		command.Again = command.Again && s.Retries > 0
		r.Services[name] = s.begin(InCycle, r.now)
	}
	command.Services, command.Settle = c.Services, c.Settle || all
	if command.Cause == "" && len(command.Paths) == 0 && c.Settle {
		command.Cause = "settling what is hot"
	}
	r.Cycle, r.settling = c, r.Leaving
	r.do(command)
}

// undecided says whether a shortcut may be about to fall.
func (r *reducer) undecided(s Service) bool { return r.now.Before(s.Began.Add(r.Settings.Decide)) }

// wake asks for the next time at which something becomes due.
func (r *reducer) wake() {
	var at time.Time
	for _, s := range r.Services {
		switch {
		case r.rests(s) && s.Doing == Idle:
			at = earlier(at, s.Rests)
		case s.Doing == InShortcut && r.Cycle == nil && r.undecided(s):
			at = earlier(at, s.Began.Add(r.Settings.Decide))
		case s.Doing == Idle && s.Hot && !s.Failed && r.Cycle == nil:
			at = earlier(at, s.Quiet.Add(r.Settings.SettleAfter))
		}
	}
	if !at.IsZero() && at.After(r.now) {
		r.do(Wake{At: at})
	}
}

// Waits says what a service waits for, and why; empty if it waits for nothing.
func (s State) Waits(name string) string {
	service := s.Services[name]
	switch {
	case s.Away != nil && (service.Want > Nothing || service.Doing != Idle):
		return "until engine and cluster are back"
	case service.Doing != Idle:
		return ""
	case service.Want > Nothing && service.Retries > 0:
		return "to be tried again, or for the next save"
	case service.Want > Nothing && service.Outruns >= restless:
		return "for its files to rest, which change while they are read"
	case service.Want > Nothing && s.Cycle.works(name):
		return "for the cycle that is being stopped"
	case service.Want > Nothing && s.Cycle != nil:
		return "for the cycle of " + plainList(s.Cycle.Services)
	case service.Want > Nothing:
		return "for a cycle"
	case service.Failed:
		return "for the next save"
	case service.Hot:
		return "to be settled"
	}
	return ""
}

func plainList(names []string) string {
	switch len(names) {
	case 0:
		return "the deploy sources"
	case 1:
		return names[0]
	}
	return names[0] + " and " + plainList(slices.Clone(names[1:]))
}
