package devenv

import (
	"os"
	"slices"

	"github.com/devenv-run/devenv/devenv/config"
	"github.com/devenv-run/devenv/devenv/plan"
)

// What the redactor learns of a project beside what rendering teaches it (render.Input.Secrets): the values of build secrets, and the
// names that are to stay readable though a Secret may hold them too.

// allowNames has the names in devenv.yaml stay readable.
func (p *Project) allowNames() {
	p.secrets.Allow(p.name, p.config.Name, "devenv-"+p.name, p.state.dir, p.config.Dir)
	for _, s := range p.config.Services {
		p.secrets.Allow(s.Name, s.Image, s.Build.Context, s.Build.Dockerfile, s.Build.Target)
		for id, from := range s.Build.Secrets {
			p.secrets.Allow(id, from.File, from.Env)
		}
	}
	for _, d := range p.config.Deploy {
		p.secrets.Allow(d.Name, d.Namespace, d.Kustomize)
		p.secrets.Allow(d.Manifests...)
		if d.Helm != nil {
			p.secrets.Allow(d.Helm.Chart)
			p.secrets.Allow(d.Helm.Values...)
		}
		if d.Local != nil {
			p.secrets.Allow(d.Local.Overlay)
			p.secrets.Allow(d.Local.Values...)
		}
	}
}

// allowObjects has the names of what is deployed stay readable.
func (p *Project) allowObjects(sources []plan.Source) {
	for o := range objects(sources) {
		p.secrets.Allow(o.ID.Kind, o.ID.Namespace, o.ID.Name, o.ID.String(), o.Origin)
		p.secrets.Allow(o.Images...)
	}
}

// learnBuildSecrets reads the values of a service's build secrets. One that cannot be read is the build's to complain of.
func (p *Project) learnBuildSecrets(s config.Service) {
	for _, from := range s.Build.Secrets {
		if from.Env != "" {
			p.secrets.Add([]byte(os.Getenv(from.Env)))
		} else if data, err := os.ReadFile(p.config.Abs(from.File)); err == nil {
			p.secrets.Add(data)
		}
	}
}

// objects lists all objects of the sources, hooks included, as they stand there.
func objects(sources []plan.Source) func(func(*plan.Object) bool) {
	return func(yield func(*plan.Object) bool) {
		for i := range sources {
			for j := range sources[i].Objects {
				if !yield(&sources[i].Objects[j]) {
					return
				}
			}
			for j := range sources[i].Hooks {
				if !yield(&sources[i].Hooks[j].Object) {
					return
				}
			}
		}
	}
}

func isSecret(id plan.ID) bool { return id.Group == "" && id.Kind == "Secret" }

// keyHashes keys the hashes of Secrets. They go into the inventory, which more people may read than Secrets, and with the rest of the
// object known, a plain hash would say of any guess whether it is the password.
func (p *Project) keyHashes(sources []plan.Source) error {
	m, err := p.masker()
	if err != nil {
		return err
	}
	for o := range objects(sources) {
		if isSecret(o.ID) {
			o.Hash = m.Hash(o.JSON)
		}
	}
	return nil
}

// masked is a copy of the sources with hashes in the place of the values of Secrets.
func (p *Project) masked(sources []plan.Source) ([]plan.Source, error) {
	m, err := p.masker()
	if err != nil {
		return nil, err
	}
	sources = slices.Clone(sources)
	for i := range sources {
		sources[i].Objects = slices.Clone(sources[i].Objects)
		sources[i].Hooks = slices.Clone(sources[i].Hooks)
	}
	for o := range objects(sources) {
		if o.JSON, err = m.JSON(o.JSON); err != nil {
			return nil, err
		}
	}
	return sources, nil
}
