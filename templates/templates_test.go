package templates_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/devenv-run/devenv/templates"
)

type object struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct {
		Name   string
		Labels map[string]string
	}
}

func TestEveryAddonIsAManifest(t *testing.T) {
	for _, name := range templates.Addons() {
		t.Run(name, func(t *testing.T) {
			data, err := templates.Addon(name)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{}
			decoder := yaml.NewDecoder(bytes.NewReader(data))
			for {
				var o object
				err := decoder.Decode(&o)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				id := o.Kind + "/" + o.Metadata.Name
				if o.APIVersion == "" || o.Kind == "" || o.Metadata.Name == "" || seen[id] {
					t.Errorf("an object without kind or name, or twice: %s", id)
				}
				if o.Metadata.Labels["k8s-app"] != name {
					t.Errorf("%s is not labelled k8s-app=%s", id, name)
				}
				seen[id] = true
			}
			if len(seen) < 2 {
				t.Errorf("only %d objects", len(seen))
			}
		})
	}
}

func TestUnknownAddon(t *testing.T) {
	_, err := templates.Addon("../addons/metrics-server")
	if err == nil || !strings.Contains(err.Error(), "there is metrics-server") {
		t.Errorf("got %v", err)
	}
}

func TestAddons(t *testing.T) {
	if got := templates.Addons(); !slices.Equal(got, []string{"metrics-server"}) {
		t.Errorf("got %v", got)
	}
}
