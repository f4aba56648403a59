package lock

import "slices"

// Update makes the File that pins what is found, every image of which has to be known. f is the File until now, or empty: an
// entry of it that still holds stays as it is, and so do the local pins of other platforms, which are not known here.
func (f *File) Update(found Found) *File {
	var next File
	for _, g := range f.groups(found) {
		var list []Image
		for _, u := range g.uses {
			for _, e := range u.entries(g.entries) {
				e.Line = 0
				same := func(o Image) bool { return o.Name == e.Name && o.Platform == e.Platform }
				if i := slices.IndexFunc(list, same); i >= 0 {
					list[i].Default = list[i].Default || e.Default
					continue
				}
				list = append(list, e)
			}
		}
		switch g.what {
		case nodeImage:
			next.NodeImages = list
		case baseImage:
			next.BaseImages = list
		case podImage:
			next.Images = list
		}
	}
	next.Charts = slices.Clone(found.Charts)
	next.ChartLocks = slices.Clone(found.ChartLocks)
	next.sort()
	next.Charts = slices.Compact(next.Charts)
	next.ChartLocks = slices.Compact(next.ChartLocks)
	return &next
}

// entries pin a use.
func (u Use) entries(old []Image) []Image {
	e := Image{Name: u.Name, Default: u.Default}
	if len(u.Pin.Digests) > 0 {
		e.Digest = u.Pin.Digests[0]
		for _, o := range old {
			if o.Name == u.Name && !o.Local && slices.Contains(u.Pin.Digests, o.Digest) {
				e.Digest = o.Digest
			}
		}
		return []Image{e}
	}
	e.Digest, e.Local, e.Platform = u.Pin.ID, true, u.Platform
	list := []Image{e}
	for _, o := range old {
		if o.Name == u.Name && o.Local && o.Platform != u.Platform {
			o.Default = u.Default
			list = append(list, o)
		}
	}
	return list
}

// Change is a difference between two Files.
type Change struct {
	What   string // base image golang:1.26-bookworm
	Before string // empty if it is new
	After  string // empty if it is gone
}

// Changes lists how next differs from f, in the order of the text.
func (f *File) Changes(next *File) []Change {
	before, after := f.lines(), next.lines()
	var changes []Change
	for _, l := range before {
		i := slices.IndexFunc(after, func(o line) bool { return o.what == l.what })
		if i < 0 {
			changes = append(changes, Change{What: l.what, Before: l.text})
		}
	}
	for _, l := range after {
		i := slices.IndexFunc(before, func(o line) bool { return o.what == l.what })
		if i < 0 {
			changes = append(changes, Change{What: l.what, After: l.text})
		} else if before[i].text != l.text {
			changes = append(changes, Change{What: l.what, Before: before[i].text, After: l.text})
		}
	}
	return changes
}

// line is an entry for people.
type line struct{ what, text string }

func (f *File) lines() []line {
	var lines []line
	for _, g := range f.groups(Found{}) {
		for _, e := range g.entries {
			what, text := g.what+" "+e.Name, e.text()
			if e.Local {
				what += " for " + e.Platform
			}
			if e.Default {
				text += ", for new clusters"
			}
			lines = append(lines, line{what, text})
		}
	}
	for _, c := range f.Charts {
		lines = append(lines, line{c.what(), c.text()})
	}
	for _, c := range f.ChartLocks {
		lines = append(lines, line{c.what(), c.Digest})
	}
	return lines
}
