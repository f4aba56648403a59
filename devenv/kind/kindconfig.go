package kind

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"github.com/devenv-run/devenv/devenv/fault"
)

// kindConfig is the user's own kind configuration.
type kindConfig struct {
	path    string
	raw     []byte
	cluster v1alpha4.Cluster
}

const configVersion = "kind.x-k8s.io/v1alpha4"

// readKindConfig reads a kind configuration as strictly as kind does: an unknown key is an error with its line.
func readKindConfig(path string) (kindConfig, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return kindConfig{}, &fault.Error{
			Kind: fault.Config, What: "cluster.kindConfig", Where: path, Err: err, Next: "Correct cluster.kindConfig in devenv.yaml.",
		}
	}
	c := kindConfig{path: path, raw: raw}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(&c.cluster); err != nil && !errors.Is(err, io.EOF) {
		return c, c.fault(err)
	}
	if v := c.cluster.APIVersion; v != configVersion {
		return c, c.fault(fmt.Errorf("apiVersion is %q", v))
	}
	if c.cluster.Kind != "Cluster" {
		return c, c.fault(fmt.Errorf("kind is %q", c.cluster.Kind))
	}
	for i, n := range c.cluster.Nodes {
		if n.Role != "" && n.Role != v1alpha4.ControlPlaneRole && n.Role != v1alpha4.WorkerRole {
			return c, c.fault(fmt.Errorf("nodes[%d].role is %q", i, n.Role))
		}
	}
	if _, err := c.image(); err != nil {
		return c, c.fault(err)
	}
	return c, nil
}

// yamlLine finds the line that the decoder names.
var yamlLine = regexp.MustCompile(`line (\d+): `)

func (c kindConfig) fault(err error) error {
	where := c.path
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		where += ":" + m[1]
		text := yamlLine.ReplaceAllString(strings.TrimPrefix(err.Error(), "yaml: "), "")
		err = errors.New(strings.Join(strings.Fields(strings.TrimPrefix(text, "unmarshal errors:")), " "))
	}
	return &fault.Error{
		Kind: fault.Config, What: "cluster.kindConfig is not a configuration of kind", Where: where, Err: err,
		Next: "It needs apiVersion " + configVersion + ", kind Cluster, and kind's own keys; the name is devenv's to set.",
	}
}

// image is the node image that the configuration asks for; empty if it leaves that open. Nodes of different versions are
// kind's to support, but not something that one lock file or one render can stand for.
func (c kindConfig) image() (string, error) {
	image := ""
	for _, n := range c.cluster.Nodes {
		if n.Image != "" && image != "" && n.Image != image {
			return "", fmt.Errorf("nodes have different images (%s, %s); devenv runs one", image, n.Image)
		}
		if n.Image != "" {
			image = n.Image
		}
	}
	return image, nil
}

// absoluteMounts makes the host paths of mounts absolute: they are relative to the project, wherever devenv is started.
func absoluteMounts(c *v1alpha4.Cluster, project string) {
	for i := range c.Nodes {
		for j := range c.Nodes[i].ExtraMounts {
			if m := &c.Nodes[i].ExtraMounts[j]; !filepath.IsAbs(m.HostPath) {
				m.HostPath = filepath.Join(project, m.HostPath)
			}
		}
	}
}
