package kube

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// parse reads an object written in YAML, with the same number types as one from the server.
func parse(t testing.TB, manifest string) *unstructured.Unstructured {
	t.Helper()
	body, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(body); err != nil {
		t.Fatalf("%v in\n%s", err, manifest)
	}
	return u
}

// parsePod reads a pod of which only the interesting part is written.
func parsePod(t testing.TB, manifest string) *corev1.Pod {
	t.Helper()
	p := &corev1.Pod{}
	if err := yaml.Unmarshal([]byte(manifest), p); err != nil {
		t.Fatalf("%v in\n%s", err, manifest)
	}
	return p
}
