// Package lock is devenv.lock: what a project takes from elsewhere, each thing pinned by digest. It is pure: it reads text into a File
// (Parse), writes a File as text (File.Text), says how what is found differs from it (File.Compare, File.Outline), and makes the File
// that pins what is found (File.Update).
//
// What is found on a machine is a Found: the uses of images and charts that the project has, and for each image its Pin, under which digests
// a registry knows it and which image of that name the engine holds. An image that a registry knows is pinned by the registry's digest,
// which is the same for everybody. One that only the engine knows is pinned by its local ID, which says so in its entry
// and counts for its platform only.
//
// The text is made to be read in a diff: sorted, an entry a line, nothing in it that changes by itself.
package lock

import (
	"cmp"
	"slices"

	"github.com/distribution/reference"
)

// FileName is the file's name; it lies beside devenv.yaml.
const FileName = "devenv.lock"

// Version is that of the format.
const Version = 1

// File is the content of a devenv.lock. Its lists are sorted.
type File struct {
	NodeImages []Image // of clusters; one of them may be the default
	BaseImages []Image // that Dockerfiles build from
	Images     []Image // that pods use and no service builds
	Charts     []Chart // that charts depend on
	ChartLocks []ChartLock
}

// Image is an image reference pinned.
type Image struct {
	Name     string // normalised by Name: golang:1.26-bookworm
	Default  bool   // of a node image: the one for new clusters where devenv.yaml names none
	Digest   string // sha256:…
	Local    bool   // Digest is the ID of an image that no registry knows by this name
	Platform string // linux/amd64, of a local image; a registry's digest covers all platforms
	Line     int    // in the file; 0 if it was not read from one
}

// Chart is a vendored dependency of a chart.
type Chart struct {
	Chart      string // directory or archive of the chart that depends on it, relative to devenv.yaml
	Name       string
	Version    string // of the vendored chart
	Repository string // as Chart.yaml has it; may be empty
	Digest     string // over the vendored chart's files, names and contents
	Line       int
}

// ChartLock is the digest that a Chart.lock has of its dependencies and those of Chart.yaml.
type ChartLock struct {
	Chart  string
	Digest string
	Line   int
}

// Name normalises an image reference, so that one image has one name: postgres:17 for docker.io/library/postgres:17, and nginx:latest for nginx.
// What is no reference stays as it is.
func Name(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ref
	}
	return reference.FamiliarString(reference.TagNameOnly(named))
}

// Split takes a reference apart: its name without a digest, and the digest if it names one.
func Split(ref string) (name, digest string) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ref, ""
	}
	pinned, ok := named.(reference.Digested)
	if !ok {
		return Name(ref), ""
	}
	digest = pinned.Digest().String()
	if tagged, ok := named.(reference.Tagged); ok {
		if named, err := reference.WithTag(reference.TrimNamed(named), tagged.Tag()); err == nil {
			return reference.FamiliarString(named), digest
		}
	}
	return reference.FamiliarName(named), digest
}

// DefaultNodeImage is the image for new clusters where devenv.yaml names none, as a reference: with its digest where a registry can
// give it. Empty if the lock has none for the platform.
func (f *File) DefaultNodeImage(platform string) string {
	for _, i := range f.NodeImages {
		if i.Default && !i.Local {
			return i.Name + "@" + i.Digest
		}
	}
	for _, i := range f.NodeImages {
		if i.Default && i.Platform == platform {
			return i.Name
		}
	}
	return ""
}

// Len is the number of entries.
func (f *File) Len() int {
	return len(f.NodeImages) + len(f.BaseImages) + len(f.Images) + len(f.Charts) + len(f.ChartLocks)
}

// Locals is the number of images that are pinned by a local ID.
func (f *File) Locals() int {
	n := 0
	for _, i := range slices.Concat(f.NodeImages, f.BaseImages, f.Images) {
		if i.Local {
			n++
		}
	}
	return n
}

// sort brings the lists into the order of the text.
func (f *File) sort() {
	for _, list := range [][]Image{f.NodeImages, f.BaseImages, f.Images} {
		slices.SortFunc(list, func(a, b Image) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Platform, b.Platform)) })
	}
	slices.SortFunc(f.Charts, func(a, b Chart) int {
		return cmp.Or(cmp.Compare(a.Chart, b.Chart), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	slices.SortFunc(f.ChartLocks, func(a, b ChartLock) int { return cmp.Compare(a.Chart, b.Chart) })
}
