package hot

import (
	"fmt"
	"slices"

	"github.com/devenv-run/devenv/devenv/digest"
)

// layer completes a decision for the Image way, or says why that is not correct.
func (s Service) layer(d *Decision, base, now digest.Manifest) (why string) {
	changes := Changes(base, now)
	var synced []Change // what the image lacks
	at := map[string]string{}
	unbuilt := "" // why a build of the first of d.Built would be needed
	for _, c := range changes {
		wanted, why := s.wanted(c, base, now)
		if why != "" {
			return why
		}
		u := s.use(c.Path, base, now)
		switch {
		case u.Why == "" || wanted != nil && !u.Final:
		case wanted != nil:
			u.Places = nil
		case s.Compile && !u.Final:
			d.Compile = true
		case s.Outputs != nil && !u.Final:
			if d.Built = append(d.Built, c.Path); unbuilt == "" {
				unbuilt = c.Path + ": " + u.Why
			}
		default:
			return c.Path + ": " + u.Why
		}
		for _, p := range u.Places {
			f, why := s.place(c, p)
			if why != "" {
				return why
			}
			if other, taken := at[p.To]; taken {
				return fmt.Sprintf("%s and %s are both copied to %s", other, c.Path, p.To)
			}
			at[p.To] = c.Path
			d.Layer = append(d.Layer, f)
			wanted = slices.DeleteFunc(wanted, func(w Wanted) bool { return w.To == p.To })
		}
		if len(wanted) > 0 {
			synced = append(synced, c)
		}
		d.Files = append(d.Files, wanted...)
	}
	if why := s.overlap(d.Files, changes, base, now); why != "" {
		return why
	}
	if len(d.Built) > 0 {
		if why := s.Outputs(d.Built, now); why != "" {
			return unbuilt + ", and " + why
		}
	}
	d.Layer = ordered(d.Layer)
	d.Contains = without(now, synced)
	return ""
}

// place is what a change makes of a place of the image.
func (s Service) place(c Change, p Place) (f File, why string) {
	replaced := c.Before != nil && (c.After == nil || c.After.Kind != c.Before.Kind)
	if replaced && !p.Only {
		return f, c.String() + ", and something else may have put a file at " + p.To
	}
	if f, why = s.file(c, p.To); why != "" || f.Gone {
		return f, why
	}
	f.Owner = p.Owner
	if p.Mode != nil && f.Kind != digest.Link {
		f.Mode = *p.Mode
	}
	return f, ""
}

// ordered puts files into an order in which they can be made: what goes away first, directories before what is in them. What is below
// something that goes away, or that is no directory, is not taken away once more.
func ordered(files []File) []File {
	ends := map[string]bool{} // nothing of before is below these any more
	for _, f := range files {
		if f.Gone || f.Kind != digest.Dir {
			ends[f.To] = true
		}
	}
	var order []File
	for _, f := range files {
		if !f.Gone || !under(ends, f.To) {
			order = append(order, f)
		}
	}
	slices.SortStableFunc(order, func(a, b File) int {
		if a.Gone != b.Gone {
			if a.Gone {
				return -1
			}
			return 1
		}
		return compare(a.To, b.To)
	})
	return order
}
