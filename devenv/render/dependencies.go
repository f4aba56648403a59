package render

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
)

// Vendored is what a chart depends on, as its charts folder holds it.
type Vendored struct {
	Lock         string // digest that its Chart.lock has of its dependencies; empty without one
	Dependencies []Dependency
}

// Dependency is a vendored dependency of a chart.
type Dependency struct {
	Name       string
	Version    string // of what is vendored
	Repository string // as Chart.yaml has it; may be empty
	Digest     string // sha256:… over the names and contents of its files: the same for an archive and for its folder, however it was packed
}

// Dependencies reads what the chart of a source depends on. dir is the project directory. Its errors are those of Render: a
// dependency that is missing in the charts folder, a Chart.lock that does not fit.
func Dependencies(dir string, s Source) (Vendored, error) {
	r := &rendering{in: Input{Dir: dir}}
	c, err := r.loadChart(&s)
	if err != nil {
		return Vendored{}, err
	}
	var v Vendored
	if c.Lock != nil {
		v.Lock = c.Lock.Digest
	}
	for i, want := range c.Metadata.Dependencies {
		have := vendored(c, i)
		d := Dependency{Name: want.Name, Version: have.Metadata.Version, Repository: want.Repository, Digest: contentDigest(have.Raw)}
		if !slices.Contains(v.Dependencies, d) { // one chart under two aliases
			v.Dependencies = append(v.Dependencies, d)
		}
	}
	return v, nil
}

// vendored is the chart in the charts folder that the dependency number i of Chart.yaml means: of several that have its name the one of the
// version that is locked, else one of a version that is wanted.
func vendored(c *chart.Chart, i int) *chart.Chart {
	want := c.Metadata.Dependencies[i]
	wanted := []string{want.Version}
	if c.Lock != nil && i < len(c.Lock.Dependencies) && c.Lock.Dependencies[i] != nil { // Helm writes them in the order of Chart.yaml
		wanted = []string{c.Lock.Dependencies[i].Version, want.Version}
	}
	var named []*chart.Chart
	for _, have := range c.Dependencies() {
		if have.Name() == want.Name {
			named = append(named, have)
		}
	}
	slices.SortFunc(named, func(a, b *chart.Chart) int { return cmp.Compare(a.Metadata.Version, b.Metadata.Version) })
	for _, version := range wanted {
		for _, have := range named {
			if have.Metadata.Version == version || version != "" && chartutil.IsCompatibleRange(version, have.Metadata.Version) {
				return have
			}
		}
	}
	return named[0] // loadChart has seen that there is one
}

// contentDigest is over the names and contents of files, in whichever order they come.
func contentDigest(files []*common.File) string {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b *common.File) int { return cmp.Compare(a.Name, b.Name) })
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%d %s %d ", len(f.Name), f.Name, len(f.Data))
		h.Write(f.Data)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}
