package render

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"sigs.k8s.io/yaml"
)

// A source that renders says itself what is secret: its Secrets. One that does not render has none yet, but the complaint about it
// may quote what would be in them: Helm prints values, YAML the text around a mistake. This file finds that out from the files: it is
// never exact, so it is only used once something has failed, when hiding too much does less harm than hiding too little.

// learn has Input.Secrets know what the complaint about a source may quote.
func (r *rendering) learn(s *Source) {
	switch {
	case s.Helm != nil:
		r.learnChart(s)
	case s.Kustomize != "":
		r.learnKustomization(join(r.in.Dir, s.Kustomize), map[string]bool{})
		if s.Local != nil && s.Local.Overlay != "" {
			r.learnKustomization(join(r.in.Dir, s.Local.Overlay), map[string]bool{})
		}
	default:
		files, err := r.expand(s)
		if err != nil {
			return // it names none
		}
		for _, file := range files {
			r.learnFile(join(r.in.Dir, file))
		}
	}
}

// learnChart learns the values that templates of Secrets name, and those whose own names say that they are secret.
func (r *rendering) learnChart(s *Source) {
	values, err := r.values(s)
	if err != nil {
		values = map[string]any{}
	}
	for path, v := range s.Helm.Set {
		r.learnNamed(path, v)
	}
	r.learnNamed("", values)
	loaded, err := loader.Load(join(r.in.Dir, s.Helm.Chart))
	if err != nil {
		return
	}
	c, ok := loaded.(*chart.Chart)
	if !ok {
		return
	}
	if whole, err := util.CoalesceValues(c, values); err == nil {
		values = whole
	}
	r.learnTemplates(c, values)
}

// valueRefs are the values that a template names: .Values.database.password.
var valueRefs = regexp.MustCompile(`\.Values((?:\.[A-Za-z_][A-Za-z0-9_]*)+)`)

// learnTemplates learns what the templates of a chart and of its subcharts put into Secrets. values are those that the chart sees.
func (r *rendering) learnTemplates(c *chart.Chart, values map[string]any) {
	r.learnNamed("", values)
	for _, t := range c.Templates {
		if !makesSecret.Match(t.Data) {
			continue
		}
		r.learnText(string(t.Data))
		for _, m := range valueRefs.FindAllStringSubmatch(string(t.Data), -1) {
			var v any = values
			for _, name := range strings.Split(m[1][1:], ".") {
				v = asMap(v)[name]
			}
			r.learnAll(v)
		}
	}
	for _, sub := range c.Dependencies() {
		r.learnTemplates(sub, asMap(values[sub.Name()]))
	}
}

func asMap(v any) map[string]any {
	switch v := v.(type) {
	case map[string]any:
		return v
	case common.Values:
		return v
	}
	return nil
}

// sounds are the names of values that are secret.
var sounds = regexp.MustCompile(`(?i)(passw(or)?d|passphrase|pwd|secret|token|api_?key|access_?key|private_?key|encryption_?key|credentials?|dsn)$`)

// learnNamed learns the texts and numbers below v whose name says that they are secret.
func (r *rendering) learnNamed(name string, v any) {
	if m := asMap(v); m != nil {
		for k, v := range m {
			r.learnNamed(k, v)
		}
	} else if list, ok := v.([]any); ok {
		for _, item := range list {
			r.learnNamed(name, item)
		}
	} else if sounds.MatchString(name) {
		r.learnAll(v)
	}
}

// learnAll learns every text and number in v.
func (r *rendering) learnAll(v any) {
	switch v := v.(type) {
	case nil, bool:
	case string:
		r.in.Secrets.Add([]byte(v))
	case float64:
		r.in.Secrets.Add([]byte(strconv.FormatFloat(v, 'f', -1, 64)), fmt.Append(nil, v)) // in full, and as Helm prints it
	case int, int64, uint64, json.Number:
		r.in.Secrets.Add(fmt.Append(nil, v))
	case []any:
		for _, item := range v {
			r.learnAll(item)
		}
	default:
		for _, item := range asMap(v) {
			r.learnAll(item)
		}
	}
}

// learnKustomization learns what a kustomization and those that it builds on make Secrets of.
func (r *rendering) learnKustomization(dir string, seen map[string]bool) {
	file, ok := kustomizationIn(dir)
	if !ok || seen[dir] {
		return
	}
	seen[dir] = true
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return
	}
	var k struct {
		Resources, Components, Bases, Patches, PatchesStrategicMerge []any
		SecretGenerator                                              []struct {
			Literals, Envs, Files []string
			Env                   string
		}
	}
	if yaml.Unmarshal(data, &k) != nil {
		r.learnText(string(data)) // and nothing else can be known of it
		return
	}
	for _, g := range k.SecretGenerator {
		for _, literal := range g.Literals {
			_, value, _ := strings.Cut(literal, "=")
			r.in.Secrets.Add([]byte(value), []byte(strings.Trim(value, `"'`)), []byte(literal))
		}
		for _, name := range append(append(g.Envs, g.Env), g.Files...) {
			_, path, named := strings.Cut(name, "=")
			if !named {
				path = name
			}
			if text, err := os.ReadFile(filepath.Join(dir, path)); err == nil {
				r.in.Secrets.Add(text)
				for line := range strings.Lines(string(text)) {
					r.in.Secrets.Add([]byte(strings.TrimSpace(line)))
				}
			}
		}
	}
	for _, list := range [][]any{k.Resources, k.Components, k.Bases, k.Patches, k.PatchesStrategicMerge} {
		for _, item := range list {
			if path, ok := item.(string); ok && filepath.IsLocal(path) || ok && strings.HasPrefix(path, "../") {
				r.learnKustomization(filepath.Join(dir, path), seen)
				r.learnFile(filepath.Join(dir, path))
			}
		}
	}
}

// learnPatch learns what a divergence would put into Secrets.
func (r *rendering) learnPatch(d *Divergence) {
	if d.Target.Kind == "Secret" || d.Target.Kind == "" {
		r.learnAll(d.Patch)
	} else {
		r.learnNamed("", d.Patch)
	}
}

// learnFile learns the Secrets in a file of manifests.
func (r *rendering) learnFile(file string) {
	if data, err := os.ReadFile(file); err == nil {
		for _, t := range split(data, yamlMarker) {
			r.learnText(string(t.data))
		}
	}
}

var (
	makesSecret = regexp.MustCompile(`(?m)^\s*["']?kind["']?:\s*["']?Secret\b`)
	section     = regexp.MustCompile(`^(\s*)["']?(?:data|stringData)["']?:\s*(.*?)\s*$`)
	field       = regexp.MustCompile(`^\s*["']?[A-Za-z0-9_.-]+["']?\s*:\s*(.*?)\s*$`)
)

// learnText learns the values of a Secret whose text cannot be decoded: what stands behind the names below data and stringData.
func (r *rendering) learnText(text string) {
	if !makesSecret.MatchString(text) {
		return
	}
	add := func(value string) {
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		if strings.Contains(value, "{{") {
			return // of a template; what it puts there is known from elsewhere
		}
		r.in.Secrets.Add([]byte(value))
		if decoded, err := base64.StdEncoding.DecodeString(value); err == nil {
			r.in.Secrets.Add(decoded)
		}
	}
	inside := -1 // indentation of the section's head
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if m := section.FindStringSubmatch(line); m != nil {
			inside = len(m[1])
			for _, pair := range strings.FieldsFunc(m[2], func(c rune) bool { return strings.ContainsRune("{},", c) }) {
				if f := field.FindStringSubmatch(pair); f != nil {
					add(f[1])
				}
			}
			continue
		}
		indent := len(line) - len(strings.TrimLeft(line, " \t"))
		if inside >= 0 && indent <= inside && strings.TrimSpace(line) != "" {
			inside = -1
		}
		if inside < 0 {
			continue
		}
		if f := field.FindStringSubmatch(line); f != nil {
			add(f[1])
		} else {
			add(line)
		}
	}
}
