package render

import (
	"path"
	"path/filepath"
	"strings"

	chart "helm.sh/helm/v4/pkg/chart/v2"
	"sigs.k8s.io/yaml"
)

// chartPaths translates Helm's name of a file ("academy/charts/redis/templates/web.yaml", from the names of charts and their
// aliases) into its path in the project: below the folder or archive that holds the chart, whatever that one is called.
func chartPaths(c *chart.Chart, dir string) func(string) string {
	name, tree := c.Name(), placeCharts(c, filepath.ToSlash(dir))
	return func(file string) string {
		rest, ok := strings.CutPrefix(file, name+"/")
		if !ok {
			return file
		}
		at := tree
		for {
			sub, below := strings.CutPrefix(rest, "charts/")
			called, inside, _ := strings.Cut(sub, "/")
			next := at.subs[called]
			if !below || next == nil {
				return path.Join(at.dir, rest)
			}
			at, rest = next, inside
		}
	}
}

// placedChart is where a chart lies in the project, and where its subcharts do, by the names that Helm may give them. Helm renames
// charts when it processes dependencies, so this is found out before.
type placedChart struct {
	dir  string // folder or archive
	subs map[string]*placedChart
}

func placeCharts(c *chart.Chart, dir string) *placedChart {
	placed := &placedChart{dir: dir, subs: map[string]*placedChart{}}
	for _, sub := range c.Dependencies() {
		at := placeCharts(sub, path.Join(dir, "charts", folderOf(sub, c)))
		placed.subs[sub.Name()] = at
		for _, d := range c.Metadata.Dependencies {
			if d.Name == sub.Name() && d.Alias != "" {
				placed.subs[d.Alias] = at
			}
		}
	}
	return placed
}

// folderOf is the name under which the charts folder of a parent holds a subchart.
func folderOf(sub, parent *chart.Chart) string {
	for _, f := range parent.Raw {
		rest, ok := strings.CutPrefix(f.Name, "charts/")
		if !ok {
			continue
		}
		folder, file, nested := strings.Cut(rest, "/")
		switch {
		case nested && file == "Chart.yaml":
			var head struct{ Name string }
			if yaml.Unmarshal(f.Data, &head) == nil && head.Name == sub.Name() {
				return folder
			}
		case !nested && strings.HasSuffix(folder, ".tgz") && strings.HasPrefix(folder, sub.Name()+"-"+sub.Metadata.Version):
			return folder
		}
	}
	return sub.Name()
}
