package lock

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Pin is what an image reference stands for here and now. The zero Pin says that nothing is known of it.
type Pin struct {
	ID      string   // of the image that the engine holds under the name; empty if it holds none
	Digests []string // under which the registry knows the image, sorted
}

// Use is an image that the project uses.
type Use struct {
	Name     string // normalised by Name; for a node image without digest
	Default  bool   // of a node image: devenv.yaml names none, so a new cluster gets the default
	Platform string // for which it is used: linux/amd64
	Where    string // who uses it: services/grades/Dockerfile:3, or Deployment/academy/redis
	Pin      Pin
	Unknown  string // why nothing is known of it, in the words of whoever was asked
}

// Found is what a project uses. Every use of an image is there once.
type Found struct {
	NodeImages, BaseImages, Images []Use
	Charts                         []Chart
	ChartLocks                     []ChartLock
}

// Drift is one thing that is not as the lock has it.
type Drift struct {
	What    string // base image golang:1.26-bookworm
	Where   string // who uses it; empty if nothing does
	Locked  string // what the lock has; empty if it has nothing
	Found   string // what is found; empty if nothing is used or known
	Fix     string // how to get what is locked; empty if there is no way that can be named
	Unknown bool   // what is found could not be told
}

// The sections of a file as messages call them, in its order.
const (
	nodeImage = "node image"
	baseImage = "base image"
	podImage  = "image"
)

// group is a section's entries beside the uses that they are compared with.
type group struct {
	what    string
	entries []Image
	uses    []Use
}

func (f *File) groups(found Found) []group {
	return []group{{nodeImage, f.NodeImages, found.NodeImages}, {baseImage, f.BaseImages, found.BaseImages}, {podImage, f.Images, found.Images}}
}

// Compare says what of found is not as the lock pins it: another digest, or no entry.
func (f *File) Compare(found Found) []Drift {
	var drifts []Drift
	for _, g := range f.groups(found) {
		for _, use := range g.uses {
			if d, ok := use.drift(g.what, g.entries); ok {
				drifts = append(drifts, d)
			}
		}
	}
	for _, c := range found.Charts {
		same := func(e Chart) bool { return e.Chart == c.Chart && e.Name == c.Name }
		exact := func(e Chart) bool {
			return same(e) && e.Version == c.Version && e.Repository == c.Repository && e.Digest == c.Digest
		}
		if slices.ContainsFunc(f.Charts, exact) {
			continue
		}
		d := Drift{What: c.what(), Found: c.text()}
		if i := slices.IndexFunc(f.Charts, same); i >= 0 {
			d.Locked, d.Fix = f.Charts[i].text(), "helm dependency build "+c.Chart
		}
		drifts = append(drifts, d)
	}
	for _, c := range found.ChartLocks {
		i := slices.IndexFunc(f.ChartLocks, func(e ChartLock) bool { return e.Chart == c.Chart })
		if i >= 0 && f.ChartLocks[i].Digest == c.Digest {
			continue
		}
		d := Drift{What: c.what(), Found: c.Digest}
		if i >= 0 {
			d.Locked = f.ChartLocks[i].Digest
		}
		drifts = append(drifts, d)
	}
	return drifts
}

// Outline says which entries are missing and which nothing uses, whatever their digests: found need not hold pins. Together with
// Compare of what one run uses it is empty exactly if Update would change nothing.
func (f *File) Outline(found Found) []Drift {
	var drifts []Drift
	for _, g := range f.groups(found) {
		for _, use := range g.uses {
			if !slices.ContainsFunc(g.entries, use.names) {
				drifts = append(drifts, Drift{What: use.what(g.what), Where: use.Where, Found: use.Pin.text()})
			}
		}
		for _, e := range g.entries {
			if !slices.ContainsFunc(g.uses, func(u Use) bool { return u.names(e) }) {
				drifts = append(drifts, Drift{What: g.what + " " + e.Name, Locked: e.text()})
			}
		}
	}
	for _, e := range f.Charts {
		if !slices.ContainsFunc(found.Charts, func(c Chart) bool { return c.Chart == e.Chart && c.Name == e.Name }) {
			drifts = append(drifts, Drift{What: e.what(), Locked: e.text()})
		}
	}
	for _, e := range f.ChartLocks {
		if !slices.ContainsFunc(found.ChartLocks, func(c ChartLock) bool { return c.Chart == e.Chart }) {
			drifts = append(drifts, Drift{What: e.what(), Locked: e.Digest})
		}
	}
	return drifts
}

// names says whether an entry is about the image that is used, on whatever platform.
func (u Use) names(e Image) bool { return u.Default && e.Default || u.Name != "" && u.Name == e.Name }

func (u Use) what(kind string) string {
	if u.Name == "" {
		return kind + " for new clusters"
	}
	return kind + " " + u.Name
}

// applies says whether an entry is to be compared with the use.
func (u Use) applies(e Image) bool { return u.names(e) && (!e.Local || e.Platform == u.Platform) }

// holds says whether the use is what an entry pins.
func (u Use) holds(e Image) bool {
	switch {
	case !u.applies(e) || u.Name != e.Name:
		return false
	case e.Local:
		return e.Digest == u.Pin.ID
	}
	return slices.Contains(u.Pin.Digests, e.Digest)
}

// drift says how the use differs from the entries; ok is false if it does not.
func (u Use) drift(what string, entries []Image) (d Drift, ok bool) {
	if slices.ContainsFunc(entries, u.holds) {
		return Drift{}, false
	}
	d = Drift{What: u.what(what), Where: u.Where, Found: u.Pin.text(), Unknown: u.Pin.unknown()}
	if d.Unknown {
		d.Found = cmp.Or(u.Unknown, "nothing")
	}
	i := slices.IndexFunc(entries, u.applies)
	if i < 0 {
		if i := slices.IndexFunc(entries, u.names); i >= 0 {
			d.Locked = fmt.Sprintf("only for %s, not for %s", entries[i].Platform, u.Platform)
		}
		return d, true
	}
	e := entries[i]
	d.Locked = e.text()
	if u.Name != e.Name {
		d.Locked, d.Found = e.Name+" "+d.Locked, u.Name+" "+d.Found
	}
	if e.Local {
		d.Fix = fmt.Sprintf("docker load the image that was locked, as %s", e.Name)
		return d, true
	}
	name, _ := Split(e.Name)
	repository, _, _ := strings.Cut(name[strings.LastIndexByte(name, '/')+1:], ":")
	pinned := name[:strings.LastIndexByte(name, '/')+1] + repository + "@" + e.Digest
	d.Fix = "docker pull " + pinned
	if name != e.Name { // the name holds its digest
		return d, true
	}
	d.Fix += " && docker tag " + pinned + " " + e.Name
	return d, true
}

func (p Pin) unknown() bool { return p.ID == "" && len(p.Digests) == 0 }

// text is a pin for people.
func (p Pin) text() string {
	switch {
	case len(p.Digests) > 0:
		return strings.Join(p.Digests, " or ")
	case p.ID != "":
		return p.ID + " (local image ID)"
	}
	return ""
}

func (i Image) text() string {
	if i.Local {
		return i.Digest + " (local image ID)"
	}
	return i.Digest
}

func (c Chart) what() string { return "dependency " + c.Name + " of chart " + c.Chart }

func (c Chart) text() string { return strings.TrimSpace(c.Version + " " + c.Digest) }

func (c ChartLock) what() string { return "Chart.lock of chart " + c.Chart }
