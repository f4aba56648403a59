package render

import (
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/provenance"
)

// kustomizeRelease is the release of the kustomize program that is made of the library in go.mod. scripts/reference-tools checks that.
const kustomizeRelease = "v5.8.1"

// signAsKustomize puts the release of kustomize into the label of a kustomization that asks for one (buildMetadata: [managedByLabel]). The
// library takes the version of whatever program it is built into, which is devenv's own here: no version of kustomize, another one
// with every build, and not even a valid label ("kustomize-(devel)").
func signAsKustomize(object map[string]any) {
	metadata, _ := object["metadata"].(map[string]any)
	labels, _ := metadata["labels"].(map[string]any)
	if labels[konfig.ManagedbyLabelKey] == "kustomize-"+provenance.GetProvenance().Semver() {
		labels[konfig.ManagedbyLabelKey] = "kustomize-" + kustomizeRelease
	}
}
