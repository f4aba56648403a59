package render

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
)

// helm renders a chart as "helm template --include-crds --namespace … --kube-version … --api-versions …" does. It uses
// Helm's loader, values and engine and none of its actions, which would bring clients, caches and settings from the environment.
func (r *rendering) helm(ctx context.Context, s *Source) ([]doc, error) {
	c, err := r.loadChart(s)
	if err != nil {
		return nil, err
	}
	values, err := r.values(s)
	if err != nil {
		return nil, err
	}
	release := &release{rendering: r, source: s, chart: c, paths: chartPaths(c, s.Helm.Chart)}
	if err := release.compose(values); err != nil {
		return nil, err
	}
	release.lookups = release.newLookups(ctx)
	files, err := release.render(ctx)
	if err != nil {
		return nil, err
	}
	if err := release.noteUnstable(ctx, files); err != nil {
		return nil, err
	}
	return release.documents(files)
}

// release is a chart on its way to documents.
type release struct {
	*rendering
	source *Source
	chart  *chart.Chart
	paths  func(string) string // from Helm's name of a file to its path in the project
	values common.Values       // what templates see

	lookups *lookups // answers to the templates' lookup function
}

// loadChart reads a chart and checks that it can be rendered.
func (r *rendering) loadChart(s *Source) (*chart.Chart, error) {
	h := s.Helm
	if err := chartutil.ValidateReleaseName(s.Name); err != nil {
		return nil, config(s.Pos, fmt.Sprintf("%q cannot name a Helm release", s.Name), err, "Name the source with lower-case letters, digits and dashes.")
	}
	if strings.Contains(h.Chart, "://") {
		return nil, config(s.Pos, fmt.Sprintf("chart %s of source %s is remote; charts are rendered from the project", h.Chart, s.Name), nil,
			"Bring it into the repository (helm pull --untar) and name its folder.")
	}
	file := join(r.in.Dir, h.Chart)
	info, err := os.Stat(file)
	if err != nil {
		return nil, config(s.Pos, fmt.Sprintf("source %s has no chart at %s", s.Name, h.Chart), nil, "Set helm.chart to the chart's folder, relative to the folder of devenv.yaml.")
	}
	loaded, err := loader.Load(file)
	if err != nil {
		return nil, loadError(h.Chart, r.inProject(err))
	}
	c, ok := loaded.(*chart.Chart)
	if !ok {
		return nil, config(path.Join(h.Chart, "Chart.yaml"), "chart of source "+s.Name+" uses an apiVersion that Helm cannot install yet", nil, "Use apiVersion v2.")
	}
	if t := c.Metadata.Type; t != "" && t != "application" {
		return nil, config(path.Join(h.Chart, "Chart.yaml"), fmt.Sprintf("chart %s is a %s chart, which cannot be deployed by itself", c.Name(), t), nil, "Deploy a chart that depends on it.")
	}
	if missing := missingDependencies(c); len(missing) > 0 {
		return nil, config(path.Join(h.Chart, "Chart.yaml"), fmt.Sprintf("chart %s depends on %s, missing in its charts folder", c.Name(), strings.Join(missing, ", ")), nil,
			"Run: helm dependency build "+h.Chart)
	}
	if info.IsDir() { // an archive is complete as it is; helm would not build its dependencies either
		if err := checkLock(c, filepath.ToSlash(h.Chart)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// missingDependencies are the names in Chart.yaml that the charts folder does not hold. Helm wants all of them there, even
// those that a condition disables.
func missingDependencies(c *chart.Chart) []string {
	var missing []string
	for _, want := range c.Metadata.Dependencies {
		has := func(have *chart.Chart) bool { return have.Name() == want.Name }
		if !slices.ContainsFunc(c.Dependencies(), has) {
			missing = append(missing, want.Name)
		}
	}
	return missing
}

// compose prunes disabled subcharts and puts together what templates see: values, release and capabilities.
func (l *release) compose(values map[string]any) error {
	caps, err := l.capabilities()
	if err != nil {
		return err
	}
	manifest := l.paths(l.chart.Name() + "/Chart.yaml")
	if want := l.chart.Metadata.KubeVersion; want != "" && !chartutil.IsCompatibleRange(want, caps.KubeVersion.String()) {
		return config(manifest, fmt.Sprintf("chart %s wants Kubernetes %s, the cluster has %s", l.chart.Name(), want, caps.KubeVersion.Version), nil,
			"Choose another node image (cluster.nodeImage), or another version of the chart.")
	}
	if err := chartutil.ProcessDependencies(l.chart, values); err != nil {
		return config(manifest, "dependencies of chart "+l.chart.Name(), err, "")
	}
	// A chart's own definitions are installed before its templates are rendered.
	for _, crd := range l.chart.CRDObjects() {
		for _, t := range split(crd.File.Data, helmMarker) {
			value, _, err := decode(t.data)
			if err != nil {
				continue // reported by documents
			}
			id, _ := identify(value)
			if def, ok := definitionOf(value, id); ok {
				caps.APIVersions = append(caps.APIVersions, def.apis...)
			}
		}
	}
	l.values, err = util.ToRenderValues(l.chart, values, common.ReleaseOptions{
		Name: l.source.Name, Namespace: l.namespace(), Revision: 1, IsInstall: !l.source.Upgrade, IsUpgrade: l.source.Upgrade,
	}, caps)
	if err != nil {
		return valuesError(l, err)
	}
	return nil
}

// namespace is the release's; Helm's own default where the source has none.
func (l *release) namespace() string {
	if l.source.Namespace == "" {
		return "default"
	}
	return l.source.Namespace
}

// capabilities are those that the Input gives, over Helm's own assumptions.
func (l *release) capabilities() (*common.Capabilities, error) {
	given := l.in.Capabilities
	caps := common.DefaultCapabilities.Copy()
	if given.KubeVersion != "" {
		v, err := common.ParseKubeVersion(given.KubeVersion)
		if err != nil {
			return nil, fmt.Errorf("version %q of the cluster: %w", given.KubeVersion, err)
		}
		caps.KubeVersion = *v
	}
	known := []string(caps.APIVersions)
	if len(given.APIVersions) > 0 {
		known = given.APIVersions
	}
	caps.APIVersions = slices.Concat(known, l.apis)
	return caps, nil
}

// render executes the templates: texts by Helm's name for their files, partials and notes left out.
func (l *release) render(ctx context.Context) (map[string]string, error) {
	e := engine.Engine{CustomTemplateFuncs: template.FuncMap{"lookup": l.lookups.lookup}}
	files, err := e.RenderWithContext(ctx, l.chart, l.values)
	if err != nil && l.lookups.failed != nil {
		return nil, l.unanswered(l.lookups.failed, err)
	} else if err != nil {
		return nil, templateError(l, err)
	}
	maps.DeleteFunc(files, func(name, _ string) bool {
		return strings.HasPrefix(path.Base(name), "_") || strings.HasSuffix(name, "NOTES.txt")
	})
	return files, nil
}

// documents decodes rendered files, definitions of the crds folder first, files by path.
func (l *release) documents(files map[string]string) ([]doc, error) {
	var docs []doc
	var failed []error
	for _, crd := range l.chart.CRDObjects() {
		more, err := l.decode(crd.Filename, crd.File.Data, false)
		failed = append(failed, err)
		docs = append(docs, more...)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		more, err := l.decode(name, []byte(files[name]), true)
		failed = append(failed, err)
		docs = append(docs, more...)
	}
	return docs, errors.Join(failed...)
}

// decode decodes the documents of a file.
func (l *release) decode(name string, data []byte, template bool) ([]doc, error) {
	var docs []doc
	origin := l.paths(name)
	for _, t := range split(data, helmMarker) {
		value, twice, err := decode(t.data)
		if err != nil {
			return nil, outputError(origin, data, t, err, template)
		}
		for _, w := range twice {
			l.note(fmt.Sprintf("%s, line %d of the rendered text: %v; the last one counts", origin, t.line+w.line-1, w.err))
		}
		if value != nil {
			docs = append(docs, doc{origin: origin, value: value, chart: template})
		}
	}
	return docs, nil
}

// unstable are the template functions whose result differs from one call to the next.
var unstable = regexp.MustCompile(`\b(rand(AlphaNum|Alpha|Numeric|Ascii|Bytes|Int)|uuidv4|shuffle|now|ago|date|unixEpoch|` +
	`bcrypt|htpasswd|genPrivateKey|genCA(WithKey)?|genSelfSignedCert(WithKey)?|genSignedCert(WithKey)?|encryptAES)\b`)

// noteUnstable renders a chart again if its templates use such a function, and notes the files that came out differently:
// each "up" will find their objects changed. A chart that first looks whether a value was drawn already is another matter:
// before its first deployment it cannot find one.
func (l *release) noteUnstable(ctx context.Context, files map[string]string) error {
	if !usesUnstable(l.chart) || len(l.lookups.missed) > 0 && !l.source.Upgrade {
		return nil
	}
	again, err := l.render(ctx)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if files[name] != again[name] {
			l.note(fmt.Sprintf("%s renders differently each time (it draws random values or reads the clock), so its objects are applied again by every \"devenv up\"", l.paths(name)))
		}
	}
	return nil
}

// usesUnstable says that a template of the chart or of its subcharts mentions one of the functions.
func usesUnstable(c *chart.Chart) bool {
	for _, t := range c.Templates {
		if unstable.Match(t.Data) {
			return true
		}
	}
	return slices.ContainsFunc(c.Dependencies(), usesUnstable)
}
