package render

import (
	"bytes"
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/devenv-run/devenv/devenv/plan"
)

// YAML prints sources as "devenv render" shows them: one document for each object in the order of application, then the
// hooks with the annotations that make them so, each under a comment that says where it comes from. Keys are
// sorted; kubectl reads the result.
func YAML(sources []plan.Source) ([]byte, error) {
	var b bytes.Buffer
	add := func(o plan.Object) error {
		text, err := yaml.JSONToYAML(o.JSON)
		if err != nil {
			return fmt.Errorf("printing %s: %w", o.ID, err)
		}
		fmt.Fprintf(&b, "---\n# Source: %s\n%s", o.Origin, text)
		return nil
	}
	for _, s := range sources {
		for _, o := range s.Objects {
			if err := add(o); err != nil {
				return nil, err
			}
		}
		for _, h := range s.Hooks {
			if err := add(h.Object); err != nil {
				return nil, err
			}
		}
	}
	return b.Bytes(), nil
}
