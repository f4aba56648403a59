package config

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/distribution/reference"
)

// config decodes a tree that profiles are merged into, and checks what tags cannot say.
func (d *decoder) config(tree *node) *Config {
	c := &Config{Dir: d.dir, File: d.file, at: d.at}
	d.value(tree, reflect.ValueOf(c).Elem(), "", nil)
	if isNull(tree) {
		d.fail(tree, "", "", "the file is empty")
		return c
	}
	d.services(c)
	d.deploy(c)
	for i, file := range c.Cluster.CACertificates {
		d.isFile(file, fmt.Sprintf("cluster.caCertificates[%d]", i))
	}
	if c.Cluster.KindConfig != "" {
		d.isFile(c.Cluster.KindConfig, "cluster.kindConfig")
	}
	for i, v := range c.Divergences {
		d.patch(v.Patch, fmt.Sprintf("divergences[%d].patch", i))
	}
	return c
}

// problem is fail for a value that is known by its path only.
func (d *decoder) problem(path, suggestion, format string, args ...any) {
	d.failAt(at(d.at, d.file, path), path, suggestion, format, args...)
}

func (d *decoder) services(c *Config) {
	repositories := map[string]string{}
	ports := map[int]string{}
	for i := range c.Services {
		s := &c.Services[i]
		at := join("services", s.Name)
		d.image(s, at, repositories)
		if s.Build.Dockerfile == "" {
			s.Build.Dockerfile = "Dockerfile"
		}
		if s.Build.Context != "" {
			d.build(c, s, at+".build")
		}
		for j, f := range s.Forward {
			if f.Local == 0 {
				continue // it was no port to begin with
			}
			if other := ports[f.Local]; other != "" {
				d.problem(fmt.Sprintf("%s.forward[%d]", at, j), "", "port %d is forwarded to service %s already", f.Local, other)
				continue
			}
			ports[f.Local] = s.Name
		}
		if s.Dev != nil && s.Dev.Mode == "" {
			s.Dev.Mode = "auto"
		}
	}
}

// image checks that a service names a repository, and one of its own.
func (d *decoder) image(s *Service, at string, repositories map[string]string) {
	if s.Image == "" {
		return
	}
	at += ".image"
	named, err := reference.ParseNormalizedNamed(s.Image)
	if err != nil {
		lower := strings.ToLower(s.Image)
		if _, err := reference.ParseNormalizedNamed(lower); err != nil || lower == s.Image {
			lower = ""
		}
		d.problem(at, lower, "image %q is no repository: %s", s.Image, err)
		return
	}
	if !reference.IsNameOnly(named) {
		d.problem(at, strings.TrimSuffix(s.Image, strings.TrimPrefix(named.String(), named.Name())), "image names the repository only, without tag or digest, not %q", s.Image)
		return
	}
	if other := repositories[named.Name()]; other != "" {
		d.problem(at, "", "image %s belongs to service %s already", s.Image, other)
		return
	}
	repositories[named.Name()] = s.Name
}

func (d *decoder) build(c *Config, s *Service, at string) {
	context := c.ContextDir(*s)
	if !d.isDir(s.Build.Context, at+".context") {
		return
	}
	if info, err := os.Stat(c.DockerfilePath(*s)); err != nil || info.IsDir() {
		in := &decoder{dir: context}
		where := path.Join(filepath.ToSlash(s.Build.Context), filepath.ToSlash(s.Build.Dockerfile))
		if filepath.IsAbs(s.Build.Dockerfile) {
			where = s.Build.Dockerfile
		}
		d.problem(at+".dockerfile", in.neighbour(s.Build.Dockerfile), "the Dockerfile %s does not exist", where)
	}
	for id, secret := range s.Build.Secrets {
		if secret.File != "" {
			d.isFile(secret.File, join(at+".secrets", id))
		}
	}
}

func (d *decoder) deploy(c *Config) {
	names := map[string]int{}
	for i, e := range c.Deploy {
		at := fmt.Sprintf("deploy[%d]", i)
		if first, ok := names[e.Name]; ok && e.Name != "" {
			d.problem(at+".name", "", "deploy[%d] has the name %s already", first, e.Name)
		} else {
			names[e.Name] = i
		}
		if e.Helm != nil && e.Helm.Chart != "" {
			d.chart(e.Helm.Chart, at+".helm.chart")
			for j, file := range e.Helm.Values {
				d.isFile(file, fmt.Sprintf("%s.helm.values[%d]", at, j))
			}
		}
		if e.Kustomize != "" {
			d.kustomization(e.Kustomize, at+".kustomize")
		}
		for j, pattern := range e.Manifests {
			d.manifests(pattern, fmt.Sprintf("%s.manifests[%d]", at, j))
		}
		if e.Local != nil {
			d.local(e, at+".local")
		}
	}
}

func (d *decoder) local(e Deploy, at string) {
	for j, file := range e.Local.Values {
		d.isFile(file, fmt.Sprintf("%s.values[%d]", at, j))
	}
	if e.Local.Overlay != "" {
		d.kustomization(e.Local.Overlay, at+".overlay")
	}
	if len(e.Local.Values) > 0 && e.Helm == nil {
		d.problem(at+".values", "", "values have a meaning for a Helm chart only")
	}
	if e.Local.Overlay != "" && e.Kustomize == "" {
		d.problem(at+".overlay", "", "overlay has a meaning for a kustomization only")
	}
}

// isFile and isDir check the type of a path; that it exists was checked while decoding, where the field has the rule.
func (d *decoder) isFile(file, at string) {
	if file == "" {
		return
	}
	info, err := os.Stat(resolve(d.dir, file))
	switch {
	case err == nil && info.IsDir():
		d.problem(at, "", "%s: %s is a directory, not a file", last(at), file)
	case err != nil && strings.Contains(at, ".build.secrets"): // secrets have no rule: they may be no path
		d.problem(at, d.neighbour(file), "%s: %s does not exist", last(at), file)
	}
}

func (d *decoder) isDir(file, at string) bool {
	info, err := os.Stat(resolve(d.dir, file))
	if err == nil && !info.IsDir() {
		d.problem(at, path.Dir(filepath.ToSlash(file)), "%s: %s is a file, not a directory", last(at), file)
	}
	return err == nil && info.IsDir()
}

// chart checks for a chart's directory or archive.
func (d *decoder) chart(chart, at string) {
	full := resolve(d.dir, chart)
	info, err := os.Stat(full)
	if err != nil {
		return
	}
	if _, err := os.Stat(filepath.Join(full, "Chart.yaml")); info.IsDir() && err != nil {
		d.problem(at, "", "chart: %s has no Chart.yaml", chart)
	}
	if !info.IsDir() && !strings.HasSuffix(chart, ".tgz") && !strings.HasSuffix(chart, ".tar.gz") {
		d.problem(at, "", "chart: %s is neither a chart's directory nor its archive (.tgz)", chart)
	}
}

// kustomizationFiles are the names that Kustomize knows.
var kustomizationFiles = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

func (d *decoder) kustomization(dir, at string) {
	if !d.isDir(dir, at) {
		return
	}
	for _, name := range kustomizationFiles {
		if info, err := os.Stat(filepath.Join(resolve(d.dir, dir), name)); err == nil && !info.IsDir() {
			return
		}
	}
	d.problem(at, "", "%s: %s has no kustomization.yaml", last(at), dir)
}

func (d *decoder) manifests(pattern, at string) {
	if pattern == "" {
		return
	}
	matches, err := filepath.Glob(resolve(d.dir, pattern))
	if err != nil {
		d.problem(at, "", "manifests: %q is no valid pattern", pattern)
	} else if len(matches) == 0 {
		d.problem(at, d.neighbour(pattern), "manifests: no file matches %s", pattern)
	}
}
