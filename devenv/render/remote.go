package render

import (
	"fmt"
	"regexp"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// remoteError is a reference in a kustomization that leads off this machine.
type remoteError struct {
	ref   string
	line  int
	where string
}

func (e *remoteError) Error() string {
	return fmt.Sprintf("kustomization names %s, which is remote; only what is in the project is rendered", e.ref)
}

// inspect looks a kustomization file over before Kustomize acts on it: for the first remote reference, and whether it brings
// its own schema. isFile says whether a reference is a file beside the kustomization, which Kustomize prefers to a
// repository. A kustomization that cannot be parsed is left to Kustomize's own error.
func inspect(data []byte, isFile func(ref string) bool) (remote *remoteError, schema bool) {
	var file yaml.Node
	if yaml.Unmarshal(data, &file) != nil || len(file.Content) == 0 || file.Content[0].Kind != yaml.MappingNode {
		return nil, false
	}
	fields := file.Content[0].Content
	for i := 0; i+1 < len(fields); i += 2 {
		key, value := fields[i].Value, fields[i+1]
		schema = schema || key == "openapi"
		var found *yaml.Node
		switch key {
		case "resources", "bases", "components", "generators", "transformers", "validators":
			found = firstScalar(value, func(_, ref string) bool { return isURL(ref) || isRepository(ref) && !isFile(ref) })
		case "crds", "configurations", "patchesStrategicMerge":
			found = firstScalar(value, func(_, ref string) bool { return isURL(ref) })
		case "patches", "patchesJson6902", "replacements", "openapi":
			found = firstScalar(value, func(field, ref string) bool { return field == "path" && isURL(ref) })
		case "configMapGenerator", "secretGenerator":
			found = firstScalar(value, func(field, ref string) bool {
				_, file, named := strings.Cut(ref, "=") // files: [key=path]
				return (field == "files" || field == "envs" || field == "env") && (isURL(ref) || named && isURL(file))
			})
		}
		if found != nil && remote == nil {
			remote = &remoteError{ref: found.Value, line: found.Line}
		}
	}
	return remote, schema
}

// firstScalar finds the first scalar below node that match accepts. field is the key that the scalar, or the list it
// stands in, belongs to; empty at the top.
func firstScalar(node *yaml.Node, match func(field, value string) bool) *yaml.Node {
	followed := map[*yaml.Node]bool{} // aliases; an anchor may contain itself
	var visit func(n *yaml.Node, field string) *yaml.Node
	visit = func(n *yaml.Node, field string) *yaml.Node {
		switch n.Kind {
		case yaml.ScalarNode:
			if match(field, n.Value) {
				return n
			}
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if found := visit(n.Content[i+1], n.Content[i].Value); found != nil {
					return found
				}
			}
		case yaml.SequenceNode:
			for _, item := range n.Content {
				if found := visit(item, field); found != nil {
					return found
				}
			}
		case yaml.AliasNode:
			if !followed[n] {
				followed[n] = true
				return visit(n.Alias, field)
			}
		}
		return nil
	}
	return visit(node, "")
}

// isURL says that Kustomize would fetch ref.
func isURL(ref string) bool {
	scheme, rest, found := strings.Cut(strings.ToLower(ref), "://")
	return found && !strings.ContainsAny(ref, "\n") && rest != "" && (scheme == "http" || scheme == "https")
}

// repository is what Kustomize takes for a git repository, even if a folder of that name exists.
var repository = regexp.MustCompile(`(?i)^(git::|ssh://|file://|https?://|[a-z][a-z0-9-]*@[^/]*[:/]|github\.com[/:])`)

// isRepository says that Kustomize would clone ref.
func isRepository(ref string) bool {
	return !strings.Contains(ref, "\n") && repository.MatchString(ref)
}
